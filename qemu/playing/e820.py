"""Memory maps to feed: those of real machines, odd ones, and very long ones.

Each is a list of (start, bytes, e820 type). Real ones are written (start, last byte, type), as
Linux prints them. The largest piece of RAM below 4 GiB must be there in the guest: Prologue writes
to its end.
"""

import random
from typing import List, Sequence, Tuple

from handoff_report import GIB, MIB, PAGE

# A guest with RAM up to nearly 4 GiB, for machines of others: as much is there as they say.
NEAR_4G = {"memory": "4070M", "machine": "pc,max-ram-below-4g=4G"}

MemoryMap = List[Tuple[int, int, int]]

RAM, RESERVED, ACPI, NVS, BAD = 1, 2, 3, 4, 5


def _printed(ranges: Sequence[Tuple[int, int, int]]) -> MemoryMap:
    return [(start, last + 1 - start, kind) for start, last, kind in ranges]


def simple(low_end: int, high_bytes: int = 0) -> MemoryMap:
    """A PC with RAM up to `low_end`, and some above 4 GiB."""
    ranges = [(0, 0x9FC00, RAM), (0x9FC00, 0x400, RESERVED), (0xF0000, 0x10000, RESERVED)]
    ranges += [(MIB, low_end - MIB, RAM), (0xFFFC0000, 0x40000, RESERVED)]
    return ranges + ([(4 * GIB, high_bytes, RAM)] if high_bytes else [])


# A desktop of 16 GiB with AMD's firmware.
DESKTOP = _printed(
    [
        (0x0000000000000000, 0x000000000009FFFF, RAM),
        (0x00000000000A0000, 0x00000000000FFFFF, RESERVED),
        (0x0000000000100000, 0x0000000009CFFFFF, RAM),
        (0x0000000009D00000, 0x0000000009FFFFFF, RESERVED),
        (0x000000000A000000, 0x000000000A1FFFFF, RAM),
        (0x000000000A200000, 0x000000000A20AFFF, NVS),
        (0x000000000A20B000, 0x000000000AFFFFFF, RAM),
        (0x000000000B000000, 0x000000000B01FFFF, RESERVED),
        (0x000000000B020000, 0x00000000D9DBFFFF, RAM),
        (0x00000000D9DC0000, 0x00000000DA1BCFFF, RESERVED),
        (0x00000000DA1BD000, 0x00000000DA3A5FFF, ACPI),
        (0x00000000DA3A6000, 0x00000000DA819FFF, NVS),
        (0x00000000DA81A000, 0x00000000DB3FEFFF, RESERVED),
        (0x00000000DB3FF000, 0x00000000DCFFFFFF, RAM),
        (0x00000000DD000000, 0x00000000DFFFFFFF, RESERVED),
        (0x00000000F8000000, 0x00000000FBFFFFFF, RESERVED),
        (0x00000000FD000000, 0x00000000FFFFFFFF, RESERVED),
        (0x0000000100000000, 0x000000041F37FFFF, RAM),
        (0x000000041F380000, 0x000000041FFFFFFF, RESERVED),
    ]
)

# A laptop of 8 GiB with Intel's graphics, whose two broken pages are reserved.
LAPTOP = _printed(
    [
        (0x0000000000000000, 0x000000000009D7FF, RAM),
        (0x000000000009D800, 0x000000000009FFFF, RESERVED),
        (0x00000000000E0000, 0x00000000000FFFFF, RESERVED),
        (0x0000000000100000, 0x000000001FFFFFFF, RAM),
        (0x0000000020000000, 0x00000000201FFFFF, RESERVED),
        (0x0000000020200000, 0x0000000040003FFF, RAM),
        (0x0000000040004000, 0x0000000040004FFF, RESERVED),
        (0x0000000040005000, 0x00000000CA84BFFF, RAM),
        (0x00000000CA84C000, 0x00000000CA84FFFF, NVS),
        (0x00000000CA850000, 0x00000000D9D1EFFF, RAM),
        (0x00000000D9D1F000, 0x00000000DAE9EFFF, RESERVED),
        (0x00000000DAE9F000, 0x00000000DAF9EFFF, NVS),
        (0x00000000DAF9F000, 0x00000000DAFFEFFF, ACPI),
        (0x00000000DAFFF000, 0x00000000DAFFFFFF, RAM),
        (0x00000000DB000000, 0x00000000DF9FFFFF, RESERVED),
        (0x00000000F8000000, 0x00000000FBFFFFFF, RESERVED),
        (0x00000000FEC00000, 0x00000000FEC00FFF, RESERVED),
        (0x00000000FED08000, 0x00000000FED08FFF, RESERVED),
        (0x00000000FED10000, 0x00000000FED19FFF, RESERVED),
        (0x00000000FED1C000, 0x00000000FED1FFFF, RESERVED),
        (0x00000000FEE00000, 0x00000000FEE00FFF, RESERVED),
        (0x00000000FFD20000, 0x00000000FFFFFFFF, RESERVED),
        (0x0000000100000000, 0x000000021E5FFFFF, RAM),
        (0x000000021E600000, 0x000000021E7FFFFF, RESERVED),
    ]
)

# A server of two sockets and 768 GiB.
SERVER = _printed(
    [
        (0x0000000000000000, 0x000000000009ABFF, RAM),
        (0x000000000009AC00, 0x000000000009FFFF, RESERVED),
        (0x00000000000E0000, 0x00000000000FFFFF, RESERVED),
        (0x0000000000100000, 0x0000000061792FFF, RAM),
        (0x0000000061793000, 0x000000006A792FFF, RESERVED),
        (0x000000006A793000, 0x000000006AB41FFF, ACPI),
        (0x000000006AB42000, 0x000000006B17AFFF, NVS),
        (0x000000006B17B000, 0x000000006F33AFFF, RESERVED),
        (0x000000006F33B000, 0x000000006F7FFFFF, RAM),
        (0x000000006F800000, 0x000000008FFFFFFF, RESERVED),
        (0x00000000FD000000, 0x00000000FE7FFFFF, RESERVED),
        (0x00000000FED20000, 0x00000000FED44FFF, RESERVED),
        (0x00000000FF000000, 0x00000000FFFFFFFF, RESERVED),
        (0x0000000100000000, 0x000000607FFFFFFF, RAM),
        (0x0000006080000000, 0x000000C07FFFFFFF, RAM),
    ]
)

# Ranges that share pages, in no order, and of types that nobody knows.
PARTIAL_PAGES = [
    (0x0, 0x9FC01, RAM),
    (0x9FC01, 0x3FF, RESERVED),
    (0x100001, 0x1FFFFE, RAM),
    (0x2FFFFF, 0x2, RESERVED),
    (0x300001, 0x6FFF, RAM),
    (0x307FFF, 0x1, ACPI),
    (0x308000, 0xFFF, RAM),
    (0x309FFF, 0x2, RAM),
    (0x30A800, 0x800, RAM),
    (0x30B000, 0x800, RAM),
    (0x30B800, 0x800, RAM),
    (0x30C000, 0x0, RESERVED),
    (0x30C000, 0x3CF4000, RAM),
]
OVERLAPS = [
    (0x0, 0x8000000, RAM),
    (0x0, 0x8000000, RAM),
    (0x1000000, 0x1000000, 7),
    (0x1800000, 0x1000000, ACPI),
    (0x1C00000, 0x100000, BAD),
    (0x2800000, 0x800000, NVS),
    (0x2900000, 0x1, 0xFFFFFFFF),
    (0x2C00000, 0x800000, 0),
    (0xA0000, 0x60000, RESERVED),
    (0x0, 0x500, RESERVED),
    (0xFFFFFFFFFFFFE800, 0x1000, RESERVED),
    (0xFFFFFFFFF0000000, 0x10000000, RESERVED),
]

_MAIN = (MIB, 15 * MIB, RAM)  # room for Prologue, before the many
_MANY = 10000


def many_sorted() -> MemoryMap:
    kinds = (RAM, RESERVED, RAM, ACPI)
    return [_MAIN] + [(16 * MIB + i * PAGE, PAGE, kinds[i % 4]) for i in range(_MANY - 1)]


def many_reversed() -> MemoryMap:
    return many_sorted()[::-1]


def most_reversed() -> MemoryMap:
    """As many as PVH may have (kMostMapEntries in boot/pvh.cpp). Wants 1G."""
    far = [(1024 * GIB + 2 * i * PAGE, PAGE, RESERVED) for i in range((1 << 20) - 1)]
    return far[::-1] + [(MIB, 1023 * MIB, RAM)]


def many_shuffled() -> MemoryMap:
    ranges = many_sorted()
    random.Random(1).shuffle(ranges)
    return ranges


def many_overlapping() -> MemoryMap:
    """Of all types and sizes, with bytes to spare at both ends, some far above 4 GiB."""
    dice = random.Random(2)
    bases = (16 * MIB, 20 * MIB, 4 * GIB, 100 * GIB)
    return [_MAIN] + [
        (
            dice.choice(bases) + dice.randrange(32 * MIB),
            dice.choice((1, 0x800, PAGE, 0x12345, MIB)),
            dice.choice((RAM, RAM, RAM, RESERVED, ACPI, NVS, BAD, 77)),
        )
        for _ in range(_MANY - 1)
    ]


def many_growing() -> MemoryMap:
    """Piece after piece of RAM is the largest so far: the worst for a search for the largest.
    Wants 1G."""
    ranges, at = [], 16 * MIB
    for pages in range(2, 800, 2):
        ranges.append((at, pages * PAGE, RAM))
        at += (pages + 1) * PAGE
    many = [(2 * GIB + i * 2 * PAGE, PAGE, RESERVED) for i in range(_MANY - len(ranges))]
    return ranges + many


def many_misleading() -> MemoryMap:
    """One RAM range, cut again and again in what is left of it: whoever keeps the larger side of
    each cut ends up with next to nothing, and 57 MiB are free elsewhere."""
    ranges, start, end = [(MIB, 127 * MIB, RAM)], MIB, 128 * MIB
    while end - start > 128 * PAGE:
        cut = start + (end - start) * 45 // 100 // PAGE * PAGE
        ranges.append((cut, PAGE, RESERVED))
        start = cut + PAGE
    many = [(2 * GIB + i * 2 * PAGE, PAGE, RESERVED) for i in range(_MANY - len(ranges))]
    return ranges + many
