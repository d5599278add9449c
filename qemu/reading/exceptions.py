"""What the tests of exceptions have in common: known registers before the fault, and the
expectations that a report of it must meet."""

from pathlib import Path
from typing import Dict, Optional, Tuple

import machine
import reports
from assembler import assemble
from images import Image
from reports import Report

FLAGS = 0x200C93  # ID, OF, DF, SF, AF, CF and the bit that is always set
_RESUME_FLAG = 1 << 16  # which a CPU may set in what it pushes at a fault
_INTERRUPT_FLAG = 1 << 9

# Where physical 0 is seen by Prologue's 64-bit stage, and by the kernel: the direct map.
WINDOW = {4: 0xFFFF800000000000, 5: 0xFF00000000000000}
# CR0, CR4 and EFER from the first 64-bit instruction on.
LONG_MODE_CR0, LONG_MODE_EFER = 0x80010033, 0xD00
LONG_MODE_CR4 = {4: 0x660, 5: 0x1660}
SELECTOR_CODE64 = 8

PRESENT, WRITE, FETCH = 1, 2, 16  # bits of a #PF's error code

UD2 = b"\x0f\x0b"

STACK = [0x57AC0000 + i for i in range(8)]


def known_state(bits: int, **chosen: int) -> Tuple[bytes, Dict[str, int]]:
    """Code after which every register, the flags and eight words of stack hold what we know; and
    the registers' values, but for the stack pointer's. Some can be `chosen`."""
    names, suffix, move = {
        32: (reports.REGISTERS32, "l", "movl"),
        64: (reports.REGISTERS64, "q", "movabsq"),
    }[bits]
    high = 0xA << (bits - 4)
    registers = {name: chosen.get(name, high + 0x1111 * i) for i, name in enumerate(names, 1)}
    del registers[names[4]]
    pushes = [f"push{suffix} ${word:#x}" for word in [*reversed(STACK), FLAGS]]
    moves = [f"{move} ${value:#x}, %{name}" for name, value in registers.items()]
    return assemble("\n".join([*pushes, f"popf{suffix}", *moves]), bits), registers


def expect_known_state(report: Report, registers: Dict[str, int]) -> None:
    """What known_state() left is what was reported."""
    expect_fields(report.registers, **registers)
    flags = report.state["flags"]
    assert flags & ~_RESUME_FLAG == FLAGS, f"flags are {flags:#x}, not {FLAGS:#x}"
    assert report.stack == STACK, f"the stack is {[hex(word) for word in report.stack]}"
    assert report.nested is None, report.nested


def boot_to_report(boot: machine.Boot) -> Tuple[str, Report]:
    """Boots to a fatal end: what was said before it, and the report, which both ports must show
    alike."""
    result = machine.run(boot).expect(machine.FATAL)
    before, headline, rest = reports.plain(result.serial).partition("prologue: fatal: ")
    assert headline + rest == result.debugcon, "the ports differ"
    return before, reports.parse(result.debugcon)


def expect_exception(report: Report, bits: int, vector: int, error: int) -> None:
    seen = (report.bits, report.vector, report.name, report.error)
    expected = (bits, vector, reports.NAMES[vector], error)
    assert seen == expected, f"{seen}, not {expected}"
    assert not report.state["flags"] & _INTERRUPT_FLAG, f"flags are {report.state['flags']:#x}"


def expect_exception64(
    report: Report, levels: int, vector: int, error: int = 0, cr0: int = LONG_MODE_CR0
) -> None:
    """And all of the state that one depth's exceptions have in common."""
    expect_exception(report, 64, vector, error)
    control = {"cr0": cr0, "cr4": LONG_MODE_CR4[levels], "efer": LONG_MODE_EFER}
    expect_fields(report.state, cs=SELECTOR_CODE64, **control)


def expect_fields(seen: Dict[str, int], **expected: int) -> None:
    """Of a report's state or registers."""
    for name, value in expected.items():
        assert seen[name] == value, f"{name} is {seen[name]:#x}, not {value:#x}"


def expect_place(report: Report, kernel: Path, virtual: int, at: Optional[int] = None) -> None:
    """The fault was at this address of the image, seen at `at` where that is another one, and the
    bytes there are the image's."""
    image = Image(kernel)
    seen = (report.at, report.offset, report.linked)
    offset = image.physical(virtual) - image.base
    expected = (virtual if at is None else at, offset, virtual)
    assert seen == expected, f"{_hex(seen)}, not {_hex(expected)}"
    start = image.file_offset(virtual)
    code = image.contents[start : start + 16]
    assert report.code == code, f"bytes are {report.code.hex(' ')}, not {code.hex(' ')}"


def expect_nested_only(result: machine.Result, vector: int, at: int) -> None:
    """A fault of the report itself has a line of its own, and is the end."""
    nested = reports.parse_nested(result.debugcon)
    assert nested == (vector, 0, at), nested
    assert result.debugcon.strip().count("\n") == 0, result.debugcon
    assert reports.plain(result.serial).endswith(result.debugcon), "the ports differ"


def _hex(values: tuple) -> str:
    return " ".join("none" if value is None else hex(value) for value in values)
