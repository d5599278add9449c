#!/bin/sh
# fetch.sh DIRECTORY: brings Debian 12's cloud kernel (vmlinuz) and its firmware for virtual
# machines (OVMF.fd) there, out of Debian's own packages, whatever release runs here: later
# ones have no OVMF image with the SEV-ES code. It needs apt and Debian's keys, but no root.
set -eu

directory=$1
mirror=${DEBIAN_MIRROR:-http://deb.debian.org}
keys=/usr/share/keyrings/debian-archive-keyring.gpg

command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null && [ -e "$keys" ] || {
    echo "$0: Debian's packages need apt, dpkg-deb and $keys." >&2
    echo "Elsewhere, put vmlinuz of linux-image-cloud-amd64 and OVMF.fd of ovmf, both of" >&2
    echo "Debian 12, into $directory." >&2
    exit 1
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/archives/partial" "$work/none" "$directory"
touch "$work/status"
for suite in "debian bookworm" "debian-security bookworm-security"; do
    echo "deb [signed-by=$keys arch=amd64] $mirror/$suite main"
done >"$work/sources"

# An apt that knows these sources only, and nothing that is installed.
debian12() {
    tool=$1
    shift
    "$tool" -q -o Dir::State="$work" -o Dir::State::status="$work/status" \
        -o Dir::Cache="$work" -o Dir::Etc::sourcelist="$work/sources" \
        -o Dir::Etc::sourceparts="$work/none" -o Dir::Etc::preferencesparts="$work/none" \
        -o APT::Architecture=amd64 -o Acquire::Languages=none \
        -o APT::Get::List-Cleanup=0 -o APT::Sandbox::User= "$@"
}

# The kernel's package is named after its version; the one without is always the newest.
newest_kernel() {
    debian12 apt-cache depends linux-image-cloud-amd64 |
        sed -n 's/.*Depends: \(linux-image-[0-9].*-cloud-amd64\).*/\1/p' | head -n 1
}

# unpack PACKAGE PATTERN FILE: what matches in the package, as a file of the directory.
unpack() {
    (cd "$work" && debian12 apt-get download "$1" && dpkg-deb --fsys-tarfile "$1"_*.deb |
        tar -x --wildcards "$2")
    mv "$work"/$2 "$directory/$3"
}

debian12 apt-get update
unpack "$(newest_kernel)" './boot/vmlinuz-*' vmlinuz
unpack ovmf ./usr/share/ovmf/OVMF.fd OVMF.fd
