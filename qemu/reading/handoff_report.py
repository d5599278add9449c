"""Reads the demonstration kernel's report and holds it against what was given to its loader."""

import re
from pathlib import Path
from typing import Iterable, List, NamedTuple, Tuple

import machine
from images import Image

PAGE = 0x1000
MIB = 1 << 20
GIB = 1 << 30

# The types of memory by the report's names, from the most usable to the most restrictive.
KINDS = ("usable loader prologue module acpi nvs reserved bad kernel unaccepted "
         "soft-reserved").split()
# What a kernel may find RAM behind, so what the loader's RAM must have become.
RAM_KINDS = ("usable", "loader", "prologue", "module", "acpi", "nvs", "kernel")

# GRUB leaves its own output before it, on the same line.
_BEGIN = re.compile(r"loader: \w+\nentry-mode: ")
_HEX = {"load-base", "rsdp", "left-out", "c-bit", "ghcb", "smbios"}


class Range(NamedTuple):
    start: int
    end: int
    kind: str

    def __str__(self) -> str:
        return f"{self.start:#x} {self.end:#x} {self.kind}"


class Module(NamedTuple):
    start: int
    bytes: int
    cmdline: str


class Report:
    """`fields` has the lines that come once, by key; integers where the report has a number."""

    def __init__(self, serial: str):
        text = serial.replace("\r\n", "\n")
        begin = _BEGIN.search(text)
        assert begin, "there is no report on the serial port"
        self.fields = {}
        self.memory: List[Range] = []
        self.modules: List[Module] = []
        self.environment: List[str] = []
        self.efi_memory: List[Tuple[int, int, int]] = []  # start, end, UEFI's type
        for line in text[begin.start() :].rstrip("\n").split("\n"):
            self._read(*line.split(": ", 1))

    def _read(self, key: str, value: str = "") -> None:
        if key == "memory":
            start, end, kind = value.split(" ")
            self.memory.append(Range(int(start, 16), int(end, 16), kind))
        elif key == "environment":
            self.environment.append(value)
        elif key == "efi-memory":
            start, end, kind = value.split(" ")
            self.efi_memory.append((int(start, 16), int(end, 16), int(kind)))
        elif key == "module":
            index, start, size, cmdline = value.split(" ", 3)
            assert int(index) == len(self.modules), f"module {index} is out of order"
            self.modules.append(Module(int(start, 16), int(size), cmdline))
        else:
            assert key not in self.fields, f"{key} comes twice"
            self.fields[key] = int(value, 16) if key in _HEX else value

    @property
    def load_base(self) -> int:
        return self.fields["load-base"]

    def of_kind(self, *kinds: str) -> List[Range]:
        return [r for r in self.memory if r.kind in kinds]


def expect_report(result: machine.Result, kernel: Path, **expected) -> Report:
    """The report of a boot that ended well. `expected` are lines of it, with `_` for `-` in their
    keys; `modules` is a list of (start, bytes, string), None standing for any start. What must
    hold of every report is checked too."""
    report = Report(result.expect(machine.OK, "^result: ok\r?$").serial)
    modules = expected.pop("modules", None)
    for key, value in {**_ALWAYS, **expected}.items():
        seen = report.fields[key.replace("_", "-")]
        assert seen == value, f"{key} is {_short(seen)}, not {_short(value)}"
    if modules is not None:
        _expect_modules(report, modules)
    _check_memory(report.memory)
    _check_kernel(report, Image(kernel))
    _check_prologue(report)
    _check_modules(report)
    return report


_ALWAYS = {"entry_mode": "protected32", "sev": "none", "c_bit": 0, "ghcb": 0, "result": "ok"}


def expect_memory(report: Report, expected: Iterable[Range]) -> None:
    """The map is exactly this one, where what Prologue took for itself counts as usable."""
    seen = merged(r._replace(kind="usable") if r.kind == "prologue" else r for r in report.memory)
    wanted = list(expected)
    for have, want in zip(seen, wanted):
        assert have == want, f"memory has {have} where {want} is expected"
    assert len(seen) == len(wanted), f"memory has {len(seen)} ranges, not {len(wanted)}"


def expect_not_usable(report: Report, placed: Iterable[range]) -> None:
    """No page of what the loader put into memory is said to be free."""
    for span in placed:
        for free in report.of_kind("usable"):
            apart = not span or span.stop <= free.start or free.end <= span.start
            assert apart, f"{free} has the loader's {span.start:#x} {span.stop:#x}"


def merged(ranges: Iterable[Range]) -> List[Range]:
    """Neighbours of one kind made one."""
    result: List[Range] = []
    for r in ranges:
        if result and result[-1].end == r.start and result[-1].kind == r.kind:
            result[-1] = result[-1]._replace(end=r.end)
        else:
            result.append(r)
    return result


def _check_memory(memory: List[Range]) -> None:
    for r in memory:
        assert r.start % PAGE == 0 and r.end % PAGE == 0, f"memory {r} is not page-aligned"
        assert r.start < r.end, f"memory {r} is empty"
        assert r.kind in KINDS, f"memory {r} is of no known type"
        assert not (r.kind == "usable" and r.start == 0), "page 0 is usable"
    for before, after in zip(memory, memory[1:]):
        assert before.end <= after.start, f"memory {before} and {after} are out of order"
    assert merged(memory) == memory, "memory has neighbours of one type"


def _check_kernel(report: Report, image: Image) -> None:
    (kernel,) = report.of_kind("kernel")
    assert kernel.start == report.load_base, f"memory {kernel} is not at {report.load_base:#x}"
    assert kernel.end - kernel.start == page_up(image.end - image.base), f"memory {kernel}"


def _check_prologue(report: Report) -> None:
    ranges = report.of_kind("prologue")
    assert ranges, "no memory is Prologue's"
    for r in ranges:
        assert r.start >= MIB, f"memory {r} lies in the first MiB"
        assert r.end <= 4 * GIB, f"memory {r} lies above 4 GiB"


def _check_modules(report: Report) -> None:
    ranges = report.of_kind("module")
    for m in report.modules:
        inside = [r for r in ranges if r.start <= m.start and m.start + m.bytes <= r.end]
        assert inside or m.bytes == 0, f"module {m.start:#x} {m.bytes} is in no module range"
    pages = sum(r.end - r.start for r in ranges)
    known = sum(page_up(m.start + m.bytes) - page_down(m.start) for m in report.modules if m.bytes)
    assert pages <= known, f"{pages:#x} bytes are modules', but the modules have {known:#x}"


def _expect_modules(report: Report, expected: list) -> None:
    seen = [tuple(m) for m in report.modules]
    wanted = [
        (m.start if start is None else start, size, string)
        for m, (start, size, string) in zip(report.modules, expected)
    ]
    assert len(seen) == len(expected) and seen == wanted, f"modules are {seen}, not {expected}"


def page_down(address: int) -> int:
    return address & -PAGE


def page_up(address: int) -> int:
    return -(-address // PAGE) * PAGE


def _short(value) -> str:
    if isinstance(value, int):
        return hex(value)
    return repr(value) if len(value) <= 60 else f"{value[:50]!r}... ({len(value)} bytes)"
