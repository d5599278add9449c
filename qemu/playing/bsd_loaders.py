"""OpenBSD's vmd and FreeBSD's userboot: everything that they have in memory at their jump, and each
state that they leave a CPU in, register for register. For the feeder to play."""

import struct
from typing import Sequence

import bsd_composers
import feeding
from bsd_composers import Console
from composers import MemoryRange, Module
from feeding import CR0_ET, CR0_PE, Registers
from images import Image

MIB = 1 << 20
_CR0_NE, _CR0_PG = 1 << 5, 1 << 31
_PSE, _PAE, _LME = 1 << 4, 1 << 5, 1 << 8
_FLAT = [feeding.FLAT_CODE32, feeding.FLAT_DATA]

# RAM, and nothing of a firmware's: what both describe.
RAM_128M = ((0, 636 << 10, 1), (MIB, 127 * MIB, 1))

# OpenBSD vmd.

VMD_LIST, VMD_STACK = 0x2000, 0xFFDC
VMD_SYMBOLS = b"s" * 0x3456  # behind .bss
_GDT, _PML4, _PML3, _PML2 = 0x10000, 0x11000, 0x12000, 0x13000


def _words(at: int, words: list, kind: str = "Q") -> tuple:
    return at, struct.pack(f"<{len(words)}{kind}", *words)


_PAGE_TABLES = [_words(_PML4, [_PML3 | 3]), _words(_PML3, [_PML2 | 7]),
                _words(_PML2, [i << 21 | 0x87 for i in range(512)])]
_PAGE_DIRECTORY = [_words(_PML3, [i << 22 | 0x83 for i in range(1024)], "I")]

# What vmd has left a CPU in: control registers and tables. The first is today's.
PAGING_OFF, LEFT_OVER = "paging off", "paging off, CR3 and CR4 left over"
COMPATIBILITY, PAGED = "compatibility mode", "4 MiB paging"
_STATES = {
    PAGING_OFF: ({}, []),
    LEFT_OVER: ({"cr3": _PML3, "cr4": _PSE}, _PAGE_DIRECTORY),
    COMPATIBILITY: ({"cr0": CR0_PE | CR0_ET | _CR0_PG, "cr3": _PML4, "cr4": _PAE | _PSE,
                     "efer": _LME}, _PAGE_TABLES),
    PAGED: ({"cr0": CR0_PE | CR0_ET | _CR0_PG, "cr3": _PML3, "cr4": _PSE}, _PAGE_DIRECTORY),
}
VMD_STATES = tuple(_STATES)
# As the handoff names them.
VMD_MODES = {PAGING_OFF: "protected32", LEFT_OVER: "protected32", COMPATIBILITY: "compat32",
             PAGED: "paged32"}


def vmd(
    image: Image,
    state: str = PAGING_OFF,
    memory_map: Sequence[MemoryRange] = RAM_128M,
    console: Console = Console(),
    mac: bytes = b"",
    **said,
) -> tuple:
    """Records, and registers; what else is said goes onto the stack."""
    changes, tables = _STATES[state]
    listed = {"memory_map": memory_map, "console": console, "mac": mac}
    stack = bsd_composers.vmd_info(VMD_STACK, kernel_end=image.end + len(VMD_SYMBOLS),
                                   list_at=VMD_LIST, **listed, **said)
    arguments = bsd_composers.vmd_list(VMD_LIST, **listed)
    gdt = feeding.gdt_record(_GDT, [*_FLAT, feeding.FLAT_CODE64])
    registers = Registers(eip=image.entry & 0x0FFFFFFF, esp=VMD_STACK, gdt_base=_GDT,
                          gdt_limit=0xFFFF, **changes)
    return [*image.records(), *stack.records, *arguments.records, gdt, *tables,
            (image.end, VMD_SYMBOLS)], registers


# FreeBSD userboot.

USERBOOT_STACK, USERBOOT_STACK_END = 0x1FDC, 0x2100  # bootinfo and the kernel's name included
_USERBOOT_GDT, _TSS = 0x3000, 0x4000
_TSS_DESCRIPTOR = 0x0000890040000067  # 104 bytes at 0x4000, available


def userboot(image: Image, memory_map: Sequence[MemoryRange] = RAM_128M, modules: Sequence = (),
             **said) -> tuple:
    """Records, registers, and where the files end: the kernel, the modules (any_loader.Placed), and
    the records of both."""
    said = {"cmdline": None, "environment": ("console=comconsole",), "howto": 0, **said}
    said["kernel"] = Module(image.base, image.end - image.base)
    said["modules"] = [m.described() for m in modules]
    files_at = modules[-1].end if modules else image.end
    stack = bsd_composers.freebsd_info(USERBOOT_STACK, memory_map=memory_map, files_at=files_at,
                                       **said)
    files = bsd_composers.freebsd_files(files_at, memory_map=memory_map, **said)
    gdt = feeding.gdt_record(_USERBOOT_GDT, [*_FLAT, _TSS_DESCRIPTOR])
    registers = Registers(eip=image.entry & 0xFFFFFF, esp=USERBOOT_STACK, cr0=CR0_PE | _CR0_NE,
                          gdt_base=_USERBOOT_GDT, gdt_limit=31, tr=0x18)
    records = [*image.records(), *stack.records, *files.records, gdt, (_TSS, bytes(104))]
    return records + [(m.start, m.contents) for m in modules], registers, files.end
