#!/bin/sh
# Installs what building, booting and testing Prologue need: on Debian and its
# kin with apt, as root or through sudo. Elsewhere it names what is missing.
# It does nothing where all is there.
set -eu

# What is looked for: a command or a file, and the Debian package it is from.
needs() {
    cat <<'LIST'
clang clang
clang++ clang
clang-format clang-format
ld.lld lld
llvm-objcopy llvm
llvm-symbolizer llvm
gcc gcc
g++ g++
ld binutils
cmake cmake
pkg-config pkgconf
make make
git git
qemu-system-x86_64 qemu-system-x86
grub-mkrescue grub-common
/usr/lib/grub/i386-pc/multiboot2.mod grub-pc-bin
/usr/lib/grub/x86_64-efi/multiboot2.mod grub-efi-amd64-bin
/usr/share/ovmf/OVMF.fd ovmf
/usr/lib/systemd/boot/efi/systemd-bootx64.efi systemd-boot-efi
/usr/lib/shim/shimx64.efi shim-unsigned
sbsign sbsigntool
openssl openssl
xorriso xorriso
/usr/lib/ISOLINUX/isolinux.bin isolinux
/usr/lib/syslinux/modules/bios/mboot.c32 syslinux-common
syslinux syslinux
/usr/lib/PXELINUX/lpxelinux.0 pxelinux
/usr/lib/u-boot/qemu-x86/u-boot.rom u-boot-qemu
mke2fs e2fsprogs
mformat mtools
lz4 lz4
bochs-bin bochs
/usr/lib/x86_64-linux-gnu/bochs/plugins/libbx_term_gui.so bochs-term
/usr/share/bochs/BIOS-bochs-latest bochsbios
/usr/share/bochs/VGABIOS-lgpl-latest vgabios
gdb gdb
flake8 flake8
/usr/bin/rustc rustc
/usr/lib/rustlib/src/rust/library/core/src/lib.rs rust-src
meson meson
ninja ninja-build
patch patch
/usr/include/gtest/gtest.h libgtest-dev
/usr/include/gelf.h libelf-dev
/usr/bin/python3 python3
LIST
}

present() {
    case $1 in
    /*) [ -e "$1" ] ;;
    *) command -v "$1" >/dev/null 2>&1 ;;
    esac
}

# The packages that are missing, one a line.
missing() {
    needs | while read -r item package; do
        present "$item" || echo "$package"
    done
    /usr/bin/python3 -c 'import elftools' 2>/dev/null || echo python3-pyelftools
    /usr/bin/python3 -c 'import pefile' 2>/dev/null || echo python3-pefile
    /usr/bin/python3 -c 'import psutil' 2>/dev/null || echo python3-psutil
    # The sanitizers' and libFuzzer's runtime has the compiler's version in its name.
    runtime=$(clang --print-file-name=libclang_rt.fuzzer-x86_64.a 2>/dev/null) || runtime=
    [ -e "$runtime" ] || echo "libclang-rt-dev"
}

# Debian names the runtime after the compiler: libclang-rt-14-dev.
runtime_package() {
    version=$(apt-cache depends clang | sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p' | head -n 1)
    echo "libclang-rt-$version-dev"
}

packages=$(missing | sort -u)
[ -n "$packages" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "These are missing (by their Debian names); please install them:" >&2
    echo "$packages" >&2
    exit 1
fi
sudo=
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null 2>&1 || {
        echo "Installing these needs root or sudo:" $packages >&2
        exit 1
    }
    sudo=sudo
fi
$sudo apt-get update
packages=$(echo "$packages" | sed "s/^libclang-rt-dev$/$(runtime_package)/")
echo "Installing:" $packages
# shellcheck disable=SC2086 # a list of words
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y --no-install-recommends $packages
