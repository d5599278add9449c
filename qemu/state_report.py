"""Reads what the test kernel qemu/kernels/state.cpp says of the state that it was entered with."""

import re
from typing import Dict, Iterable, List, NamedTuple, Optional

import machine
import reports

PAGE = 0x1000

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
