"""Loaders that others wrote, and that a Debian has or had: SYSLINUX's family, GRUB 0.97, iPXE,
U-Boot, Xen. Each report is held against what the loader was given."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Callable, Sequence, Tuple

import cases
import loader_media
import machine
import under_xen
from cases import Case, note
from guests import CONVENTIONAL_END, expect_ram, expected_paging, ram_spans
from handoff_report import RAM_KINDS, expect_report
from iso import OVMF

_MEMORY = "128M"
_TIMEOUT = 30
_EFI_TIMEOUT = 60
_IDLE = 15  # a network's ROM waits for its server's answer
_CMDLINE = "a b=c"
_SIZES = (5000, 70001)

# What each is told to load by Multiboot 1 and by Linux's protocol; the files are `kernel`,
# `module0` and `module1`.
_MBOOT = f"kernel mboot.c32\nappend /kernel {_CMDLINE} --- /module0 one two --- /module1\n"
_SYSLINUX_LINUX = f"linux /kernel\ninitrd /module0\nappend {_CMDLINE}\n"
_GRUB = f"kernel /kernel {_CMDLINE}\nmodule /module0 one two\nmodule /module1\n"
_GRUB_LINUX = f"kernel /kernel {_CMDLINE}\ninitrd /module0\n"
_IPXE = f"kernel kernel {_CMDLINE}\nmodule module0 one two\nmodule module1\n"
_IPXE_LINUX = f"kernel kernel {_CMDLINE}\ninitrd module0\n"


@dataclass(frozen=True)
class Way:
    """A loader, and what it makes of a command line and of modules' strings; and what stays
    its own of conventional memory's end and of RAM's."""

    name: str
    medium: Callable[[dict, str], list]
    words: str
    cmdline: str = _CMDLINE
    strings: Sequence[str] = ("/module0 one two", "/module1")
    keeps: Tuple[int, int] = (0, 0)


_SYSLINUX_SAYS = f"BOOT_IMAGE=/kernel {_CMDLINE} initrd=/module0"
_URL = "tftp://10.0.2.2"

_MULTIBOOT1 = [
    Way("ISOLINUX", loader_media.isolinux, _MBOOT),
    Way("SYSLINUX", loader_media.syslinux, _MBOOT),
    Way("EXTLINUX", loader_media.extlinux, _MBOOT),
    Way("PXELINUX", loader_media.pxelinux, _MBOOT.replace(" /", " "),
        strings=("module0 one two", "module1"), keeps=(0x3000, 0xC0000)),
    Way("GRUB 0.97", loader_media.grub_legacy, _GRUB),
    Way("iPXE", loader_media.ipxe, _IPXE,
        strings=(f"{_URL}/module0 one two", f"{_URL}/module1")),
]

_LINUX = [
    Way("ISOLINUX", loader_media.isolinux, _SYSLINUX_LINUX, _SYSLINUX_SAYS),
    Way("SYSLINUX", loader_media.syslinux, _SYSLINUX_LINUX, _SYSLINUX_SAYS),
    Way("EXTLINUX", loader_media.extlinux, _SYSLINUX_LINUX, _SYSLINUX_SAYS),
    Way("PXELINUX", loader_media.pxelinux, _SYSLINUX_LINUX.replace(" /", " "),
        _SYSLINUX_SAYS.replace("/", "")),
    Way("GRUB 0.97", loader_media.grub_legacy, _GRUB_LINUX),
    Way("iPXE", loader_media.ipxe, _IPXE_LINUX),
]


def multiboot1(way: Way, kernel: str = "demo-best-multiboot1") -> Case:
    modules = [(None, size, string) for size, string in zip(_SIZES, way.strings)]
    return _starts(way, "multiboot1", cases.BUILD / f"{kernel}.elf", modules)


def linux(way: Way, kernel: str = "demo-best-every") -> Case:
    modules = [(None, _SIZES[0], "")]
    return _starts(way, "linux", cases.BUILD / f"{kernel}.bzImage", modules)


def _starts(way: Way, loader: str, kernel: Path, modules: list) -> Case:
    def function() -> None:
        files = {"kernel": kernel, **{f"module{index}": cases.scratch_file(bytes(size), "module")
                                      for index, size in enumerate(_SIZES)}}
        try:
            medium = way.medium(files, way.words)
        except PermissionError as error:
            note(f"not tried: {error}")
            return
        result = machine.run(machine.Boot(
            memory=_MEMORY, extra=medium, timeout=_TIMEOUT, idle=_IDLE))
        report = expect_report(result, kernel.with_suffix(".elf"), loader=loader,
                               cmdline=way.cmdline, modules=modules,
                               **expected_paging("demo-best", "max"))
        low, high = ram_spans("pc", _MEMORY)
        expect_ram(report, low - way.keeps[1], high, CONVENTIONAL_END - way.keeps[0])

    return Case(f"loaders: {way.name}, {loader}", function)


# --- iPXE on UEFI -----------------------------------------------------------------------------


def ipxe_on_efi(kernel: Path, words: str) -> machine.Result:
    return machine.run(machine.Boot(
        extra=loader_media.ipxe({"kernel": kernel}, words), firmware=OVMF, memory="256M",
        timeout=_EFI_TIMEOUT, idle=_IDLE))


def ipxe_on_efi_starts_a_pe_image() -> None:
    result = ipxe_on_efi(cases.BUILD / "demo-best-every.bzImage", f"kernel kernel {_CMDLINE}\n")
    expect_report(result, cases.BUILD / "demo-best-every.elf", loader="efi", entry_mode="long64",
                  cmdline=_CMDLINE, modules=[], **expected_paging("demo-best", "max"))


def ipxe_on_efi_takes_no_elf() -> None:
    result = ipxe_on_efi(cases.BUILD / "demo-best-multiboot1.elf", "kernel kernel || reboot\n")
    result.expect(machine.RESET, r"Could not select: Exec format error "
                  r"\(http://ipxe\.org/2e008081\)")


# --- U-Boot -----------------------------------------------------------------------------------

_U_BOOT = Path("/usr/lib/u-boot/qemu-x86/u-boot.rom")
_U_BOOT_BYTES = 48 << 20  # of RAM, that it may keep for itself


def u_boot(kernel: str, cpu: str) -> Case:
    """By `qfw`, which takes from QEMU what -kernel and -initrd name, and `zboot`."""

    def function() -> None:
        module = cases.scratch_file(bytes(_SIZES[0]), "module")
        commands = ("qfw load 1000000 4000000", f"setenv bootargs {_CMDLINE}",
                    f"zboot 1000000 - 4000000 {_SIZES[0]:x}")
        result = machine.run(machine.Boot(
            kernel=cases.BUILD / f"{kernel}.bzImage", initrd=[module], memory="256M", cpu=cpu,
            firmware=_U_BOOT, timeout=_TIMEOUT,
            answers=[("stop autoboot", "\n"), *(("=> ", f"{line}\n") for line in commands)]))
        report = expect_report(
            result, cases.BUILD / f"{kernel}.elf", loader="linux", cmdline=_CMDLINE,
            modules=[(0x4000000, _SIZES[0], "")],
            **expected_paging(kernel.removesuffix("-every"), cpu))
        usable = sum(r.end - r.start for r in report.of_kind("usable"))
        assert usable >= (256 << 20) - _U_BOOT_BYTES, f"only {usable:#x} bytes are usable"
        assert report.fields["rsdp"] != 0, "U-Boot tells where the RSDP is"

    return Case(f"loaders: U-Boot, {kernel} on {cpu}", function)


# --- Xen --------------------------------------------------------------------------------------

_XEN_KERNEL = cases.BUILD / "demo-best.elf"
_NO_LA57 = r"^prologue: fatal: wish: paging with 5 levels: this CPU has no LA57$"
_UD = (r"^prologue: fatal: #UD .* 64-bit, at (?:.*\n)*prologue:  bytes: 0f 0b (?:.*\n)*"
       r"prologue:  stack: ")
_EXIT_OK = 0x21  # a guest of Xen's has no exit device


def xen_dom0(xen: Path) -> None:
    """Its start info has no memory map, which is Xen's by hypercall."""
    module = cases.scratch_file(bytes(_SIZES[0]), "module")
    result = machine.run(under_xen.boot(f"{_XEN_KERNEL} {_CMDLINE}", f"{module} one two", xen=xen))
    report = expect_report(under_xen.of_domain(result, 0), _XEN_KERNEL, loader="pvh",
                           cmdline=_CMDLINE, modules=[(None, _SIZES[0], f"{module} one two")],
                           **expected_paging("demo-best", "max,la57=off"))
    usable = sum(r.end - r.start for r in report.memory if r.kind in RAM_KINDS)
    assert usable > (120 << 20), f"of 128 MiB there are {usable:#x} bytes"
    assert report.of_kind("bad"), "Xen calls bad what RAM is not dom0's"
    assert report.fields["rsdp"] != 0, "Xen tells where the RSDP is"


def xen_dom0_dies() -> None:
    """A fatal line of the 32-bit stage's is on Xen's console."""
    result = machine.run(under_xen.boot(f"{cases.BUILD}/demo-five.elf"))
    under_xen.of_domain(result, 0).expect(machine.FATAL, _NO_LA57)


def xen_domu() -> None:
    """Guests of `xl`: a report with a module, a fatal line, and an exception's report, all on Xen's
    console; none of them has a serial port."""
    faults = cases.BUILD / "faults.elf"
    result = machine.run(under_xen.boot_guests([
        under_xen.Guest("report", _XEN_KERNEL, _CMDLINE, bytes(_SIZES[0])),
        under_xen.Guest("fatal", cases.BUILD / "demo-five.elf", ""),
        under_xen.Guest("exception", faults, "invalid_opcode")]))
    result.expect(machine.RESET)
    said = [replace(under_xen.of_domain(result, domain), status=_EXIT_OK) for domain in (1, 2, 3)]
    report = expect_report(said[0], _XEN_KERNEL, loader="pvh", cmdline=_CMDLINE,
                           modules=[(None, _SIZES[0], "")],
                           **expected_paging("demo-best", "max,la57=off"))
    usable = sum(r.end - r.start for r in report.memory if r.kind in RAM_KINDS)
    assert usable > (60 << 20), f"of 64 MiB there are {usable:#x} bytes"
    assert report.fields["rsdp"] != 0, "Xen tells where the RSDP is"
    said[1].expect(machine.OK, _NO_LA57)
    said[2].expect(machine.OK, _UD)


CASES = [
    *map(multiboot1, _MULTIBOOT1),
    *map(linux, _LINUX),
    Case("loaders: iPXE on UEFI, a PE image", ipxe_on_efi_starts_a_pe_image),
    Case("loaders: iPXE on UEFI, an ELF file", ipxe_on_efi_takes_no_elf),
    u_boot("demo-every", "qemu64"),
    u_boot("demo-best-every", "max"),
    *(Case(f"loaders: Xen's dom0, {version}", lambda xen=xen: xen_dom0(xen)) for version, xen in (
        ("4.17", under_xen.XEN_4_17), ("4.20", under_xen.XEN_4_20))),
    Case("loaders: Xen's dom0, a fatal line", xen_dom0_dies),
    Case("loaders: Xen's domU, by xl", xen_domu),
]
