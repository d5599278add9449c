"""Guests that others wrote, under the SEV host: they know nothing of it, and judge it."""

import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import cases
import kernel_hashes
import machine
import sev_guest
from cases import Case
from iso import EFI, grub_iso
from sev_guest import Run

_KERNEL = cases.BUILD / "debian/vmlinuz"
_FIRMWARE = cases.BUILD / "debian/OVMF.fd"
_FIRMWARE_OF_4_MIB = [cases.BUILD / "debian" / f"OVMF_{part}_4M.fd" for part in ("VARS", "CODE")]
_KERNEL_13, _FIRMWARE_13 = (cases.BUILD / "debian/trixie" / name for name in ("vmlinuz", "OVMF.fd"))
_KERNEL_BACKPORTS = cases.BUILD / "debian/trixie-backports/vmlinuz"
_MEASURED_FIRMWARE = cases.BUILD / "debian/sid/OVMF.amdsev.fd"
_OURS = cases.BUILD / "demo-every.bzImage"
_INITRAMFS = cases.BUILD / "initramfs.cpio"
_KERNELS = (("Debian's", _KERNEL), ("Debian 13's", _KERNEL_13),
            ("its backports'", _KERNEL_BACKPORTS))
_C_BITS = (51, 47)
_SEVERAL = 4  # processors

# What Linux says of itself when it knows that it is encrypted.
_LINUX_SAYS = {"none": None, "sev": "AMD SEV", "es": "AMD SEV SEV-ES",
               "snp": "AMD SEV SEV-ES SEV-SNP"}


# Linux 6.1 forgets its CPU's features while it reads them anew, LA57 too. Acknowledging an
# interrupt in the APIC just then is a #VC whose handler walks five-level tables as if they had
# four, and dies; the 8259 is acknowledged by its ports.
SAFE_INTERRUPTS = "noapic"
# Linux 7.x then measures on each processor how long a loop takes, and in some boots never ends:
# docs/sevhost.md, "Not understood".
LOOP_IS_KNOWN = "lpj=4000000"


def _fetched(image: Path) -> Path:
    assert image.exists(), f"{image} is not there: make debian-guests"
    return image


def _linux(sev: str, c_bit: int = 51, cmdline: str = "", kernel: Path = _KERNEL) -> None:
    expect_linux(sev, Run(_fetched(kernel), sev=sev, c_bit=c_bit, initrd=_INITRAMFS,
                          memory="512M", cmdline=f"console=ttyS0 panic=-1 {cmdline}", timeout=60))


def expect_linux(sev: str, wanted: Run) -> None:
    """User space, and as many processors there as the machine has."""
    result = sev_guest.run(wanted)
    result.expect(machine.OK, r"init: user space on \w{12}$",
                  f"init: processors {wanted.cpus:02}$", "reboot: Power down$",
                  "^sevhost: the guest powered the machine off$")
    said = result.lines(r"Memory Encryption Features active: (.+?) *$")
    assert said == ([_LINUX_SAYS[sev]] if _LINUX_SAYS[sev] else []), said
    assert not re.search("Oops|BUG:|WARNING:|Call Trace", result.serial), "the kernel complains"


def _linux_by_firmware(sev: str, kernel: Path = _KERNEL, cpus: int = 1) -> None:
    """What fw_cfg hands over: the firmware loads it, and its EFI stub finds SNP's pages. As SEV-ES
    the firmware has started the other processors, and leaves them held, with a jump table; as SNP
    it leaves them in a loop that it maps without the C-bit: CreatePageTable in edk2's UefiCpuPkg/
    Library/MpInitLib/X64/CreatePageTable.c puts the bare address into the tables, and fetches are
    private whatever these say."""
    expect_linux(sev, Run(_fetched(_FIRMWARE_13), sev=sev, kernel=_fetched(kernel),
                          initrd=_INITRAMFS, memory="512M", timeout=120, cpus=cpus,
                          cmdline=f"console=ttyS0 panic=-1 {SAFE_INTERRUPTS} {LOOP_IS_KNOWN}"))


def _linux_on_several(kernel: Path) -> None:
    """SNP's other processors are created by the kernel itself."""
    expect_linux("snp", Run(_fetched(kernel), sev="snp", initrd=_INITRAMFS, memory="512M",
                            timeout=90, cpus=_SEVERAL,
                            cmdline="console=ttyS0 panic=-1 "
                                    f"{SAFE_INTERRUPTS} {LOOP_IS_KNOWN}"))


def _grub(sev: str, cpus: int = 1) -> None:
    """The way to a machine with SEV: firmware, GRUB from a CD, Multiboot 2, a kernel of ours."""
    cd = grub_iso(cases.BUILD / "demo.elf", "multiboot2", "from a CD", platform=EFI)
    result = sev_guest.run(Run(_fetched(_FIRMWARE_13), sev=sev, disk=cd, memory="512M",
                               timeout=120, cpus=cpus))
    result.expect(machine.OK, f"^sev: {sev}$", "^cmdline: from a CD$", "^result: ok$")


def _by_fw_cfg(firmware: Path, sev: str, cpus: int = 1) -> None:
    """A bzImage of ours is a PE file too."""
    result = sev_guest.run(Run(_fetched(firmware), sev=sev, kernel=_OURS, memory="256M",
                               cmdline="by fw_cfg", timeout=60, cpus=cpus))
    result.expect(machine.OK, f"^sev: {sev}$", "^cmdline: by fw_cfg$", "^result: ok$")


_MEASURED = {"kernel": _OURS, "initrd": _INITRAMFS, "cmdline": "by its hash"}


def _by_hashes(changed: str, sev: str) -> None:
    """Its owner measured one kernel, and the host hands it another: edk2's VerifyBlob
    (OvmfPkg/AmdSev/BlobVerifierLibSevHashes) compares, and never returns where they differ; a
    release build says no word of it (CpuDeadLoop). Not one of the kernel's own is heard."""
    handed = {what: path.read_bytes() for what, path in _MEASURED.items() if what != "cmdline"}
    table = kernel_hashes.table(handed["kernel"], handed["initrd"], _MEASURED["cmdline"])
    if changed in handed:
        handed[changed] = handed[changed][:-1] + bytes([handed[changed][-1] ^ 1])
    cmdline = _MEASURED["cmdline"] + ("!" if changed == "cmdline" else "")
    kernel, initrd, hashes = (cases.scratch_file(data) for data in (
        handed["kernel"], handed["initrd"], table))
    result = sev_guest.run(Run(_fetched(_MEASURED_FIRMWARE), sev=sev, kernel=kernel, initrd=initrd,
                               hashes=hashes, cmdline=cmdline, memory="256M", timeout=15))
    if not changed:
        result.expect(machine.OK, f"^sev: {sev}$", "^cmdline: initrd=initrd by its hash$",
                      "^result: ok$")
    else:
        assert result.outcome == machine.HANG, result.outcome
        assert "loader:" not in result.serial and "prologue:" not in result.serial, result.serial


def _make_run(sev: str) -> None:
    """As `make run` has it: this firmware starts nothing but what the table of hashes names, which
    the host has filled."""
    _fetched(_MEASURED_FIRMWARE)
    result = subprocess.run(
        [sys.executable, cases.ROOT / "qemu/run.py"], cwd=cases.ROOT, text=True, check=False,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=dict(os.environ, BUILD=str(cases.BUILD), SEV=sev, FIRMWARE="ovmf", MEM="256M",
                 CMDLINE="by its hash"))
    assert result.returncode == 0, result.stdout[-1000:]
    for line in (f"sev: {sev}", "cmdline: by its hash", "loader: efi", "result: ok"):
        assert line in result.stdout.splitlines(), line


def _old_firmware_as_snp() -> None:
    """Debian 12's touches memory that it has not validated yet, for its variables (edk2 52fa7e78d2
    mended it: OvmfPkg/PlatformPei, the store is made behind the acceptance of memory)."""
    result = sev_guest.run(Run(_fetched(_FIRMWARE), sev="snp", timeout=60))
    result.expect(sev_guest.TERMINATED, "a #VC that it does not support: exit code 0x404")


def _noise(seed: int, page: int, word: int) -> int:
    """What lies in a private page that nobody has written (qemu/sevhost/model/guest_memory.cpp)."""
    mask = (1 << 64) - 1
    state = seed + page * 0xD1342543DE82EF95 + (word + 1) * 0x9E3779B97F4A7C15 & mask
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        state = (state ^ state >> shift) * factor & mask
    return state ^ state >> 31 | 1


def _old_firmware_dies_of_noise() -> None:
    """In FtwGetLastWriteRecord, whose count of records is that noise (docs/sev-hosts.md)."""
    seed, log, count = 0x5EED, 0x7F66000, 7  # a header of 32 bytes, and 24 of the next
    result = sev_guest.run(Run(_fetched(_FIRMWARE), sev="es", memory="128M", seed=hex(seed),
                               timeout=60, until="Find image based on IP"))
    result.expect(sev_guest.ENDED_BY_TEST, r"X64 Exception Type - 0D\(#GP")
    r8 = result.lines(r"^R8   - ([0-9A-F]{16}),")
    assert [int(word, 16) for word in r8] == [_noise(seed, log, count)], r8


def _firmware_13_is_one() -> None:
    """It has none of 2 MiB any more, and the package's OVMF.fd is its other two files, joined."""
    parts = [_fetched(_FIRMWARE_13.with_name(f"OVMF_{part}_4M.fd")).read_bytes()
             for part in ("VARS", "CODE")]
    image = _fetched(_FIRMWARE_13).read_bytes()
    assert image == b"".join(parts) and len(image) == 4 << 20
    assert _machine_of_sec(image) == _X64


_SEC_BYTES = 0x40000  # more than its volume has, at the image's end
_IA32, _X64 = 0x14C, 0x8664  # IMAGE_FILE_MACHINE_I386 and _AMD64


def _machine_of_sec(firmware: bytes) -> int:
    """What the PE file that the reset vector goes to is for."""
    end = firmware[-_SEC_BYTES:]
    headers = [start + struct.unpack_from("<I", end, start + 0x3C)[0] for start in range(
        0, _SEC_BYTES - 0x40, 4) if end[start:start + 2] == b"MZ"]
    (found,) = [struct.unpack_from("<H", end, at + 4)[0] for at in headers
                if end[at:at + 4] == b"PE\0\0"]
    return found


def _firmware_without_vmgexit(sev: str) -> None:
    """Debian 12's image of 4 MiB is the build whose first phases are of 32 bits. There edk2's
    AsmVmgExit is a stub: `int 3`, "VMGEXIT does not make sense on IA32" (MdePkg/Library/BaseLib/
    Ia32/VmgExit.nasm), and no IDT stands yet. Metadata for SNP are of the 64-bit build alone
    (OvmfPkg/ResetVector). Without encryption it comes to its shell, on a CPU for whose addresses
    its page tables, of 2 MiB pages, have room."""
    image = b"".join(_fetched(part).read_bytes() for part in _FIRMWARE_OF_4_MIB)
    assert len(image) == 4 << 20
    assert _machine_of_sec(image) == _IA32 and _machine_of_sec(_FIRMWARE.read_bytes()) == _X64
    firmware = cases.scratch_file(image, "OVMF.fd")
    if sev == "none":
        _firmware(sev, 39, firmware, cpu="max,phys-bits=40")
        return
    result = sev_guest.run(Run(firmware, sev=sev, timeout=30))
    if sev == "snp":
        result.expect(machine.FATAL, "its table of GUIDs names no SEV metadata$")
        return
    last = result.lines(r"^  (.+?) at 0x\w+ information .*$")[-2:]
    assert last == ["MSR (0x7c)", "shutdown (0x7f)"], last
    result.expect(sev_guest.SHUTDOWN, r"^  code at RIP \[cd 03 c3", "rcx 0xc0010130",
                  "cr0 0x40000033 .* efer 0x1000$", "idtr base 0x0 limit 0x0$")


def _firmware(sev: str, c_bit: int = 51, image: Path = _FIRMWARE, cpu: str = "") -> None:
    """The prompt comes behind a countdown of five seconds: timers and their interrupts work. Debian
    12's firmware as SEV-ES survives noise where it never wrote with this seed and this memory."""
    result = sev_guest.run(Run(_fetched(image), sev=sev, c_bit=c_bit, cpu=cpu, timeout=90,
                               memory="512M", until="Shell>"))
    result.expect(sev_guest.ENDED_BY_TEST, r"UEFI Interactive Shell v2\.2")
    assert not re.search("Exception Type|ASSERT", result.serial), "the firmware complains"


CASES = [
    *(Case(f"sev: Debian's kernel as a guest without encryption, {sev}",
           lambda sev=sev: _linux(sev)) for sev in ("none", "sev")),
    *(Case(f"sev: Debian's kernel boots to user space as {name}, C-bit {c_bit}",
           lambda sev=sev, c_bit=c_bit: _linux(sev, c_bit, SAFE_INTERRUPTS))
      for sev, name in (("es", "SEV-ES"), ("snp", "SNP")) for c_bit in _C_BITS),
    Case("sev: Debian's firmware goes from reset to its shell", lambda: _firmware("none")),
    *(Case(f"sev: Debian's firmware goes from reset to its shell as SEV-ES, C-bit {c_bit}",
           lambda c_bit=c_bit: _firmware("es", c_bit)) for c_bit in _C_BITS),
    *(Case(f"sev: Debian 13's firmware goes from reset to its shell as {name}, C-bit {c_bit}",
           lambda sev=sev, c_bit=c_bit: _firmware(sev, c_bit, _FIRMWARE_13))
      for sev, name in (("es", "SEV-ES"), ("snp", "SNP")) for c_bit in _C_BITS),
    Case("sev: Debian 13's firmware is one image, of 4 MiB", _firmware_13_is_one),
    Case("sev: Debian 12's firmware of 4 MiB goes from reset to its shell without encryption",
         lambda: _firmware_without_vmgexit("none")),
    *(Case(f"sev: Debian 12's firmware of 4 MiB ends as {name}: it is the build without the code",
           lambda sev=sev: _firmware_without_vmgexit(sev))
      for sev, name in (("es", "SEV-ES"), ("snp", "SNP"))),
    Case("sev: Debian 12's firmware dies of memory that it never wrote",
         _old_firmware_dies_of_noise),
    Case("sev: Debian 12's firmware ends as SNP, at memory that it has not validated",
         _old_firmware_as_snp),
    *(Case(f"sev: GRUB under Debian 13's firmware starts a kernel of ours as {name}",
           lambda sev=sev: _grub(sev)) for sev, name in (("es", "SEV-ES"), ("snp", "SNP"))),
    Case(f"sev: GRUB under Debian 13's firmware starts a kernel of ours as SNP, {_SEVERAL} "
         "processors", lambda: _grub("snp", _SEVERAL)),
    Case("sev: Debian 13's firmware starts a kernel of ours by fw_cfg as SNP, 2 processors",
         lambda: _by_fw_cfg(_FIRMWARE_13, "snp", 2)),
    Case("sev: Debian's kernel is started by Debian 13's firmware as SNP",
         lambda: _linux_by_firmware("snp")),
    *(Case(f"sev: {what} kernel boots to user space on {_SEVERAL} processors as SNP",
           lambda kernel=kernel: _linux_on_several(kernel)) for what, kernel in _KERNELS),
    *(Case(f"sev: {what} kernel boots to user space on {_SEVERAL} processors as {name}, behind "
           "Debian 13's firmware",
           lambda sev=sev, kernel=kernel: _linux_by_firmware(sev, kernel, _SEVERAL))
      for sev, name, kernels in (("es", "SEV-ES", _KERNELS), ("snp", "SNP", _KERNELS[1:2]))
      for what, kernel in kernels),
    *(Case(f"sev: {what} kernel boots to user space as {name}, C-bit {c_bit}",
           lambda sev=sev, c_bit=c_bit, kernel=kernel: _linux(sev, c_bit, SAFE_INTERRUPTS, kernel))
      for what, kernel in _KERNELS[1:]
      for sev, name in (("es", "SEV-ES"), ("snp", "SNP")) for c_bit in _C_BITS),
    *(Case(f"sev: Debian 13's firmware starts a kernel of ours by fw_cfg as {name}",
           lambda sev=sev: _by_fw_cfg(_FIRMWARE_13, sev))
      for sev, name in (("es", "SEV-ES"), ("snp", "SNP"))),
    *(Case(f"sev: a measured firmware, {sev}, "
           + (f"starts no kernel whose {changed} is not what was measured" if changed
              else "starts the kernel that was measured"),
           lambda c=changed, s=sev: _by_hashes(c, s))
      for changed, sev in (("", "es"), ("kernel", "es"), ("initrd", "es"), ("cmdline", "es"),
                           ("kernel", "snp"))),
    *(Case(f"sev: make run SEV={sev} FIRMWARE=ovmf prints the report",
           lambda sev=sev: _make_run(sev)) for sev in ("es", "snp")),
]
