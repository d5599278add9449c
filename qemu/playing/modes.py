"""The modes that loaders leave a CPU in, for the feeder: page tables, a GDT, control registers.

All tables map RAM at its own address. They lie in memory that looks free, as loaders' do.
"""

import struct
from dataclasses import dataclass, replace
from typing import List, Tuple

import feeding
from feeding import Registers, gdt_record

GIB = 1 << 30
PAGE = 0x1000

PROTECTED32, PAGED32, PAE32, COMPAT32 = "protected32", "paged32", "pae32", "compat32"
LONG64, LONG64_FIVE = "long64", "long64 with 5 levels"
MODES_32 = (PROTECTED32, PAGED32, PAE32, COMPAT32)
MODES_64 = (LONG64, LONG64_FIVE)

# What the handoff calls them: legacy PAE is a kind of 32-bit paging.
REPORTED = {
    PROTECTED32: "protected32",
    PAGED32: "paged32",
    PAE32: "paged32",
    COMPAT32: "compat32",
    LONG64: "long64",
    LONG64_FIVE: "long64",
}

_TABLES = 0x3000000
_GDT = 0x3010000
_MOVES = 0x3011000
_CODE32, _DATA, _CODE64 = 0x08, 0x10, 0x18

_PG, _PAE, _PSE, _LA57 = 1 << 31, 1 << 5, 1 << 4, 1 << 12
_CR0 = feeding.CR0_PE | feeding.CR0_ET
_LME = 1 << 8
_LARGE, _TABLE = 0x83, 0x3


@dataclass(frozen=True)
class Entered:
    """What a mode adds to a load: records, and the registers in it."""

    records: List[Tuple[int, bytes]]
    registers: Registers


def entered(mode: str, registers: Registers, tables: int = _TABLES, high: int = 4) -> Entered:
    """`registers` in that mode, with the first `high` GiBs mapped where there is room for it; and
    with the bits of control registers that they have besides."""
    if mode == PROTECTED32:
        return Entered([], registers)
    build = {PAGED32: _paged, PAE32: _pae, COMPAT32: _compat, LONG64: _long, LONG64_FIVE: _five}
    records, changes = build[mode](tables, high)
    gdt = gdt_record(_GDT, [feeding.FLAT_CODE32, feeding.FLAT_DATA, feeding.FLAT_CODE64])
    changes = {"gdt_base": _GDT, "gdt_limit": 31, "data": _DATA, "cr0": _CR0 | _PG, **changes}
    changes.update({name: changes[name] | getattr(registers, name)
                    for name in ("cr0", "cr4", "efer") if name in changes})
    return Entered([gdt, *records], replace(registers, **changes))


def moved(entry: Entered, pieces: List[Tuple[int, bytes]], staging: int) -> Entered:
    """The same, with pieces at any address: those from 4 GiB on arrive there in 64-bit mode, from
    `staging` on."""
    records, moves = list(entry.records), []
    for at, data in pieces:
        if at + len(data) <= 4 * GIB:
            records.append((at, data))
            continue
        records.append((staging, data))
        moves.append(struct.pack("<3Q", staging, at, len(data)))
        staging += len(data) + 15 & -16
    records.append((_MOVES, b"".join(moves)))
    return Entered(records, replace(entry.registers, move_count=len(moves), moves_at=_MOVES))


def _paged(tables: int, high: int) -> tuple:
    return [_table(tables, [i << 22 | _LARGE for i in range(1024)], "I")], {
        "cr3": tables, "cr4": _PSE, "cs": _CODE32}


def _directories(at: int, gibs: int) -> List[Tuple[int, bytes]]:
    return [_table(at + gib * PAGE, [gib << 30 | i << 21 | _LARGE for i in range(512)])
            for gib in range(gibs)]


def _pae(tables: int, high: int) -> tuple:
    pdpt = [tables + PAGE * (1 + gib) | 1 for gib in range(4)]
    return [_table(tables, pdpt), *_directories(tables + PAGE, 4)], {
        "cr3": tables, "cr4": _PAE, "cs": _CODE32}


def _four_levels(tables: int, gibs: int) -> List[Tuple[int, bytes]]:
    """A PML4, a PDPT, and a directory a GiB. From 512 GiB on, the same is seen again."""
    pdpt = [tables + PAGE * (2 + gib) | _TABLE for gib in range(gibs)]
    return [_table(tables, [tables + PAGE | _TABLE] * 2), _table(tables + PAGE, pdpt),
            *_directories(tables + 2 * PAGE, gibs)]


def _compat(tables: int, high: int) -> tuple:
    return _four_levels(tables, 1), {
        "cr3": tables, "cr4": _PAE | _PSE, "efer": _LME, "cs": _CODE32}


def _long(tables: int, high: int) -> tuple:
    return _four_levels(tables, high), {
        "cr3": tables, "cr4": _PAE, "efer": _LME, "cs": _CODE64, "wide": True}


def _five(tables: int, high: int) -> tuple:
    pml5 = _table(tables, [tables + PAGE | _TABLE])
    return [pml5, *_four_levels(tables + PAGE, high)], {
        "cr3": tables, "cr4": _PAE | _LA57, "efer": _LME, "cs": _CODE64, "wide": True}


def _table(at: int, entries: list, word: str = "Q") -> Tuple[int, bytes]:
    return at, struct.pack(f"<{len(entries)}{word}", *entries)
