"""Plays any loader of a contract through the feeder: what it says, and what must come of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Callable, List, Optional, Sequence, Tuple

import bsd_composers
import cases
import composers
import feeding
import machine
import modes
from composers import Layout, MemoryRange, Text
from feeding import Registers, feed
from handoff_report import MIB, Range, Report, expect_memory, expect_report
from images import Image
from memory_model import expected_map

PVH, MULTIBOOT1, MULTIBOOT2, LINUX = "pvh", "multiboot1", "multiboot2", "linux"
VMD, FREEBSD = "vmd", "freebsd"
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
    tags: Sequence[composers.Tag] = ()  # of Multiboot 2, besides
    mode: str = modes.PROTECTED32  # other modes are entered by e_entry, or the contract's own way

    @property
    def path(self) -> Path:
        fitting = {PVH: "demo", MULTIBOOT1: "demo-multiboot1", MULTIBOOT2: "demo"}.get(
            self.contract, "demo-every")
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
    return feed(*_script(load, info, damage, entry), **options)


def script(load: Load) -> bytes:
    """What the feeder needs to play it."""
    return feeding.script(*_script(load, load.information()))


def _script(load: Load, info: Layout, damage: Sequence = (), entry: Optional[Registers] = None):
    pieces = Image(load.path).records(load.base) + info.records
    pieces += [(m.start, m.contents) for m in load.modules]
    mode = modes.entered(load.mode, entry or registers(load), high=_HIGH_GIBS)
    if load.mode in modes.MODES_64:
        mode = modes.moved(mode, pieces, _STAGING)
        pieces = []
    return [*pieces, *mode.records, *damage], mode.registers


_HIGH_GIBS = 8  # that a 64-bit entry finds mapped
_STAGING = 0x3800000


def registers(load: Load, **others) -> Registers:
    """The contract's entry, in its mode."""
    image = Image(load.path)
    e_entry = image.physical(image.entry, load.base)
    if load.contract == LINUX:
        ways = {modes.PROTECTED32: image.physical("prologue_linux32", load.base)}
        ways |= dict.fromkeys(modes.MODES_64, load.base + LINUX64_OFFSET)
        values = {"eip": ways.get(load.mode, e_entry), "esi": load.info_at}
    elif load.contract in (VMD, FREEBSD):
        values = {"eip": e_entry, "esp": load.info_at}
    elif load.contract == PVH:
        own_way = load.mode == modes.PROTECTED32
        values = {"eip": image.pvh_entry(load.base) if own_way else e_entry, "ebx": load.info_at}
    else:
        magics = {MULTIBOOT1: composers.MULTIBOOT1_MAGIC, MULTIBOOT2: composers.MULTIBOOT2_MAGIC}
        values = {"eax": magics[load.contract], "eip": e_entry, "ebx": load.info_at}
    return Registers(**{**values, **others})


LINUX64_OFFSET = 0x200


def expect_exactly(load: Load, result: machine.Result, **expected) -> Report:
    """The report says what this load gave, the memory map to the page."""
    cmdline = load.cmdline or ""
    modules = [(m.start, len(m.contents), m.cmdline or "") for m in load.modules]
    lines = {"loader": load.contract, "load_base": load.base, "cmdline": cmdline,
             "entry_mode": modes.REPORTED[load.mode], **expected}
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
    tags += load.tags
    return composers.multiboot2_info(load.info_at, tags)


def _linux(load: Load) -> Layout:
    return composers.linux_boot_params(
        load.info_at,
        memory_map=load.memory_map,
        ramdisk=load.modules[0].described() if load.modules else None,
        cmdline=load.cmdline,
    )


def _vmd(load: Load) -> Layout:
    image = Image(load.path)
    return bsd_composers.vmd_info(
        load.info_at,
        memory_map=load.memory_map,
        kernel_end=load.base + image.end - image.base,
    )


def _freebsd(load: Load) -> Layout:
    return bsd_composers.freebsd_info(
        load.info_at,
        memory_map=load.memory_map,
        modules=[m.described() for m in load.modules],
        cmdline=load.cmdline,
    )


_COMPOSERS = {PVH: _pvh, MULTIBOOT1: _multiboot1, MULTIBOOT2: _multiboot2, LINUX: _linux, VMD: _vmd,
              FREEBSD: _freebsd}
