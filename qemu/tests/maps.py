"""What any loader may say, through the feeder: load addresses, memory maps, modules and texts.
The report is held against a model, page by page."""

from dataclasses import replace
from typing import Callable, Optional

import e820
import machine
from any_loader import (
    CONTRACTS,
    MULTIBOOT1,
    MULTIBOOT2,
    PC_128M,
    PVH,
    Load,
    Placed,
    expect_exactly,
    fed,
    registers,
)
from cases import Case
from composers import MULTIBOOT1_MAGIC
from guests import expected_paging
from handoff_report import GIB, MIB, expect_not_usable
from images import Image


def load_case(name: str, load: Load, cpu: str = "max", **options) -> Case:
    """`cpu` and options as for machine.Boot."""

    def function() -> None:
        run_load(load, cpu, **options)

    return Case(f"maps: {name}, {load.contract} on {cpu}", function)


def run_load(load: Load, cpu: str = "max", reads: Optional[str] = None, **options) -> None:
    """`reads` is the command line as the kernel must see it, if not as the loader gave it."""
    result = machine.run(fed(load, cpu=cpu, **options))
    expected = expected_paging(load.path.stem, cpu)
    if reads is not None:
        expected["cmdline"] = reads
    report = expect_exactly(load, result, **expected)
    expect_not_usable(report, [range(m.start, m.end) for m in load.marks()])


def at(contract: str, base: int, cpu: str, low_end: int = 128 * MIB, **others) -> Case:
    """The image at an address, in a guest with as much RAM as the map says."""
    options = e820.NEAR_4G if low_end > 0xE0000000 else {"memory": f"{low_end // MIB}M"}
    others = {"memory_map": e820.simple(low_end), **others}
    load = Load(contract, base=base, cmdline="here", **others)
    name = f"image at {base:#x}, information at {load.info_at:#x}"
    return load_case(name, load, cpu, **options)


_PLACES = [
    at(PVH, 0x101000, "max"),
    at(MULTIBOOT1, 0x101000, "qemu64"),
    at(MULTIBOOT2, 0x1FF000, "max,pdpe1gb=off", kernel="demo-five"),
    at(PVH, 0x200000, "qemu64"),
    at(MULTIBOOT1, 0x345000, "max"),
    at(MULTIBOOT2, 0x345000, "qemu64,+la57", kernel="demo-best"),
    at(PVH, 0x2A00000, "max", kernel="demo-best"),
    at(MULTIBOOT2, 0x7FF000, "qemu64"),
    at(MULTIBOOT1, 0x3FFE0000, "max", 2 * GIB),
    at(MULTIBOOT1, 0x3FFFF000, "qemu64", 2 * GIB),
    at(PVH, 0x3FFF8000, "max", 2 * GIB, kernel="demo-five"),
    at(MULTIBOOT2, 0x7FFF0000, "qemu64", 3 * GIB),
    at(MULTIBOOT2, 0x80000000, "max", 3 * GIB),
    at(PVH, 0xDFEC1000, "qemu64", 0xDFF00000),
    at(PVH, 0xFE5A1000, "qemu64", 0xFE5E0000),
    at(MULTIBOOT1, 0xFE5A1000, "max", 0xFE5E0000),
    at(MULTIBOOT2, 0xFE5A1000, "qemu64,+la57", 0xFE5E0000, kernel="demo-five"),
    at(PVH, 0x101000, "max", info_at=0x1000),
    at(MULTIBOOT2, 0x345000, "max", info_at=0x0),
    at(MULTIBOOT1, 0x345000, "qemu64", 2 * GIB, info_at=0x7FFF0123),
    at(PVH, 0x345000, "qemu64", 0xDFF00000, info_at=0xDFEF0000),
]


def mapped(name: str, memory_map: list, contract: str, cpu: str, **options) -> Case:
    load = Load(contract, memory_map=memory_map, info_at=2 * MIB)
    return load_case(name, load, cpu, **options)


_MAPS = [
    mapped("a desktop", e820.DESKTOP, PVH, "max", **e820.NEAR_4G),
    mapped("a desktop", e820.DESKTOP, MULTIBOOT1, "qemu64", **e820.NEAR_4G),
    mapped("a laptop", e820.LAPTOP, MULTIBOOT2, "max", **e820.NEAR_4G),
    mapped("a laptop", e820.LAPTOP, MULTIBOOT1, "qemu64", **e820.NEAR_4G),
    mapped("a server", e820.SERVER, MULTIBOOT2, "max", **e820.NEAR_4G),
    mapped("a server", e820.SERVER, PVH, "qemu64", **e820.NEAR_4G),
    mapped("partial pages", e820.PARTIAL_PAGES, PVH, "max"),
    mapped("partial pages", e820.PARTIAL_PAGES, MULTIBOOT1, "qemu64"),
    mapped("partial pages", e820.PARTIAL_PAGES, MULTIBOOT2, "max,pdpe1gb=off"),
    mapped("overlaps", e820.OVERLAPS, PVH, "qemu64"),
    mapped("overlaps", e820.OVERLAPS, MULTIBOOT1, "max"),
    mapped("overlaps", e820.OVERLAPS, MULTIBOOT2, "max"),
    mapped("10,000 ranges, sorted", e820.many_sorted(), PVH, "max"),
    mapped("10,000 ranges, sorted", e820.many_sorted(), MULTIBOOT2, "qemu64"),
    mapped("10,000 ranges, reversed", e820.many_reversed(), MULTIBOOT1, "max"),
    mapped("10,000 ranges, shuffled", e820.many_shuffled(), MULTIBOOT2, "max"),
    mapped("10,000 ranges, overlapping", e820.many_overlapping(), PVH, "qemu64"),
    mapped("10,000 ranges, overlapping", e820.many_overlapping(), MULTIBOOT1, "max"),
    mapped("10,000 ranges, misleading", e820.many_misleading(), PVH, "max"),
    mapped("10,000 ranges, growing", e820.many_growing(), MULTIBOOT2, "max", memory="1G"),
]


def entries_of_many_sizes() -> None:
    """Multiboot 1: what an entry has beyond 20 bytes is skipped. Here that is another entry."""
    load = Load(MULTIBOOT1)
    swallowed = (0x2000000, MIB, e820.BAD)
    spoken = replace(load, memory_map=[*PC_128M[:3], swallowed, *PC_128M[3:], swallowed])

    def lengthen(info) -> None:
        info.set("mmap[2].size", 44).set("mmap[6].size", 44)

    expect_exactly(load, machine.run(fed(spoken, lengthen)))


def long_entries() -> None:
    """Multiboot 2 says how long all of them are; this loader's are longer than anybody's."""
    for entry_bytes in (20, 28, 129):
        run_load(Load(MULTIBOOT2, entry_bytes=entry_bytes))


def information_behind_the_image(contract: str, cpu: str) -> Case:
    """Where GRUB puts it: in memory that looks free until it has been read."""

    def function() -> None:
        load = Load(contract, cmdline="here")
        run_load(replace(load, info_at=load.marks()[0].end), cpu)

    return Case(f"maps: information behind the image, {contract} on {cpu}", function)


def as_many_as_there_may_be() -> None:
    """In reverse order, pages with holes between them: n log n steps, or this would not end. The
    demonstration kernel would print them all."""
    load = Load(PVH, kernel="c_kernel-wishes", memory_map=e820.most_reversed(), info_at=128 * MIB)
    machine.run(fed(load, memory="1G")).expect(machine.OK, "^result: ok$")


def pvh_through_e_entry() -> None:
    """The one e_entry takes PVH too: what is in EAX is nobody's promise."""
    load = Load(PVH, cmdline="here")
    entry = Image(load.path)
    for eax in (0, MULTIBOOT1_MAGIC + 1):
        start = registers(load, eip=entry.physical(entry.entry), eax=eax)
        expect_exactly(load, machine.run(fed(load, entry=start)))


def with_modules(name: str, place: Callable, contract: str, cpu: str = "max", **others) -> Case:
    """`place` gives the modules, told where the image begins and ends."""

    def function() -> None:
        load = Load(contract, cmdline="a b", **others)
        run_load(replace(load, modules=place(load.base, load.marks()[0].end)), cpu)

    return Case(f"maps: {name}, {contract} on {cpu}", function)


def touching(begin: int, end: int) -> list:
    return [Placed(end, b"x" * 5000, "touches the image")]


def before_the_image(begin: int, end: int) -> list:
    return [Placed(begin - 4095, b"x" * 4095, "ends where the image begins")]


def several(begin: int, end: int) -> list:
    """In no order, two sharing a page, one in the first MiB, and one behind the others' text."""
    return [
        Placed(0x2000000, b"x" * 70001, "one"),
        Placed(0x1800FF0, b"y" * 16, "two words "),
        Placed(0x1800000, b"z" * 0xFF0, ""),
        Placed(0x50010, b"w", None),
        Placed(0x4000000, b"v" * MIB, "last"),
    ]


def empty(begin: int, end: int) -> list:
    return [Placed(0x1800000, b"", "empty"), Placed(0x1900000, b"x"), Placed(end, b"")]


def empty_inside_a_page(begin: int, end: int) -> list:
    return [Placed(0x1800010, b"", "takes no page")]


def beside_the_information(begin: int, end: int) -> list:
    """In the page where the loader's structures begin."""
    return [Placed(0x20FF0, b"x" * 16, "in the structure's page"), Placed(0x1FFFF, b"y")]


def large(begin: int, end: int) -> list:
    return [Placed(0x1000000, bytes(24 * MIB), "large")]


def many(begin: int, end: int) -> list:
    return [Placed(0x1000000 + i * 0x2000, b"x" * 10, f"number {i}") for i in range(1000)]


_MODULES = [
    *(with_modules("a module behind the image", touching, c) for c in CONTRACTS),
    with_modules("a module behind the image", touching, PVH, "qemu64", base=0x345000),
    *(with_modules("a module before the image", before_the_image, c, base=0x345000)
      for c in CONTRACTS),
    *(with_modules("several modules", several, c) for c in CONTRACTS),
    *(with_modules("several modules", several, c, "qemu64", base=0x345000) for c in CONTRACTS),
    *(with_modules("empty modules", empty, c) for c in CONTRACTS),
    with_modules("an empty module in a page", empty_inside_a_page, MULTIBOOT2),
    *(with_modules("modules beside the structures", beside_the_information, c, info_at=0x20100)
      for c in CONTRACTS),
    with_modules("a module of 24 MiB", large, MULTIBOOT1),
    with_modules("a module of 24 MiB", large, MULTIBOOT2, "qemu64"),
    *(with_modules("1,000 modules", many, c, info_at=0x800000) for c in CONTRACTS),
]


def worded(name: str, contract: str, cmdline, reads: Optional[str] = None, **others) -> Case:
    load = Load(contract, cmdline=cmdline, **others)
    return load_case(name, load, reads=reads)


_LONGEST = "y" * (64 * 1024 - 1)
_PATH = "/boot/demo.elf  a  b "

_WORDS = [
    *(worded("no command line", c, None) for c in CONTRACTS),
    *(worded("empty command line", c, "") for c in CONTRACTS),
    *(worded("spaces", c, "  a  b  ") for c in CONTRACTS),
    *(worded("a command line of 64 KiB less 1", c, _LONGEST, info_at=0x800003) for c in CONTRACTS),
    *(worded("any byte", c, bytes(range(128, 256)) + b"\x1b\x7f", reads="".join(
        map(chr, range(128, 256))) + "\x1b\x7f") for c in CONTRACTS),
    *(worded(f"path before {name}'s command line", c, _PATH, "a  b ", loader_name=name)
      for c in (MULTIBOOT1,) for name in ("qemu", "SYSLINUX 6.04", "GNU GRUB 0.97", "iPXE 1.21")),
    *(worded(f"no path before {name}'s command line", c, _PATH, _PATH, loader_name=name)
      for c in (MULTIBOOT1, MULTIBOOT2) for name in ("GRUB 2.06-13", "Limine 8.0")),
    worded("a path and nothing else", MULTIBOOT1, "/boot/demo.elf", "", loader_name="qemu"),
]

CASES = [
    *_PLACES,
    *_MAPS,
    *(information_behind_the_image(c, cpu) for c in CONTRACTS for cpu in ("max", "qemu64")),
    Case("maps: 1,048,576 ranges, reversed, PVH", as_many_as_there_may_be),
    Case("maps: PVH through e_entry", pvh_through_e_entry),
    Case("maps: entries of many sizes, multiboot1", entries_of_many_sizes),
    Case("maps: entries of any one size, multiboot2", long_entries),
    *_MODULES,
    *_WORDS,
]
