"""Exceptions in Prologue's own 64-bit stage: raised by machine code that is put into the image."""

from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import cases
import exceptions
import machine
import reports
from assembler import assemble
from cases import Case
from exceptions import UD2, WINDOW, boot_to_report, expect_exception64, expect_fields, expect_place
from images import Image, mangled, patch, rebased
from machine import Boot

DEMO, DEMO_BEST = cases.BUILD / "demo.elf", cases.BUILD / "demo-best.elf"
FAULTS = cases.BUILD / "faults.elf"

WITHOUT_1G_PAGES = "max,-pdpe1gb"
NOT_MAPPED = WINDOW[4] + (1 << 40)  # behind what the early map shows
PAGE = 4096

EARLY = "prologue_parse_pvh"  # a function that runs early, and not for a report
EARLY_TABLES = {4: "prologue_early_pml4", 5: "prologue_early_pml5"}


@dataclass(frozen=True)
class Place:
    """A point of the 64-bit stage, and how the CPU runs there."""

    symbol: str
    kernel: Path = DEMO
    cpu: str = "max"
    levels: int = 4
    in_window: bool = True
    base: Optional[int] = None


def ud2_at(place: Place) -> None:
    kernel = patch(place.kernel, place.symbol, UD2)
    if place.base is not None:
        kernel = rebased(kernel, place.base)
    image = Image(kernel)
    _, report = boot_to_report(Boot(kernel=kernel, cpu=place.cpu))
    virtual = image.virtual(place.symbol)
    expect_exception64(report, place.levels, reports.UD)
    expect_fields(report.state, cr2=0)
    if place.in_window:
        expect_place(report, kernel, virtual, image.physical(virtual) + WINDOW[place.levels])
        expect_fields(report.state, cr3=image.physical(EARLY_TABLES[place.levels]))
    else:
        expect_place(report, kernel, virtual)


def every_field() -> None:
    """A page fault early in the 64-bit stage, the direction flag set."""
    prelude, registers = exceptions.known_state(64, rbp=NOT_MAPPED)
    image = Image(DEMO)
    fault = image.virtual(EARLY) + len(prelude)
    kernel = patch(DEMO, EARLY, prelude + assemble("movq %rax, (%rbp)", 64))
    _, report = boot_to_report(Boot(kernel=kernel))
    expect_exception64(report, 4, reports.PF, exceptions.WRITE)
    expect_place(report, kernel, fault, image.physical(fault) + WINDOW[4])
    expect_fields(report.state, cr2=NOT_MAPPED)
    exceptions.expect_known_state(report, registers)
    stack_top = image.physical("prologue_stack_top") + WINDOW[4]
    assert stack_top - PAGE < report.registers["rsp"] < stack_top, hex(report.registers["rsp"])


def nowhere_to_push() -> None:
    """On a stack of its own: the one that it interrupts is nowhere."""
    code = assemble(f"movabsq ${NOT_MAPPED:#x}, %rsp; ud2", 64)
    kernel = patch(DEMO, EARLY, code)
    image = Image(kernel)
    fault = image.virtual(EARLY) + len(code) - len(UD2)
    _, report = boot_to_report(Boot(kernel=kernel))
    expect_exception64(report, 4, reports.UD)
    expect_place(report, kernel, fault, image.physical(fault) + WINDOW[4])
    expect_fields(report.registers, rsp=NOT_MAPPED)


def fault_in_the_report() -> None:
    """Of a fault in the kernel, where the stage has left its own tables."""
    printer = mangled(Image(FAULTS).symbols, "print_exception")
    kernel = patch(FAULTS, printer, UD2)
    result = machine.run(Boot(kernel=kernel, append="read_null")).expect(machine.FATAL)
    exceptions.expect_nested_only(result, reports.UD, Image(kernel).virtual(printer))


def at_place(title: str, place: Place) -> Case:
    return Case(f"exceptions64: reported {title}", lambda: ud2_at(place))


CASES = [
    at_place("early in the window", Place(EARLY)),
    at_place("in the window with 2 MiB pages", Place(EARLY, cpu=WITHOUT_1G_PAGES)),
    at_place("in the window with 5 levels", Place(EARLY, DEMO_BEST, levels=5)),
    at_place("in the window at 0x2345000", Place(EARLY, base=0x2345000)),
    at_place("at the end of the window", Place("prologue_enter_kernel")),
    at_place("where the kernel's addresses begin", Place("at_kernel_address", in_window=False)),
    at_place("at the call of the kernel", Place("prologue_calls_kernel", in_window=False)),
    Case("exceptions64: every field is reported", every_field),
    Case("exceptions64: an exception has its own stack", nowhere_to_push),
    Case("exceptions64: a fault in the report is a line", fault_in_the_report),
]
