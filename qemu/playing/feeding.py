"""Scripts for the feeder (qemu/feeder/script.h), which plays an arbitrary loader."""

import struct
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Iterable, List, Tuple

import cases
import machine

_MAGIC = 0x44454546

FLAT_CODE32 = 0x00CF9B000000FFFF
FLAT_CODE64 = 0x00AF9B000000FFFF
FLAT_DATA = 0x00CF93000000FFFF

CR0_PE = 1 << 0
CR0_ET = 1 << 4
EFLAGS_ONE = 1 << 1


@dataclass
class Registers:
    """The CPU at the jump, in the order of script.h's CpuState. The defaults are what PVH and
    Multiboot promise: 32-bit mode, flat segments, paging and interrupts off. IDTR's limit is 0, FS
    and GS are null.

    With gdt_base 0 the feeder's own GDT is used, flat code32 at 0x08 and data at 0x10; otherwise
    the GDT that a record placed there. `gdt_gone` leaves GDTR empty. A CR0 with paging on needs
    tables that identity-map the feeder. `wide` enters 64-bit mode, with a `cs` that has L set; then
    registers are 64 bits wide, and the Moves of script.h are made before."""

    eax: int = 0
    ebx: int = 0
    ecx: int = 0
    edx: int = 0
    esi: int = 0
    edi: int = 0
    ebp: int = 0
    esp: int = 0
    eip: int = 0
    eflags: int = EFLAGS_ONE
    cr0: int = CR0_PE | CR0_ET
    cr3: int = 0
    cr4: int = 0
    efer: int = 0
    gdt_base: int = 0
    gdt_limit: int = 0
    cs: int = 0x08
    data: int = 0x10
    fs_gs: int = 0
    tr: int = 0
    gdt_gone: bool = False
    wide: bool = False
    move_count: int = 0
    moves_at: int = 0
    wide_cr3: int = 0


_STATE = "<9Q14I2Q"  # script.h's CpuState


def gdt_record(at: int, descriptors: Iterable[int]) -> Tuple[int, bytes]:
    """A GDT at a physical address; its first descriptor is selector 0x08."""
    return at, b"".join(d.to_bytes(8, "little") for d in [0, *descriptors])


def script(records: Iterable[Tuple[int, bytes]], registers: Registers) -> bytes:
    """The feeder's module: copy each (physical address, bytes), then enter with `registers`."""
    records = list(records)
    parts: List[bytes] = [struct.pack("<II", _MAGIC, len(records))]
    for dest, data in records:
        parts += [struct.pack("<II", dest, len(data)), data, bytes(-len(data) % 4)]
    return b"".join(parts) + struct.pack(_STATE, *map(int, astuple(registers)))


def feed(
    records: Iterable[Tuple[int, bytes]],
    registers: Registers,
    feeder: str = "feeder.elf",
    **options,
) -> machine.Boot:
    """A Boot that plays this script. feeder.elf lives at 80 MiB and its script behind it;
    feeder-high.elf at 768 MiB, and so wants 1G of memory. Options as for machine.Boot."""
    return boot_script(script(records, registers), feeder, **options)


def boot_script(contents: bytes, feeder: str = "feeder.elf", **options) -> machine.Boot:
    """A Boot that plays a finished script."""
    path: Path = cases.scratch_file(contents, "script.bin")
    return machine.Boot(kernel=cases.BUILD / feeder, initrd=[path], **options)
