"""Reads the report of an exception (arch/x86/report) off a port, strictly: every field, in its
place and with its number of digits."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional

# By vector; SDM vol. 3, table 6-1, and APM vol. 2, table 8-1, for the three last names.
NAMES = (
    ["#DE divide error", "#DB debug", "NMI", "#BP breakpoint", "#OF overflow", "#BR bound range"]
    + ["#UD invalid opcode", "#NM no coprocessor", "#DF double fault", "reserved"]
    + ["#TS invalid TSS", "#NP segment not present", "#SS stack fault", "#GP general protection"]
    + ["#PF page fault", "reserved", "#MF floating point", "#AC alignment", "#MC machine check"]
    + ["#XM SIMD", "#VE virtualization", "#CP control protection"]
    + ["reserved"] * 6
    + ["#HV hypervisor injection", "#VC VMM communication", "#SX security", "reserved"]
)
DE, DB, NMI, BP, OF, UD, NM, DF = 0, 1, 2, 3, 4, 6, 7, 8
NP, SS, GP, PF, MF, MC = 11, 12, 13, 14, 16, 18
WITH_ERROR_CODE = {8, 10, 11, 12, 13, 14, 17, 21, 29, 30}  # pushed by the CPU

REGISTERS32 = "eax ecx edx ebx esp ebp esi edi".split()
REGISTERS64 = "rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15".split()

_HEADLINE = re.compile(
    r"prologue: fatal: (?P<name>.+) \(vector (?P<vector>\d+)\), error (?P<error>[0-9a-f]{4,}), "
    r"(?P<bits>32|64)-bit, at (?P<at>[0-9a-f]+)"
    r"(?: = image\+(?P<offset>[0-9a-f]+), linked at (?P<linked>[0-9a-f]{16}))?"
)
_NESTED = re.compile(
    r"^prologue: fatal: exception (\d+) \(error ([0-9a-f]+)\) at ([0-9a-f]+) "
    r"while an exception was reported$",
    re.MULTILINE,
)


class Nested(NamedTuple):
    vector: int
    error: int
    at: int


@dataclass(frozen=True)
class Report:
    """`offset` and `linked` are None for an address outside the image. Of `code` and `stack` there
    is what could be read; `nested` is the fault that ended them."""

    vector: int
    name: str
    error: int
    bits: int
    at: int
    offset: Optional[int]
    linked: Optional[int]
    state: Dict[str, int]
    registers: Dict[str, int]
    code: bytes
    stack: List[int]
    nested: Optional[Nested]


def plain(text: str) -> str:
    """What was printed, without the serial port's carriage returns."""
    return text.replace("\r\n", "\n")


def parse(text: str) -> Report:
    """The report that ends `text`."""
    found = _HEADLINE.search(text)
    assert found, "no exception was reported"
    lines = text[found.start() :].split("\n")
    assert _HEADLINE.fullmatch(lines[0]), f"{lines[0]!r} has more than a headline"
    bits = int(found["bits"])
    digits = bits // 4
    assert len(found["at"]) == digits, f"{found['at']} has not {digits} digits"
    names = REGISTERS64 if bits == 64 else REGISTERS32
    state = [("cs", 4), ("flags", 8), ("cr0", 8), ("cr2", digits), ("cr3", digits)]
    state += [("cr4", 8), ("efer", 4)]
    rows = [[(name, digits) for name in names[i : i + 4]] for i in range(0, len(names), 4)]
    registers = {}
    for row, line in zip(rows, lines[2:]):
        registers.update(_fields(line, row))
    rest = "\n".join(lines[2 + len(rows) :])
    return Report(
        vector=int(found["vector"]),
        name=found["name"],
        error=int(found["error"], 16),
        bits=bits,
        at=int(found["at"], 16),
        offset=int(found["offset"], 16) if found["offset"] else None,
        linked=int(found["linked"], 16) if found["linked"] else None,
        state=_fields(lines[1], state),
        registers=registers,
        code=bytes(_words(rest, "bytes", 2)),
        stack=_words(rest, "stack", digits),
        nested=parse_nested(rest),
    )


def parse_nested(text: str) -> Optional[Nested]:
    """The line of a fault while another was reported; None where there is none."""
    found = _NESTED.search(text)
    return Nested(int(found[1]), int(found[2], 16), int(found[3], 16)) if found else None


def _fields(line: str, expected: list) -> Dict[str, int]:
    """A line of name=value; `expected` is names and digits."""
    pattern = "prologue: " + "".join(f" {name}=([0-9a-f]{{{digits}}})" for name, digits in expected)
    found = re.fullmatch(pattern, line)
    assert found, f"{line!r} does not show {[name for name, _ in expected]}"
    return {name: int(value, 16) for (name, _), value in zip(expected, found.groups())}


def _words(text: str, name: str, digits: int) -> List[int]:
    found = re.search(rf"^prologue:  {name}:((?: [0-9a-f]{{{digits}}})*)", text, re.MULTILINE)
    return [int(word, 16) for word in found[1].split()] if found else []


class SourceLine(NamedTuple):
    function: str
    file: str
    line: int


def symbolize(elf: Path, address: int) -> SourceLine:
    """What llvm-symbolizer says of an address, as a user would ask it: the innermost of the
    functions that were inlined there."""
    output = subprocess.run(
        ["llvm-symbolizer", f"--obj={elf}", f"{address:#x}"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    path, line, _ = output[1].rsplit(":", 2)
    return SourceLine(output[0], Path(path).name, int(line))
