#!/bin/sh
# fetch.sh DIRECTORY RELEASE: brings what others wrote there, out of Debian's own packages,
# whatever release runs here. It needs apt and Debian's keys, but no root.
#   bookworm          its cloud kernel (vmlinuz) and its firmware for virtual machines: of 2 MiB
#                     (OVMF.fd), and of 4 MiB (OVMF_CODE_4M.fd, OVMF_VARS_4M.fd)
#   trixie            its cloud kernel, its firmware (OVMF_CODE_4M.fd, OVMF_VARS_4M.fd, both as
#                     OVMF.fd, and the one that lets nothing be executed but code) and its GRUB
#                     (grubx64.efi)
#   trixie-tools      ukify
#   trixie-backports  the newest cloud kernel that there is for it
#   sid               the firmware that only starts what its owner measured (OVMF.amdsev.fd)
#   bookworm-loaders  what is better not installed beside the loader that a machine has: GRUB 0.97
#                     (stage2_eltorito), extlinux, Memtest86+, Xen (xen), kexec and the libraries that it wants
#   trixie-xen        its Xen (xen)
#   bookworm-xen      a dom0 for Debian 12's Xen: a kernel that can be one (vmlinuz) and its modules, xl and
#                     what that wants, busybox
# A file .sha256 of that name names the packages that the tests were made with. Debian drops a
# version when the next one comes: then the newest that Debian signs is taken, and said.
set -eu

directory=$1
what=$2
release=${what%-loaders}
release=${release%-xen}
release=${release%-tools}
pins=$(dirname "$0")/$what.sha256
mirror=${DEBIAN_MIRROR:-http://deb.debian.org}
keys=/usr/share/keyrings/debian-archive-keyring.gpg

command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null && [ -e "$keys" ] || {
    echo "$0: Debian's packages need apt, dpkg-deb and $keys." >&2
    echo "Elsewhere, put what this script names at its beginning into $directory." >&2
    exit 1
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/archives/partial" "$work/none" "$directory"
touch "$work/status"
pins=$(realpath "$pins")
source_of() {
    echo "deb [signed-by=$keys arch=amd64] $mirror/$1 main" >>"$work/sources"
}
source_of "debian $release"
case $release in bookworm | trixie) source_of "debian-security $release-security" ;; esac

# An apt that knows these sources only, and nothing that is installed. A mirror that was not renewed
# in time will do: signatures and hashes are looked at all the same.
debian() {
    tool=$1
    shift
    "$tool" -q -o Dir::State="$work" -o Dir::State::status="$work/status" \
        -o Dir::Cache="$work" -o Dir::Etc::sourcelist="$work/sources" \
        -o Dir::Etc::sourceparts="$work/none" -o Dir::Etc::preferencesparts="$work/none" \
        -o APT::Architecture=amd64 -o Acquire::Languages=none \
        -o Acquire::Check-Valid-Until=false \
        -o APT::Get::List-Cleanup=0 -o APT::Sandbox::User= "$@"
}

# The kernel's package is named after its version; the one without is always the newest. KIND is
# the word behind linux-: from Linux 7 on its file is in a package of its own.
kernel() { # KIND FLAVOUR
    pinned=$(sed -n "s/^.*  \(linux-$1-.*\)_[^_]*_amd64\.deb$/\1/p" "$pins")
    if debian apt-cache show "$pinned" >/dev/null 2>&1; then
        echo "$pinned"
    else
        debian apt-cache depends "linux-image-$2" |
            sed -n "s/.*Depends: linux-image-\([0-9].*-$2\).*/linux-$1-\1/p" | head -n 1
    fi
}

# The package's file, which is the pinned one, or another and said so.
download() {
    version=$(sed -n "s/^.*  $1_\(.*\)_[a-z0-9]*\.deb$/\1/p" "$pins" | sed "s/%3a/:/")
    debian apt-get download "$1${version:+=$version}" || debian apt-get download "$1"
    file=$(echo "$1"_*.deb)
    if grep -q "  $file\$" "$pins"; then
        grep "  $file\$" "$pins" | sha256sum --check --quiet
    else
        echo "$0: no $1 that the tests were made with; the newest is: $(sha256sum "$file")" >&2
    fi
}

# unpack PACKAGE PATTERN FILE: what matches in the package, as a file of the directory.
unpack() {
    (cd "$work" && { [ -e "$1"_*.deb ] || download "$1"; } && dpkg-deb --fsys-tarfile "$1"_*.deb |
        tar -x --wildcards "$2")
    mv "$work"/$2 "$directory/$3"
}

# unpack_all PACKAGE PATTERN...: what matches, all in the directory itself; a library by the name
# that it is asked for by, which is a link's.
unpack_all() {
    package=$1
    shift
    mkdir "$work/tree"
    (cd "$work" && download "$package" && dpkg-deb --fsys-tarfile "$package"_*.deb |
        tar -x -C tree --wildcards "$@")
    find "$work/tree" -type l | while read -r link; do
        mv "$(realpath "$link")" "$directory/${link##*/}"
    done
    find "$work/tree" -type f -exec mv {} "$directory" \;
    rm -r "$work/tree"
}

debian apt-get update
case $what in
bookworm)
    unpack "$(kernel image cloud-amd64)" './boot/vmlinuz-*' vmlinuz
    unpack ovmf ./usr/share/ovmf/OVMF.fd OVMF.fd
    for file in OVMF_CODE_4M.fd OVMF_VARS_4M.fd; do
        unpack ovmf "./usr/share/OVMF/$file" "$file"
    done
    ;;
trixie)
    unpack "$(kernel image cloud-amd64)" './boot/vmlinuz-*' vmlinuz
    unpack ovmf ./usr/share/ovmf/OVMF.fd OVMF.fd
    for file in OVMF_CODE_4M.fd OVMF_CODE_4M.secboot.strictnx.fd OVMF_VARS_4M.fd; do
        unpack ovmf "./usr/share/OVMF/$file" "$file"
    done
    unpack grub-efi-amd64-unsigned ./usr/lib/grub/x86_64-efi/monolithic/grubx64.efi grubx64.efi
    ;;
trixie-xen)
    unpack xen-hypervisor-4.20-amd64 ./boot/xen-4.20-amd64.gz xen.gz
    gzip -d -f "$directory/xen.gz"
    ;;
trixie-tools)
    unpack systemd-ukify ./usr/bin/ukify ukify
    ;;
bookworm-loaders)
    unpack grub-legacy ./usr/lib/grub/x86_64-pc/stage2_eltorito stage2_eltorito
    unpack extlinux ./usr/bin/extlinux extlinux
    unpack memtest86+ ./boot/memtest86+x64.bin memtest86+x64.bin
    unpack xen-hypervisor-4.17-amd64 ./boot/xen-4.17-amd64.gz xen.gz
    gzip -d -f "$directory/xen.gz"
    mkdir -p "$directory/kexec"
    unpack kexec-tools ./sbin/kexec kexec/kexec
    unpack libc6 ./lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 kexec/ld.so
    unpack libc6 ./lib/x86_64-linux-gnu/libc.so.6 kexec/libc.so.6
    unpack libxenmisc4.17 './usr/lib/x86_64-linux-gnu/libxenctrl.so.4.17.?' kexec/libxenctrl.so.4.17
    for library in call devicemodel evtchn foreignmemory gnttab toolcore toollog; do
        unpack "libxen${library}1" "./usr/lib/x86_64-linux-gnu/libxen$library.so.1.*" \
            "kexec/libxen$library.so.1"
    done
    ;;
bookworm-xen)
    unpack_all "$(kernel image amd64)" './boot/vmlinuz-*' './lib/modules/*/xen/xen-[eg]*.ko' \
        './lib/modules/*/xen-privcmd.ko' './lib/modules/*/xenfs.ko'
    mv "$directory"/vmlinuz-* "$directory/vmlinuz"
    unpack_all busybox-static ./bin/busybox
    for program in xl xenstored xenconsoled xen-init-dom0; do
        set -- "$@" "./usr/lib/xen-4.17/bin/$program"
    done
    shift 2
    unpack_all xen-utils-4.17 "$@"
    unpack_all libc6 ./lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 ./lib/x86_64-linux-gnu/libc.so.6
    for library in xenmisc4.17 xencall1 xendevicemodel1 xenevtchn1 xenforeignmemory1 xengnttab1 \
        xenhypfs1 xenstore4 xentoolcore1 xentoollog1 yajl2 lzma5 uuid1 zstd1 gcc-s1; do
        unpack_all "lib$library" '*/x86_64-linux-gnu/*.so.*'
    done
    unpack_all zlib1g '*/x86_64-linux-gnu/*.so.*'
    ;;
trixie-backports)
    unpack "$(kernel binary cloud-amd64)" './usr/lib/modules/*/vmlinuz' vmlinuz
    ;;
sid)
    unpack ovmf-amdsev ./usr/share/ovmf/OVMF.amdsev.fd OVMF.amdsev.fd
    ;;
esac
