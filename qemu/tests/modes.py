"""Every contract in every mode that a loader may leave: the same handoff, but for the mode."""

import itertools
from dataclasses import replace
from typing import Iterator

import e820
import machine
import modes
from any_loader import (
    FREEBSD,
    LINUX,
    LINUX64_OFFSET,
    MULTIBOOT1,
    MULTIBOOT2,
    PVH,
    VMD,
    Load,
    Placed,
    expect_exactly,
    fed,
    registers,
)
from cases import Case
from guests import expected_paging
from handoff_report import GIB, MIB
from images import Image
from refusals import wrong

CONTRACTS = (PVH, MULTIBOOT1, MULTIBOOT2, LINUX)
MODES = (*modes.MODES_32, *modes.MODES_64)
_KERNELS = {4: "demo-every", 5: "demo-five-every", 0: "demo-best-every"}


def boot_load(load: Load, cpu: str, **options) -> None:
    wish = next(levels for levels, name in _KERNELS.items() if name == load.kernel)
    result = machine.run(fed(load, cpu=cpu, **options))
    expect_exactly(load, result, **expected_paging("demo", cpu, wish))


def entered(contract: str, mode: str, cpu: str = "max", levels: int = 4, base: int = MIB,
            **others) -> Case:
    load = Load(contract, kernel=_KERNELS[levels], base=base, mode=mode, cmdline="a b",
                modules=(Placed(0x4000123, b"x" * 5000),), **others)
    if contract == MULTIBOOT1 or contract == MULTIBOOT2:
        load = replace(load, modules=(Placed(0x4000123, b"x" * 5000, "one"),))
    large = base > 128 * MIB or load.info_at > 128 * MIB
    options = _LARGE if large else {"memory": "128M"}
    if large:
        load = replace(load, memory_map=e820.simple(0xC0000000, 3 * GIB))
    name = f"modes: {contract} in {mode}, wish {levels} on {cpu}, image at {base:#x}"
    name += f", information at {load.info_at:#x}" if load.info_at != 0x20000 else ""
    return Case(name, lambda: boot_load(load, cpu, **options))


_LARGE = {"memory": "7G", "machine": "pc,max-ram-below-4g=4G"}


def linux_by_e_entry(mode: str, cpu: str = "max", **others) -> Case:
    """As loaders of an ELF enter Linux: known by boot_params alone."""
    load = Load(LINUX, kernel="demo-every", mode=mode, cmdline="a b", **others)

    def function() -> None:
        image = Image(load.path)
        boot = fed(load, entry=registers(load, eip=image.physical(image.entry)), cpu=cpu,
                   **(_LARGE if others else {}))
        expect_exactly(load, machine.run(boot), **expected_paging("demo", cpu, 4))

    return Case(f"modes: linux by e_entry in {mode} on {cpu}, boot_params at {load.info_at:#x}",
                function)


_PLACES = [
    *(entered(c, mode, "qemu64", base=0x345000) for c in CONTRACTS for mode in MODES[:-1]),
    entered(LINUX, modes.LONG64, base=0xA0001000),
    entered(LINUX, modes.LONG64, "qemu64", base=0xA0001000),
    *(entered(c, modes.LONG64, base=0x140001000) for c in CONTRACTS),
    entered(LINUX, modes.LONG64, "qemu64", base=0x140001000),
    entered(LINUX, modes.LONG64, "qemu64", base=0x140000000 - 0x8000),
    entered(LINUX, modes.LONG64, base=0x140001000, info_at=0x150000000),
    entered(LINUX, modes.LONG64, "qemu64", base=0x140001000, info_at=0x150000000),
    entered(LINUX, modes.LONG64, "qemu64", base=0x345000, info_at=0x17FFFF800),
]

_IN_BORROWED_PAGES = 0x9D000  # as SeaBIOS leaves its words

_DEPTHS = [
    *(entered(c, mode, levels=levels, base=0x140001000, info_at=_IN_BORROWED_PAGES)
      for c in CONTRACTS for mode, levels in ((modes.LONG64, 5), (modes.LONG64_FIVE, 4))),
    *(entered(c, mode, levels=levels) for c in CONTRACTS for mode in modes.MODES_64
      for levels in (0, 5)),
    *(entered(c, modes.LONG64_FIVE) for c in CONTRACTS),
    *(entered(LINUX, mode, cpu, levels=levels, base=0x140001000)
      for cpu in ("max", "qemu64,+la57")
      for mode, levels in ((modes.LONG64, 0), (modes.LONG64, 5), (modes.LONG64_FIVE, 0),
                           (modes.LONG64_FIVE, 4), (modes.LONG64_FIVE, 5))),
]

# The table of boots: every contract in every mode, for either depth, wherever the image lies; the
# memory maps of real machines and hostile ones take turns. What must be reported is known to the
# page, so it is the same from all contracts.
_MAPS = {
    "a PC": ({}, {"memory": "128M"}),
    "a desktop": ({"memory_map": e820.DESKTOP}, e820.NEAR_4G),
    "a laptop": ({"memory_map": e820.LAPTOP}, e820.NEAR_4G),
    "a server": ({"memory_map": e820.SERVER}, e820.NEAR_4G),
    "partial pages": ({"memory_map": e820.PARTIAL_PAGES}, {"memory": "128M"}),
    "overlaps": ({"memory_map": e820.OVERLAPS}, {"memory": "128M"}),
}
_LOW, _ODD, _HIGH, _ABOVE = 0x30000, 0x345000, 0x2F001000, 0x140001000


def table() -> Iterator[Case]:
    maps = itertools.cycle(_MAPS)
    for contract in CONTRACTS:
        next(maps)  # or each contract would meet the same maps in the same modes
        for mode, levels in itertools.product(MODES, (4, 5)):
            yield in_table(contract, mode, levels, _LOW, "a PC")
            yield in_table(contract, mode, levels, _ODD, next(maps))
            yield in_table(contract, mode, levels, _HIGH, "a large PC")
            if mode in modes.MODES_64:
                yield in_table(contract, mode, levels, _ABOVE, "a large PC")
    # In vmd's map a type of 0 is the end, and one that overlaps has it in its midst.
    vmds_maps = itertools.cycle(name for name in _MAPS if name != "overlaps")
    for contract, named in ((VMD, vmds_maps), (FREEBSD, maps)):
        for mode, levels in itertools.product(modes.MODES_32, (4, 5)):
            yield in_table(contract, mode, levels, _LOW, "a PC")
            yield in_table(contract, mode, levels, _ODD, next(named))
            yield in_table(contract, mode, levels, _HIGH, "a large PC")


def in_table(contract: str, mode: str, levels: int, base: int, machine_name: str) -> Case:
    choices, options = _MAPS.get(machine_name, ({"memory_map": e820.simple(0xC0000000, 3 * GIB)},
                                                _LARGE))
    if contract != VMD:  # which says neither
        choices = {"cmdline": "a b", "modules": (Placed(0x4000123, b"x" * 5000),), **choices}
    load = Load(contract, kernel=_KERNELS[levels], base=base, mode=mode, **choices)
    name = f"table: {contract} in {mode}, to {levels} levels, image at {base:#x} on {machine_name}"
    return Case(name, lambda: boot_load(load, "max", **options))


# What a 64-bit entry cannot go on from. A kernel without a contract for it has no such entry.
_LONG = Load(LINUX, kernel="demo-every", mode=modes.LONG64)
_PLAIN = Load(PVH, mode=modes.LONG64)
_FAR = 512 * GIB
_REFUSED = [
    wrong("no contract", _PLAIN,
          "entry: in 64-bit mode, for which this kernel has no contract"),
    wrong("the image above 512 GiB", _LONG,
          "entry: the image lies above 512 GiB (8000100000, <*>)", eip=_FAR + MIB + LINUX64_OFFSET),
    wrong("no NX", _LONG, "entry: this CPU lacks NX (<*>, 0)", cpu="max,-nx"),
    wrong("no LA57", replace(_LONG, kernel="demo-five-every"),
          "entry: five levels of paging are wished for: this CPU has no LA57 (5, 0)", cpu="qemu64"),
]

CASES = [
    *table(),
    *_REFUSED,
    *_DEPTHS,
    *map(linux_by_e_entry, MODES[:-1]),
    *(linux_by_e_entry(modes.LONG64, cpu, info_at=0x150000800,
                       memory_map=e820.simple(0xC0000000, 3 * GIB)) for cpu in ("max", "qemu64")),
    entered(PVH, modes.LONG64, info_at=0x150000800),
    *(entered(c, mode) for c in CONTRACTS for mode in modes.MODES_32),
    *(entered(c, modes.LONG64) for c in CONTRACTS),
    *_PLACES,
]
