"""Reads what the test kernel qemu/kernels/state.cpp says of the state that it was entered with, and
knows what is so in every state."""

import re
from typing import Dict, Iterable, List, NamedTuple, Optional, Tuple

import machine
import reports
from images import Image

PAGE = 0x1000
GIB, TIB = 1 << 30, 1 << 40

# By levels of paging, where a kernel wishes for nothing else.
DIRECT_MAP = {4: 0xFFFF800000000000, 5: 0xFF00000000000000}
DIRECT_MAP_BYTES = {4: 64 * TIB, 5: 4096 * TIB}
TOP_ENTRY_BYTES = {4: 512 * GIB, 5: 256 * TIB}

# enum prologue_memory_type, of handoff.h.
USABLE, LOADER, PROLOGUE, MODULE, ACPI, NVS, RESERVED, BAD, KERNEL = range(1, 10)
RAM = (USABLE, LOADER, PROLOGUE, MODULE, ACPI, NVS, KERNEL)


class Mapping(NamedTuple):
    """Virtual [start, end) shows physical memory from `phys` on."""

    start: int
    end: int
    phys: int
    writable: bool
    executable: bool
    caching: int = 0  # an index into the PAT

    def __str__(self) -> str:
        rights = ("w" if self.writable else "-") + ("x" if self.executable else "-")
        return f"{self.start:#x} {self.end:#x} {self.phys:#x} {rights} {self.caching}"


class Range(NamedTuple):
    start: int
    end: int
    type: int


class Module(NamedTuple):
    bytes: int
    adler32: int
    cmdline: str


class StateReport(NamedTuple):
    bad: List[str]  # names, with what was seen
    checked: int
    handoff: Dict[str, int]
    memory: List[Range]
    modules: List[Module]
    maps: List[Mapping]
    cmdline: Optional[str]


def read(result: machine.Result) -> StateReport:
    """Asserts nothing but that the kernel came to its end."""
    text = reports.plain(result.serial)
    assert re.search("^result: ", text, re.MULTILINE), "the kernel has not come to its end"
    report = StateReport([], len(re.findall("^state: ", text, re.M)), {}, [], [], [], None)
    for line in text.splitlines():
        key, _, value = line.partition(": ")
        words = value.split(" ")
        if key == "state" and words[-1] != "ok":
            report.bad.append(value)
        elif key == "handoff":
            report.handoff[words[0]] = int(words[1], 16)
        elif key == "memory":
            report.memory.append(Range(int(words[0], 16), int(words[1], 16), int(words[2])))
        elif key == "module":
            size, checksum, cmdline = value.split(" ", 2)
            report.modules.append(Module(int(size), int(checksum, 16), cmdline))
        elif key == "map":
            start, end, phys = (int(word, 16) for word in words[:3])
            rights = ("w" in words[3], "x" in words[3], int(words[4]))
            report.maps.append(Mapping(start, end, phys, *rights))
        elif key == "cmdline":
            report = report._replace(cmdline=value)
    return report


def joined(mappings: Iterable[Mapping]) -> List[Mapping]:
    """In ascending order, those made one that go on where the one before ends."""
    result: List[Mapping] = []
    for mapping in sorted(m for m in mappings if m.start != m.end):
        last = result[-1] if result else None
        if last and last._replace(
            start=mapping.start, end=mapping.end, phys=last.phys + mapping.start - last.start
        ) == mapping and last.end == mapping.start:
            result[-1] = last._replace(end=mapping.end)
        else:
            result.append(mapping)
    return result


def without(mapping: Mapping, start: int, end: int) -> List[Mapping]:
    """What of a mapping lies outside [start, end)."""
    pieces = [(mapping.start, min(mapping.end, start)), (max(mapping.start, end), mapping.end)]
    return [
        mapping._replace(start=s, end=e, phys=mapping.phys + s - mapping.start)
        for s, e in pieces
        if s < e
    ]


def expect_good(report: StateReport, but: Tuple[str, ...] = ()) -> None:
    bad = [line for line in report.bad if not line.startswith(but)]
    assert not bad, "state: " + "; ".join(bad)


def check_no_page_is_writable_and_executable(mappings: List[Mapping]) -> None:
    """Not through two addresses either."""
    for runs in (m for m in mappings if m.executable):
        for writes in (m for m in mappings if m.writable):
            first = max(runs.phys, writes.phys)
            last = min(m.phys + m.end - m.start for m in (runs, writes))
            assert first >= last, f"{runs} and {writes} show {first:#x}"


def image_mappings(image: Image, base: int) -> List[Mapping]:
    """The segments by their own permissions, whole pages of them."""
    return [
        Mapping(
            start=page_down(s.vaddr),
            end=page_up(s.vaddr + s.memsz),
            phys=page_down(s.paddr),
            writable=bool(s.flags & 2),
            executable=bool(s.flags & 1),
        )
        for s in image.relocate(base)
    ]


def ram_mappings(report: StateReport, segments: list, at: int, limit: int) -> List[Mapping]:
    """RAM below `limit` from virtual `at` on, without page 0, never executable, and writable
    where the image is."""
    result = []
    for r in report.memory:
        start, end = max(r.start, PAGE), min(r.end, limit)
        if r.type not in RAM or start >= end:
            continue
        pieces = [(start, end, True)]
        if r.type == KERNEL:
            pieces = [(s.phys, s.phys + s.end - s.start, s.writable) for s in segments]
        result += [Mapping(at + s, at + e, s, w, False) for s, e, w in pieces]
    return result


def page_down(address: int) -> int:
    return address & -PAGE


def page_up(address: int) -> int:
    return -(-address // PAGE) * PAGE
