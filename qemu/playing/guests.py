"""Guests that QEMU's own loaders or GRUB boot, and what their kernel must therefore report."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional, Sequence, Tuple

import cases
import machine
from handoff_report import GIB, MIB, RAM_KINDS, Range, Report, expect_report, merged
from images import Image, multiboot2_tag, patch, rebased
from iso import grub_iso

QEMU_PVH, QEMU_MULTIBOOT1 = "QEMU pvh", "QEMU multiboot1"
GRUB_MULTIBOOT1, GRUB_MULTIBOOT2 = "GRUB multiboot1", "GRUB multiboot2"

# What each CPU model has, under TCG or in Bochs: 1 GiB pages, LA57.
_CPUS = {
    "max": (True, True),
    "max,la57=off": (True, False),
    "max,pdpe1gb=off": (False, True),
    "max,pdpe1gb=off,la57=off": (False, False),
    "max,phys-bits=52": (True, True),
    "qemu64": (False, False),
    "qemu64,+la57": (False, True),
    "qemu64,+pdpe1gb": (True, False),
    "kvm64": (False, False),
    "Opteron_G1": (False, False),
    "Nehalem": (False, False),
    "EPYC": (True, False),
    "Skylake-Server": (True, False),
    "Icelake-Server": (True, True),
    "ryzen": (True, False),
    "corei7_skylake_x": (True, False),
    "core2_penryn_t9600": (False, False),
    "athlon64_clawhammer": (False, False),
}

BEST, FOUR, FIVE = 0, 4, 5
_WISHES = {"demo": FOUR, "demo-multiboot1": FOUR, "demo-best": BEST, "demo-five": FIVE}
_WISHES["demo-low"] = FOUR
_RELOCATABLE, _RELOCATION_MINIMUM_OFFSET = 10, 8  # the Multiboot 2 header's tag; in it

# What the firmware keeps at the end of low RAM, at most.
_FIRMWARE_BYTES = 256 << 10
CONVENTIONAL_END = 0x9F000
_SHADOW = (0xD0000, 0xF0000, "nvs")


@dataclass(frozen=True)
class Guest:
    """`modules` are (bytes, string); `reads` is the command line as the kernel must see it, where
    the loader changes what it is given; `wish` replaces the paging that the kernel wishes for."""

    loader: str
    kernel: str
    memory: str
    cpu: str
    base: Optional[int] = None
    cmdline: Optional[str] = None
    reads: Optional[str] = None
    modules: Sequence[Tuple[int, str]] = ()
    wish: Optional[int] = None
    machine: str = "pc"
    note: str = ""

    @property
    def name(self) -> str:
        where = f"at {self.base:#x}" if self.base is not None else ""
        wish = f"wish {self.wish}" if self.wish is not None else ""
        board = self.machine if self.machine != "pc" else ""
        words = [self.loader, self.kernel, self.memory, self.cpu, board, where, wish, self.note]
        return " ".join(filter(None, words))


def expected_paging(kernel: str, cpu: str, wish: Optional[int] = None) -> dict:
    """The report's lines that follow from the CPU and the kernel's wish."""
    large, la57 = _CPUS[cpu]
    wished = _WISHES[kernel] if wish is None else wish
    five = wished == FIVE or (wished == BEST and la57)
    return {"paging": "5-level" if five else "4-level", "page_size": "1G" if large else "2M"}


def boot_guest(guest: Guest, **options) -> Report:
    """Boots it and checks all of the report that follows from what was given. Options as for
    machine.Boot."""
    kernel = guest_kernel(guest)
    files = module_files(guest)
    options = {"memory": guest.memory, "cpu": guest.cpu, "machine": guest.machine, **options}
    result = machine.run(_boot(guest, kernel, files, options))
    return expect_guest(guest, kernel, files, result)


def guest_kernel(guest: Guest) -> Path:
    """The ELF as the loader gets it: with another wish, or asking for another address."""
    path = cases.BUILD / f"{guest.kernel}.elf"
    if guest.wish is not None:
        path = patch(path, "prologue_wish_paging", guest.wish.to_bytes(4, "little"))
    if guest.base is None:
        return path
    if guest.loader == GRUB_MULTIBOOT2:  # which moves an image by itself, to the first such place
        minimum = multiboot2_tag(Image(path), _RELOCATABLE) + _RELOCATION_MINIMUM_OFFSET
        return patch(path, minimum, guest.base.to_bytes(4, "little"))
    return rebased(path, guest.base)


def expect_guest(guest: Guest, kernel: Path, files: list, result: machine.Result) -> Report:
    """Checks a guest's report, whichever machine it ran on. `files` are its module_files."""
    report = expect_report(
        result,
        kernel,
        loader=guest.loader.split()[1],
        cmdline=_cmdline_read(guest),
        modules=_modules_read(guest, files),
        **expected_paging(guest.kernel, guest.cpu, guest.wish),
    )
    if guest.kernel != "demo-low":  # which GRUB moves to wherever it likes
        base = guest.base or Image(kernel).base
        assert report.load_base == base, f"load-base is {report.load_base:#x}, not {base:#x}"
    _expect_rsdp(guest, report)
    expect_ram(report, *ram_spans(guest.machine, guest.memory))
    return report


def ram_spans(board: str, memory: str) -> Tuple[int, int]:
    """Bytes of RAM below 4 GiB and above, as QEMU splits them."""
    size = int(memory[:-1]) * {"M": MIB, "G": GIB}[memory[-1]]
    split = {"pc": 0xE0000000, "q35": 0xB0000000}.get(board, 4 * GIB)
    low = {"pc": 3 * GIB, "q35": 2 * GIB}.get(board)
    return (size, 0) if size < split else (low, size - low)


def expect_ram(report: Report, low: int, high: int,
               conventional: int = CONVENTIONAL_END) -> None:
    """RAM is conventional memory, all from 1 MiB on but for the firmware's at its end, and all
    above 4 GiB; each without a hole. What microvm's firmware shadows its ROM with is left out."""
    ram = merged(r._replace(kind="RAM") for r in report.of_kind(*RAM_KINDS)
                 if (r.start, r.end, r.kind) != _SHADOW)
    if ram[0].start == 0:  # page 0 is known only where something lies in it
        ram[0] = ram[0]._replace(start=0x1000)
    end = ram[1].end
    assert low - _FIRMWARE_BYTES <= end <= low, f"RAM below 4 GiB ends at {end:#x}"
    wanted = [(0x1000, conventional), (MIB, end)]
    wanted += [(4 * GIB, 4 * GIB + high)] if high else []
    assert ram == [Range(*span, "RAM") for span in wanted], f"RAM is {[str(r) for r in ram]}"


def _boot(guest: Guest, kernel: Path, files: list, options: dict) -> machine.Boot:
    if guest.loader in (GRUB_MULTIBOOT1, GRUB_MULTIBOOT2):
        return machine.Boot(iso=guest_iso(guest, kernel, files), **options)
    initrd = [f"{path} {string}".rstrip() for path, string in files]
    return machine.Boot(kernel=kernel, initrd=initrd, append=guest.cmdline, **options)


def guest_iso(guest: Guest, kernel: Path, files: list) -> Path:
    protocol = {GRUB_MULTIBOOT1: "multiboot", GRUB_MULTIBOOT2: "multiboot2"}[guest.loader]
    return grub_iso(kernel, protocol, guest.cmdline or "", files)


def module_files(guest: Guest) -> List[Tuple[Path, str]]:
    """The modules as files of zeros, however large."""
    files = [(cases.scratch_file(b"", "module"), string) for _, string in guest.modules]
    for (path, _), (size, _) in zip(files, guest.modules):
        os.truncate(path, size)
    return files


def _cmdline_read(guest: Guest) -> str:
    return guest.reads if guest.reads is not None else guest.cmdline or ""


def _modules_read(guest: Guest, files: list) -> List[tuple]:
    """What each loader makes of a module's string: QEMU's Multiboot has the path before it."""
    if guest.loader == QEMU_MULTIBOOT1:
        return [(None, os.path.getsize(path), f"{path} {s}".rstrip()) for path, s in files]
    return [(None, os.path.getsize(path), string) for path, string in files]


def _expect_rsdp(guest: Guest, report: Report) -> None:
    """PVH has the firmware's own; Multiboot 2 a copy of it, which is Prologue's then; Multiboot 1
    none."""
    rsdp = report.fields["rsdp"]
    if guest.loader == QEMU_PVH:
        assert 0xE0000 <= rsdp < MIB, f"rsdp is {rsdp:#x}"
    elif guest.loader == GRUB_MULTIBOOT2:
        own = report.of_kind("prologue")
        assert any(r.start <= rsdp < r.end for r in own), f"rsdp is {rsdp:#x}"
    else:
        assert rsdp == 0, f"rsdp is {rsdp:#x}"
