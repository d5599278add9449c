"""Linux's boot protocol by loaders that others wrote: QEMU's from real mode, GRUB's on a BIOS and
on UEFI, kexec's in 64-bit mode; the bzImage itself; and what a loader could get wrong."""

import os
import re
import struct
import subprocess
import sys
import threading
from dataclasses import replace
from typing import Optional

import cases
import e820
import feeding
import machine
import modes
import under_linux
from any_loader import LINUX, PC_128M, Load, Placed, expect_exactly, fed, registers
from cases import Case
from guests import expect_ram, expected_paging, ram_spans
from handoff_report import GIB, MIB, expect_report
from images import Image, patch
from iso import BIOS, EFI, OVMF, grub_iso, grub_starts_by_efi
from linux_image import TOOL, bzimage
from refusals import wrong
from uefi_map import expect_efi
from wrong_kernels import at, linked, wishes

_UEFI_TIMEOUT = 60

# Offsets in the setup header, of two bytes and more.
_XLOADFLAGS, _INIT_SIZE, _PREF_ADDRESS, _RELOCATABLE = 0x236, 0x260, 0x258, 0x234
_ALIGNMENT, _MIN_ALIGNMENT = 0x230, 0x235


def initrd(size: Optional[int]) -> list:
    """A file of that many bytes, and what must be reported of it."""
    if size is None:
        return [], []
    path = cases.scratch_file(b"", "initrd")
    os.truncate(path, size)
    return [(path, "")], [(None, size, "")]


def qemu(kernel: str = "demo-every", cpu: str = "max", memory: str = "128M", board: str = "pc",
         cmdline: str = "", size: Optional[int] = None) -> Case:
    """From real mode: QEMU's own loader enters the image's 16-bit code."""

    def function() -> None:
        files, modules = initrd(size)
        result = machine.run(machine.Boot(
            kernel=cases.BUILD / f"{kernel}.bzImage", append=cmdline, memory=memory, cpu=cpu,
            machine=board, initrd=[path for path, _ in files]))
        report = expect_report(
            result, cases.BUILD / f"{kernel}.elf", loader="linux", load_base=MIB, cmdline=cmdline,
            modules=modules, **expected_paging(kernel.removesuffix("-every"), cpu))
        expect_ram(report, *ram_spans(board, memory))

    words = ["linux: QEMU from real mode,", kernel, memory, cpu, board]
    words += ["with a command line"] * bool(cmdline) + [f"initrd of {size}"] * (size is not None)
    return Case(" ".join(words), function)


def grub(platform: str, kernel: str = "demo-every", cpu: str = "max", memory: str = "128M",
         cmdline: str = "", size: Optional[int] = None) -> Case:
    def function() -> None:
        files, modules = initrd(size)
        iso = grub_iso(cases.BUILD / f"{kernel}.bzImage", "linux", cmdline, files, platform)
        firmware, timeout = (OVMF, _UEFI_TIMEOUT) if platform == EFI else (None, 20)
        result = machine.run(machine.Boot(
            iso=iso, firmware=firmware, memory=memory, cpu=cpu, timeout=timeout))
        started = platform == EFI and grub_starts_by_efi()
        way = {"loader": "efi", "entry_mode": "long64"} if started else {"loader": "linux"}
        report = expect_report(
            result, cases.BUILD / f"{kernel}.elf", modules=modules, **way,
            cmdline=f"BOOT_IMAGE=/kernel {cmdline}".rstrip(),
            **expected_paging(kernel.removesuffix("-every"), cpu))
        if platform == EFI:
            expect_efi(report)
        else:
            expect_ram(report, *ram_spans("pc", memory))

    return Case(f"linux: GRUB on {platform}, {kernel}, {memory} {cpu}", function)


# --- kexec ------------------------------------------------------------------------------------


def kexec(kernel: str, cpu: str, memory: str = "1G") -> Case:
    """Debian's kernel starts ours, by kexec_file_load."""

    def function() -> None:
        files = {"initrd": b"x" * 5000,
                 "kernel": (cases.BUILD / f"{kernel}.bzImage").read_bytes()}
        result = machine.run(machine.Boot(**under_linux.boot(files), memory=memory, cpu=cpu))
        report = expect_report(
            result, cases.BUILD / f"{kernel}.elf", loader="linux", entry_mode="long64",
            cmdline="from kexec", modules=[(None, 5000, "")],
            **expected_paging(kernel.removesuffix("-every"), cpu))
        assert report.fields["rsdp"] != 0, "kexec tells where the RSDP is"

    return Case(f"linux: kexec from Debian's kernel, {kernel}, {memory} {cpu}", function)


# --- The bzImage ------------------------------------------------------------------------------


def header_field(image: bytes, offset: int, size: int) -> int:
    return int.from_bytes(image[offset:offset + size], "little")


def says_what_it_can() -> None:
    elf_path = cases.BUILD / "demo-every.elf"
    elf = Image(elf_path)
    four, best, five = ((cases.BUILD / f"{name}.bzImage").read_bytes()
                        for name in ("demo-every", "demo-best-every", "demo-five-every"))
    for image in (four, best, five):
        assert header_field(image, _RELOCATABLE, 1) == 1
        assert header_field(image, _PREF_ADDRESS, 8) == MIB
    flags = [header_field(image, _XLOADFLAGS, 2) for image in (four, best, five)]
    assert flags == [0x23, 0x63, 0x63], [hex(f) for f in flags]
    assert header_field(four, _INIT_SIZE, 4) == elf.end - elf.base
    note_type = elf.virtual("prologue_wish_relocatable") - 16  # before the owner's name
    fixed = bzimage(patch(elf_path, note_type, struct.pack("<I", 0x7F))).read_bytes()
    assert header_field(fixed, _RELOCATABLE, 1) == 0
    assert header_field(fixed, _XLOADFLAGS, 2) == 0x21


def is_refused(kernel: str, message: str) -> Case:
    def function() -> None:
        command = [sys.executable, TOOL, cases.BUILD / f"{kernel}.elf",
                   cases.scratch_directory() / "out"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 1 and message in done.stderr, done

    return Case(f"linux: no bzImage of {kernel}", function)


def prefers_large_pages() -> None:
    """One that can be moved: it may lie anywhere, and best where large pages do."""
    movable = linked(*at(physical=16 * MIB), objects=lambda: [
        wishes("HEADERS(pvh, linux)", "RELOCATABLE")])()
    image = bzimage(movable).read_bytes()
    assert header_field(image, _PREF_ADDRESS, 8) == 16 * MIB
    assert header_field(image, _ALIGNMENT, 4) == 2 * MIB
    assert header_field(image, _MIN_ALIGNMENT, 1) == 12


# --- Through the feeder -----------------------------------------------------------------------


def many_ranges(count: int) -> list:
    """A map with so many ranges, of which every other is RAM."""
    extra = [((5 + i) * GIB, MIB, 1 if i % 2 else 2) for i in range(count - len(PC_128M))]
    return [*PC_128M, *extra]


def plays(name: str, load: Load, change=lambda info: None, cpu: str = "max", options=(),
          **expected) -> Case:
    def function() -> None:
        boot = fed(load, change, cpu=cpu, **dict(options))
        expect_exactly(load, machine.run(boot), **{**expected_paging("demo", cpu), **expected})

    return Case(f"linux: {name}, {load.mode} on {cpu}", function)


def dirty_bss(load: Load) -> Case:
    """Loaders of Linux load what is in the file; memory behind it is as it was. No flag is
    promised: the direction flag is set."""

    def function() -> None:
        image = Image(load.path)
        start = max(s.paddr + len(s.data) for s in image.segments if s.data)
        noise = b"\xa5" * (image.end - start)
        boot = fed(load, damage=[(load.base + start - image.base, noise)],
                   entry=registers(load, eflags=feeding.EFLAGS_ONE | _DIRECTION))
        expect_exactly(load, machine.run(boot), **expected_paging("demo", "max"))

    return Case(f"linux: .bss full of noise, {load.mode}", function)


_DIRECTION = 1 << 10
_LOAD = Load(LINUX, kernel="demo-every", cmdline="a b", modules=(Placed(0x4000123, b"x" * 5000),))
_LONG = replace(_LOAD, mode=modes.LONG64)
_HIGH = dict(memory="7G", machine="pc,max-ram-below-4g=4G")
_HIGH_LOAD = replace(_LONG, memory_map=e820.simple(0xC0000000, 3 * GIB))

_TEXT_SCREEN = 0xB8000  # 80 columns, 25 lines: a character, its colour


def as_a_boot_sector(made_for_uefi: bool) -> None:
    """A file that was written to a disk's beginning without a loader says so on the screen."""
    disk = bzimage(cases.BUILD / "demo-every.elf", *([] if made_for_uefi else ["--no-efi"]))
    directory = cases.scratch_directory()
    monitor, screen = directory / "monitor", directory / "screen"
    halted = re.compile(rb"HLT=1.*CS =07c0", re.DOTALL)
    look = f'pmemsave {_TEXT_SCREEN:#x} 4000 "{screen}"\nquit\n'.encode()
    poker = threading.Thread(target=machine.tell_monitor,
                             args=(monitor, b"info registers\n", halted, look))
    poker.start()
    machine.run(machine.Boot(extra=["-vga", "std", "-drive", f"file={disk},format=raw,if=ide",
                                    "-monitor", f"unix:{monitor},server=on,wait=off"]))
    poker.join()
    said = screen.read_bytes()[::2].decode("latin-1")
    assert "prologue: no boot sector " in said, said


CASES = [
    qemu(),
    Case("linux: a file for UEFI as a disk's boot sector", lambda: as_a_boot_sector(True)),
    Case("linux: a bzImage as a disk's boot sector", lambda: as_a_boot_sector(False)),
    qemu("demo-best-every", "max", "6G", "q35", cmdline="a b=c"),
    qemu("demo-five-every", "qemu64,+la57", "16M", size=5000),
    qemu("demo-every", "qemu64", "1G", cmdline="x" * 1500, size=3 << 20),
    qemu("demo-every", "Nehalem", "4G", "q35", size=1),
    grub(BIOS, cmdline="a b"),
    grub(BIOS, "demo-best-every", "qemu64", "1G", size=70001),
    grub(EFI, cmdline="a b", memory="256M", size=5000),
    grub(EFI, "demo-five-every", "max", "256M"),
    kexec("demo-every", "qemu64"),
    kexec("demo-every", "max"),
    kexec("demo-five-every", "max", "6G"),
    Case("linux: the bzImage says what it can", says_what_it_can),
    is_refused("demo", "it does not carry the linux header"),
    Case("linux: a bzImage that can be moved prefers large pages", prefers_large_pages),
    dirty_bss(_LOAD),
    dirty_bss(_LONG),
    plays("200 ranges, most in setup_data", replace(_LOAD, memory_map=many_ranges(200))),
    plays("200 ranges, most in setup_data", replace(_LONG, memory_map=many_ranges(200))),
    plays("initrd above 4 GiB", replace(_HIGH_LOAD, modules=(Placed(0x170000123, b"x" * 5000),)),
          options=_HIGH),
    plays("an RSDP", _LOAD, lambda info: info.set("acpi_rsdp_addr", 0xF5A40), rsdp=0xF5A40),
    wrong("no HdrS", _LOAD, "linux: no HdrS in boot_params (<info>, 0)", {"header": 0}),
    wrong("protocol 2.01", _LOAD, "linux: a protocol older than 2.02 (<info>, 201)",
          {"version": 0x201}),
    wrong("lguest", _LOAD, "linux: lguest (1, 0)", {"hardware_subarch": 1}),
    wrong("Xen", _LONG, "linux: Xen (2, 0)", {"hardware_subarch": 2}),
    wrong("a subarch nobody knows", _LOAD, "linux: an unknown hardware_subarch (9, 0)",
          {"hardware_subarch": 9}),
    wrong("no memory map", _LOAD, "linux: the e820's entries are none, or too many (<info>, 0)",
          {"e820_entries": 0}),
    wrong("129 entries", _LONG, "linux: the e820's entries are none, or too many (<info>, 81)",
          {"e820_entries": 129}),
    wrong("setup_data out of reach", _LOAD,
          "linux setup_data: 10 bytes at fffffffffffffff0 cannot be reached before the kernel's "
          "tables stand", {"setup_data": -16}),
    wrong("setup_data that points to itself", _LOAD,
          "linux: the list of setup_data does not end (30000, 40)", {"setup_data": 0x30000},
          [(0x30000 - MIB, struct.pack("<QII", 0x30000, 9, 0))]),
    wrong("setup_data too long", _LOAD,
          "linux: a piece of setup_data is too long (30000, ffffffff)", {"setup_data": 0x30000},
          [(0x30000 - MIB, struct.pack("<QII", 0, 9, 0xFFFFFFFF))]),
    wrong("a memory map in setup_data that is none", _LONG,
          "linux: setup_data's memory map is not one (30000, 15)", {"setup_data": 0x30000},
          [(0x30000 - MIB, struct.pack("<QII", 0, 1, 21))]),
    wrong("an initrd beyond all memory", _LOAD,
          "linux: module at ffffffff04000123 of 1388 bytes lies beyond all physical memory",
          {"ext_ramdisk_image": 0xFFFFFFFF}),
]
