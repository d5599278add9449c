"""Plays any loader of a contract through the feeder: what it says, and what must come of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Callable, List, Optional, Sequence, Tuple

import cases
import composers
import machine
from composers import Layout, MemoryRange, Text
from feeding import Registers, feed
from handoff_report import MIB, Range, Report, expect_memory, expect_report
from images import Image
from memory_model import expected_map

PVH, MULTIBOOT1, MULTIBOOT2 = "pvh", "multiboot1", "multiboot2"
CONTRACTS = (PVH, MULTIBOOT1, MULTIBOOT2)

# A PC of 128 MiB as SeaBIOS describes it.
PC_128M = (
    (0, 0x9FC00, 1),
    (0x9FC00, 0x400, 2),
    (0xF0000, 0x10000, 2),
    (0x100000, 0x7EE0000, 1),
    (0x7FE0000, 0x20000, 2),
    (0xFFFC0000, 0x40000, 2),
)


@dataclass(frozen=True)
class Placed:
    """A module: its bytes and where the loader puts them."""

    start: int
    contents: bytes
    cmdline: Optional[Text] = None

    @property
    def end(self) -> int:
        return self.start + len(self.contents)

    def described(self) -> composers.Module:
        return composers.Module(self.start, len(self.contents), self.cmdline)


@dataclass(frozen=True)
class Load:
    """A loader's choices. A kernel without a name is the one that carries the contract."""

    contract: str = PVH
    kernel: Optional[str] = None
    base: int = MIB
    info_at: int = 0x20000
    memory_map: Sequence[MemoryRange] = PC_128M
    modules: Sequence[Placed] = ()
    cmdline: Optional[Text] = None
    loader_name: Optional[Text] = None
    entry_bytes: int = 24  # of Multiboot 2's memory map

    @property
    def path(self) -> Path:
        fitting = "demo-multiboot1" if self.contract == MULTIBOOT1 else "demo"
        return cases.BUILD / f"{self.kernel or fitting}.elf"

    def information(self) -> Layout:
        return _COMPOSERS[self.contract](self)

    def marks(self) -> List[Range]:
        image = Image(self.path)
        info = self.information()
        return [
            Range(self.base, self.base + image.end - image.base, "kernel"),
            Range(info.pointer, info.end, "loader"),
            *(Range(m.start, m.end, "module") for m in self.modules),
        ]


def fed(
    load: Load,
    change: Callable[[Layout], object] = lambda info: None,
    damage: Sequence[Tuple[int, bytes]] = (),
    entry: Optional[Registers] = None,
    **options,
) -> machine.Boot:
    """A boot of this load. `change` may spoil the information, `damage` are records that are
    copied last, `entry` takes the place of the registers that the contract asks for."""
    info = load.information()
    change(info)
    records = Image(load.path).records(load.base) + info.records
    records += [(m.start, m.contents) for m in load.modules]
    return feed([*records, *damage], entry or registers(load), **options)


def registers(load: Load, **others) -> Registers:
    """The contract's entry."""
    image = Image(load.path)
    if load.contract == PVH:
        values = {"eip": image.pvh_entry(load.base)}
    else:
        magics = {MULTIBOOT1: composers.MULTIBOOT1_MAGIC, MULTIBOOT2: composers.MULTIBOOT2_MAGIC}
        values = {"eax": magics[load.contract], "eip": image.physical(image.entry, load.base)}
    return Registers(**{"ebx": load.info_at, **values, **others})


def expect_exactly(load: Load, result: machine.Result, **expected) -> Report:
    """The report says what this load gave, the memory map to the page."""
    cmdline = load.cmdline or ""
    modules = [(m.start, len(m.contents), m.cmdline or "") for m in load.modules]
    lines = {"loader": load.contract, "load_base": load.base, "cmdline": cmdline, **expected}
    report = expect_report(result, load.path, modules=modules, **lines)
    expect_memory(report, expected_map(load.memory_map, load.marks()))
    return report


def _pvh(load: Load) -> Layout:
    return composers.pvh_info(
        load.info_at,
        memory_map=load.memory_map,
        modules=[m.described() for m in load.modules],
        cmdline=load.cmdline,
    )


def _multiboot1(load: Load) -> Layout:
    return composers.multiboot1_info(
        load.info_at,
        memory_map=load.memory_map,
        modules=[m.described() for m in load.modules] or None,
        cmdline=load.cmdline,
        loader_name=load.loader_name,
    )


def _multiboot2(load: Load) -> Layout:
    tags = [composers.tag_memory_map(load.memory_map, load.entry_bytes)]
    if load.cmdline is not None:
        tags.append(composers.tag_cmdline(load.cmdline))
    if load.loader_name is not None:
        tags.append(composers.tag_loader_name(load.loader_name))
    tags += [composers.tag_module(m.described()) for m in load.modules]
    return composers.multiboot2_info(load.info_at, tags)


_COMPOSERS = {PVH: _pvh, MULTIBOOT1: _multiboot1, MULTIBOOT2: _multiboot2}
