#!/bin/sh
# Tries a kernel of Prologue's as SEV, SEV-ES and SNP guest on the machine that this runs on, by
# each way in that the machine has, and writes a report that can be sent: `report/report.txt`, and beside
# it what each guest said on its serial port and what the host noted.
#
#   sh try-on-hardware.sh              as root, or who may use /dev/kvm and /dev/sev
#   sh try-on-hardware.sh WAY...       those alone
#   DRY_RUN=1 sh try-on-hardware.sh    prints each command, and runs none
#
# QEMU= OVMF= AMDSEV= STAGE0= name the programs and firmware where they are not where one looks for them.
# Nothing is installed; two of the host's settings are changed for the run, and put back.
set -u
cd "$(dirname "$0")" || exit 1

WAYS="grub-sev grub-es grub-snp efi-es efi-snp kernel-es kernel-snp igvm-es igvm-snp"
WAYS="$WAYS stage0-es stage0-snp vmd vmd-es"
SECONDS_EACH=${SECONDS_EACH:-120}
DRY_RUN=${DRY_RUN:-}
QEMU=${QEMU:-qemu-system-x86_64}
STAGE0=${STAGE0:-stage0.bin}
REPORT=report/report.txt
TRACING=/sys/kernel/tracing
DUMP=/sys/module/kvm_amd/parameters/dump_invalid_vmcb

# The first of these files that is there, or the last.
first_of() {
    for file in "$@"; do
        [ ! -e "$file" ] || break
    done
    echo "$file"
}

if [ -z "${OVMF:-}" ]; then
    if [ -n "$DRY_RUN" ]; then
        OVMF=OVMF.fd
    else
        OVMF=$(first_of /usr/share/ovmf/OVMF.amdsev.fd /usr/share/edk2/ovmf/OVMF.amdsev.fd \
            /usr/share/ovmf/OVMF.fd /usr/share/edk2/ovmf/OVMF.fd OVMF.fd)
    fi
fi

# The OVMF that starts nothing but the kernel whose hash QEMU has put into its memory.
if [ -z "${AMDSEV:-}" ]; then
    if [ -n "$DRY_RUN" ]; then
        AMDSEV=OVMF.amdsev.fd
    else
        AMDSEV=$(first_of /usr/share/ovmf/OVMF.amdsev.fd /usr/share/edk2/ovmf/OVMF.amdsev.fd \
            OVMF.amdsev.fd)
    fi
fi

# Where the C-bit is, by CPUID 8000001F EBX, which the module cpuid shows to root.
c_bit() {
    word=$(dd if=/dev/cpu/0/cpuid iflag=skip_bytes,count_bytes skip=2147483679 count=16 2>/dev/null |
        od -An -tu4 2>/dev/null | awk '{ print $2 % 64 }')
    [ "${word:-0}" -ge 32 ] || word=51 # as all EPYCs with SNP have it
    echo "$word"
}
C_BIT=51
[ -n "$DRY_RUN" ] || C_BIT=$(c_bit)

say() {
    echo "$@"
    [ -n "$DRY_RUN" ] || echo "$@" >>"$REPORT"
}

# ---- What each way runs ----

guest_object() {
    case $1 in
    sev) echo "sev-guest,id=sev0,cbitpos=$C_BIT,reduced-phys-bits=1,policy=0x1" ;;
    es) echo "sev-guest,id=sev0,cbitpos=$C_BIT,reduced-phys-bits=1,policy=0x5" ;;
    snp) echo "sev-snp-guest,id=sev0,cbitpos=$C_BIT,reduced-phys-bits=1" ;;
    esac
}

# What a VM of vmd's prints, by the terminal that vmctl names.
console() {
    echo "cat -u /dev/\$(vmctl status prologue | awk 'END { print \$6 }')"
}

# The command line of a way, as words for eval.
command_of() {
    way=$1 level=${1#*-}
    common="-nodefaults -no-reboot -display none -m 1G -serial file:report/$way.serial"
    common="$common -device isa-debug-exit,iobase=0xf4,iosize=0x4"
    guest="-object $(guest_object "$level")"
    case $way in
    grub-*)
        echo "$QEMU -enable-kvm -cpu EPYC-v4 -machine q35,confidential-guest-support=sev0 $guest" \
            "-bios $OVMF -cdrom grub-efi.iso $common"
        ;;
    efi-*)
        echo "$QEMU -enable-kvm -cpu EPYC-v4 -machine q35,confidential-guest-support=sev0 $guest" \
            "-bios $OVMF -drive format=raw,file=fat:rw:esp $common"
        ;;
    igvm-*)
        echo "$QEMU -enable-kvm -cpu EPYC-v4" \
            "-machine q35,confidential-guest-support=sev0,igvm-cfg=igvm0" \
            "$guest -object igvm-cfg,id=igvm0,file=demo.igvm $common"
        ;;
    kernel-*)
        echo "$QEMU -enable-kvm -cpu EPYC-v4 -machine q35,confidential-guest-support=sev0" \
            "$guest,kernel-hashes=on -bios $AMDSEV -kernel demo.bzImage -append hardware $common"
        ;;
    stage0-*)
        echo "$QEMU -enable-kvm -cpu EPYC-v4 -machine microvm,acpi=on,confidential-guest-support=sev0" \
            "$guest -bios $STAGE0 -kernel demo.bzImage -append hardware $common"
        ;;
    vmd) # the control: the same machine without SEV
        echo "vmctl start -b demo.elf -m 512M prologue && $(console)"
        ;;
    vmd-es)
        echo "vmctl load report/vm.conf && vmctl start prologue && $(console)"
        ;;
    esac
}

# ---- What the machine has ----

parameter() {
    cat "/sys/module/kvm_amd/parameters/$1" 2>/dev/null || echo no
}

is_on() {
    case $(parameter "$1") in Y | 1) true ;; *) false ;; esac
}

# A line for each thing that a way needs and the machine lacks.
missing_for() {
    way=$1
    case $way in
    vmd*)
        command -v vmctl >/dev/null || echo "vmctl (OpenBSD 7.7 or later, on an EPYC with SEV-ES)"
        return
        ;;
    esac
    command -v "$QEMU" >/dev/null || echo "$QEMU"
    [ -w /dev/kvm ] || echo "/dev/kvm, and the right to use it"
    [ -w /dev/sev ] || echo "/dev/sev, and the right to use it: SEV on in the firmware's setup, kvm_amd.sev=1"
    case $way in
    *-es) is_on sev_es || echo "SEV-ES: kvm_amd.sev_es=1, and ASIDs for it in the firmware's setup" ;;
    *-snp)
        is_on sev_snp || echo "SNP: Linux 6.11 or later, kvm_amd.sev_snp=1, SNP on in the firmware's setup"
        "$QEMU" -object help 2>/dev/null | grep -q sev-snp-guest || echo "QEMU 9.1 or later"
        ;;
    esac
    case $way in
    grub-* | efi-*) [ -e "$OVMF" ] || echo "OVMF with SEV (name it by OVMF=)" ;;
    igvm-*)
        "$QEMU" -object help 2>/dev/null | grep -q igvm-cfg || echo "QEMU 10.1 or later, with libigvm"
        ;;
    kernel-*) [ -e "$AMDSEV" ] || echo "OVMF's AmdSev build (Debian: ovmf-amdsev; name it by AMDSEV=)" ;;
    stage0-*) [ -e "$STAGE0" ] || echo "oak's stage0 (build it, name it by STAGE0=)" ;;
    esac
}

describe_machine() {
    say "== machine"
    say "kernel: $(uname -srm)"
    say "cpu: $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo 2>/dev/null | head -n 1)"
    say "flags: $(sed -n 's/^flags[^:]*: //p' /proc/cpuinfo 2>/dev/null | head -n 1 | tr ' ' '\n' |
        grep -E '^(sme|sev|sev_es|sev_snp|la57|debug_swap)$' | tr '\n' ' ')"
    say "kvm_amd: sev $(parameter sev), sev_es $(parameter sev_es), sev_snp $(parameter sev_snp)"
    say "c-bit: $C_BIT"
    say "qemu: $("$QEMU" --version 2>/dev/null | head -n 1)"
    for firmware in "$OVMF" "$AMDSEV"; do
        say "firmware: $firmware $(sha256sum "$firmware" 2>/dev/null | cut -c 1-16)"
    done
    for image in grub-efi.iso esp/EFI/BOOT/BOOTX64.EFI demo.bzImage demo.igvm demo.elf; do
        say "image: $image $(sha256sum $image 2>/dev/null | cut -c 1-16)"
    done
}

# ---- What the host notes ----

TRACED="kvm_vmgexit_enter kvm_vmgexit_exit kvm_vmgexit_msr_protocol_enter
    kvm_vmgexit_msr_protocol_exit kvm_rmp_fault kvm_exit"

trace() { # 1 or 0
    for event in $TRACED; do
        [ ! -w $TRACING/events/kvm/$event/enable ] || echo "$1" >$TRACING/events/kvm/$event/enable
    done
}

start_noting() {
    old_dump=$(cat $DUMP 2>/dev/null)
    [ ! -w $DUMP ] || echo 1 >$DUMP
    [ ! -w $TRACING/trace ] || : >$TRACING/trace
    trace 1
    log_before=$(dmesg 2>/dev/null | wc -l)
}

stop_noting() { # way
    trace 0
    [ ! -r $TRACING/trace ] || tail -n 20000 $TRACING/trace >"report/$1.trace"
    [ -z "$old_dump" ] || [ ! -w $DUMP ] || echo "$old_dump" >$DUMP
    dmesg 2>/dev/null | tail -n "+$((log_before + 1))" >"report/$1.log"
}

# ---- A way ----

verdict() { # way, status
    if grep -q '^result: ok' "report/$1.serial" 2>/dev/null; then
        echo "ok: the kernel ran: $(grep -aE '^(sev|c-bit|loader|paging):' "report/$1.serial" |
            tr -d '\r' | tr '\n' ' ')"
    elif reason=$(grep -oE 'guest requested termination: [0-9a-fx:]+' "report/$1.log" | tail -n 1) &&
        [ -n "$reason" ]; then
        echo "ended: $reason (set 0xa is Prologue's: docs/sev.md, Reason codes)"
    elif fatal=$(grep -a 'prologue: fatal' "report/$1.serial" 2>/dev/null | head -n 1) &&
        [ -n "$fatal" ]; then
        echo "ended: $fatal"
    else
        echo "nothing: status $2, $(wc -c <"report/$1.serial" 2>/dev/null || echo 0) bytes of serial output"
    fi
}

try() {
    way=$1
    say "== $way"
    command=$(command_of "$way")
    say "$command"
    [ -z "$DRY_RUN" ] || return 0
    lacks=$(missing_for "$way")
    if [ -n "$lacks" ]; then
        echo "$lacks" | while read -r line; do say "missing: $line"; done
        return 0
    fi
    tried=$((tried + 1))
    : >"report/$way.serial"
    start_noting
    case $way in
    vmd*) (eval "$command") >"report/$way.serial" 2>"report/$way.stderr" & ;;
    *) (eval "exec $command") >"report/$way.stderr" 2>&1 & ;;
    esac
    pid=$! left=$SECONDS_EACH
    while kill -0 $pid 2>/dev/null && [ "$left" -gt 0 ]; do
        sleep 1
        left=$((left - 1))
    done
    [ "$left" -gt 0 ] || kill $pid 2>/dev/null
    wait $pid
    status=$?
    case $way in vmd*) vmctl stop -f prologue >/dev/null 2>&1 ;; esac
    stop_noting "$way"
    say "verdict: $(verdict "$way" $status)"
    sed 's/^/  | /' "report/$way.stderr" | tail -n 20 >>"$REPORT"
    grep -aE 'SEV|kvm|VMCB|VMSA' "report/$way.log" | tail -n 60 | sed 's/^/  # /' >>"$REPORT"
}

[ $# -gt 0 ] || set -- $WAYS
for way in "$@"; do
    case " $WAYS " in
    *" $way "*) ;;
    *) echo "no way $way: $WAYS" && exit 1 ;;
    esac
done
tried=0
if [ -z "$DRY_RUN" ]; then
    mkdir -p report
    sed "s|demo.elf|$PWD/demo.elf|" vm.conf >report/vm.conf
    : >"$REPORT"
    describe_machine
fi
for way in "$@"; do
    try "$way"
done
[ -z "$DRY_RUN" ] || exit 0
if [ $tried -eq 0 ]; then
    say "nothing could be tried: what is missing stands above"
    exit 2
fi
tar czf report.tar.gz report && say "to send: report.tar.gz"
