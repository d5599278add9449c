"""Exceptions in a kernel that has no IDT of its own: qemu/kernels/faults.cpp raises them."""

import re
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, NamedTuple, Optional

import cases
import exceptions
import machine
import reports
from bochs import run_bochs
from cases import Case
from exceptions import (
    FETCH,
    LONG_MODE_CR0,
    PRESENT,
    SELECTOR_CODE64,
    UD2,
    WINDOW,
    WRITE,
    boot_to_report,
    expect_exception64,
    expect_fields,
    expect_place,
)
from images import Image, patch, rebased
from iso import grub_iso
from machine import Boot
from reports import Report

FAULTS, FAULTS_BEST = cases.BUILD / "faults.elf", cases.BUILD / "faults-best.elf"
SOURCE = cases.ROOT / "qemu/kernels/faults.cpp"

WITHOUT_1G_PAGES = "max,-pdpe1gb"
LOST = WINDOW[4] + (1 << 40)  # mapped by nobody
PAGE = 4096


class Layout(NamedTuple):
    """What the kernel says of itself before its fault."""

    tables: int
    stack_bottom: int
    stack_top: int


def layout(text: str) -> Layout:
    keys = ("tables", "stack-bottom", "stack-top")
    return Layout(*(int(re.search(f"^{key}: (0x[0-9a-f]+)$", text, re.M)[1], 16) for key in keys))


@dataclass(frozen=True)
class Fault:
    """A fault of faults.cpp by its function's name, and what must come of it. `cr2` is an address,
    or a symbol; `unreadable` says that the report ends at the stack's words, or at the bytes."""

    name: str
    vector: int
    error: int = 0
    cr2: object = 0
    cr0: int = LONG_MODE_CR0
    argument: str = ""
    unreadable: Optional[str] = None
    registers: Dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Guest:
    """What a fault may look different on."""

    title: str
    kernel: Path = FAULTS
    cpu: str = "max"
    levels: int = 4
    base: Optional[int] = None


PLAIN = Guest("4 levels")
GUESTS = [
    Guest("2 MiB pages", cpu=WITHOUT_1G_PAGES),
    Guest("5 levels", FAULTS_BEST, levels=5),
    Guest("5 levels and 2 MiB pages", FAULTS_BEST, WITHOUT_1G_PAGES, levels=5),
    Guest("an image loaded at 0x2345000", base=0x2345000),
]


def raise_fault(fault: Fault, guest: Guest = PLAIN) -> tuple:
    """Boots to the fault, and checks all that does not depend on where it was."""
    kernel = guest.kernel if guest.base is None else rebased(guest.kernel, guest.base)
    cmdline = f"{fault.name} {fault.argument}".strip()
    before, report = boot_to_report(Boot(kernel=kernel, cpu=guest.cpu, append=cmdline))
    seen = layout(before)
    expect_exception64(report, guest.levels, fault.vector, fault.error, fault.cr0)
    expect_fields(report.state, cr3=seen.tables)
    cr2 = Image(kernel).virtual(fault.cr2) if isinstance(fault.cr2, str) else fault.cr2
    if cr2 is not None:
        expect_fields(report.state, cr2=cr2)
    expect_fields(report.registers, **fault.registers)
    expect_readable(report, fault.unreadable, kernel)
    return kernel, seen, report


def expect_readable(report: Report, unreadable: Optional[str], kernel: Path) -> None:
    """Sixteen bytes and eight words of stack, as far as its page goes; or the line of the fault
    that reading them was."""
    shown = (len(report.code), len(report.stack))
    words = min(8, -(-(PAGE - report.registers["rsp"] % PAGE) // 8))
    expected = {None: (16, words), "stack": (16, 0), "code": (0, 0)}[unreadable]
    assert shown == expected, f"{shown} bytes and words are shown"
    if unreadable is None:
        assert report.nested is None, report.nested
        return
    assert report.nested, "the fault that ended the report has no line of its own"
    assert report.nested[:2] == (reports.PF, 0), report.nested
    assert reports.symbolize(kernel, report.nested.at).file == "report.cpp", report.nested


def expect_marked_line(name: str, kernel: Path, linked: int) -> None:
    """A linked address, given to llvm-symbolizer, names the line that the source marks."""
    source = reports.symbolize(kernel, linked)
    assert source[:2] == (name, SOURCE.name), source
    (marked,) = (
        number
        for number, line in enumerate(SOURCE.read_text().splitlines(), 1)
        if line.endswith(f"here: {name}")
    )
    assert source.line == marked, f"line {source.line}, not {marked}"


def expect_marked_fault(fault: Fault, guest: Guest = PLAIN) -> Report:
    kernel, _, report = raise_fault(fault, guest)
    expect_place(report, kernel, report.at)
    expect_marked_line(fault.name, kernel, report.linked)
    return report


FREE_SELECTOR, BEYOND_GDT = 0x20, 0x50
TASK_SWITCHED = 8  # in CR0

MARKED_FAULTS = [
    Fault("divide_by_zero", reports.DE),
    Fault("single_step", reports.DB),
    Fault("invalid_opcode", reports.UD),
    Fault("no_coprocessor", reports.NM, cr0=LONG_MODE_CR0 | TASK_SWITCHED),
    Fault("double_fault", reports.DF),
    Fault("invalid_opcode_without_stack", reports.UD, unreadable="stack", registers={"rsp": LOST}),
    Fault("segment_not_present", reports.NP, FREE_SELECTOR),
    Fault("stack_not_present", reports.SS, FREE_SELECTOR),
    Fault("selector_beyond_gdt", reports.GP, BEYOND_GDT),
    Fault("not_canonical", reports.GP),
    Fault("read_not_mapped", reports.PF, cr2=LOST),
    Fault("read_null", reports.PF),
    Fault("write_physical_null", reports.PF, WRITE, cr2=WINDOW[4]),
    Fault("write_own_text", reports.PF, PRESENT | WRITE, cr2="write_own_text"),
    Fault("write_constant", reports.PF, PRESENT | WRITE, cr2="constant"),
    Fault("floating_point", reports.MF),
]


def every_field() -> None:
    """Each register, the flags and the stack, in the place of a function's own code."""
    prelude, registers = exceptions.known_state(64)
    start = Image(FAULTS).virtual("fill_with_faults")
    kernel = patch(FAULTS, start, prelude + UD2)
    before, report = boot_to_report(Boot(kernel=kernel, append="fill_with_faults"))
    expect_exception64(report, 4, reports.UD)
    expect_place(report, kernel, start + len(prelude))
    exceptions.expect_known_state(report, registers)
    assert layout(before).stack_bottom < report.registers["rsp"] < layout(before).stack_top


def breakpoint_is_reported() -> None:
    """Behind the instruction, as the CPU has it."""
    kernel, _, report = raise_fault(Fault("breakpoint", reports.BP))
    expect_place(report, kernel, report.at)
    expect_marked_line("breakpoint", kernel, report.linked - 1)


def alias_write(name: str, base: int) -> None:
    """The kernel's text is read-only where the direct map, or the identity map, shows it."""
    cr2 = base + Image(FAULTS).physical("write_own_text")
    expect_marked_fault(Fault(name, reports.PF, PRESENT | WRITE, cr2=cr2))


def not_executable(name: str, symbol: Optional[str]) -> None:
    """Fetching from data is the fault, at the address that was jumped to."""
    fault = Fault(name, reports.PF, PRESENT | FETCH, cr2=symbol)
    kernel, seen, report = raise_fault(fault)
    assert report.at == report.state["cr2"], hex(report.at)
    if symbol:
        expect_place(report, kernel, Image(kernel).virtual(symbol))
    else:
        assert seen.stack_bottom <= report.at < seen.stack_top, hex(report.at)


def direct_map_is_not_executable() -> None:
    at = WINDOW[4] + Image(FAULTS).physical("invalid_opcode")
    _, _, report = raise_fault(Fault("run_direct_map", reports.PF, PRESENT | FETCH, cr2=at))
    assert (report.at, report.offset, report.linked) == (at, None, None), hex(report.at)


def call_of_null() -> None:
    """Its bytes cannot be shown: the report ends there, with a line that says so."""
    _, _, report = raise_fault(Fault("run_null", reports.PF, FETCH, unreadable="code"))
    assert (report.at, report.offset, report.linked) == (0, None, None), hex(report.at)


def guard_page(guest: Guest = PLAIN) -> None:
    _, seen, report = raise_fault(Fault("read_guard_page", reports.PF, cr2=None), guest)
    expect_fields(report.state, cr2=seen.stack_bottom - 8)


def stack_overflow(guest: Guest = PLAIN) -> None:
    """Into the guard page: the #PF has a stack of its own to be reported on."""
    fault = Fault("stack_overflow", reports.PF, error=2, cr2=None, unreadable="stack")
    kernel, seen, report = raise_fault(fault, guest)
    expect_place(report, kernel, report.at)
    source = reports.symbolize(kernel, report.linked)
    assert source[:2] == (fault.name, SOURCE.name), source
    for value in (report.state["cr2"], report.registers["rsp"]):
        assert seen.stack_bottom - PAGE <= value <= seen.stack_bottom, hex(value)


def return_from_kernel_main() -> None:
    boot = Boot(kernel=FAULTS, append="return_from_kernel_main")
    machine.run(boot).expect(machine.FATAL, "^prologue: fatal: kernel_main has returned\r$")


def on_bochs(fault: Fault) -> None:
    """What QEMU 7.2 gets wrong: it takes every address that is not canonical for a #GP, and its
    error code of a vector beyond the IDT is that vector's offset in the table."""
    iso = grub_iso(FAULTS, "multiboot2", fault.name)
    result = run_bochs(iso).expect(machine.FATAL)
    report = reports.parse(reports.plain(result.serial))
    expect_exception64(report, 4, fault.vector, fault.error)
    expect_fields(report.state, cr2=fault.cr2)
    expect_fields(report.registers, **fault.registers)
    expect_place(report, FAULTS, report.at)
    expect_marked_line(fault.name, FAULTS, report.linked)


BOCHS_FAULTS = [
    Fault("stack_not_canonical", reports.SS, registers={"rbp": 1 << 63}),
    Fault("vector_beyond_idt", reports.GP, 0x40 << 3 | 2),
]


def in_bochs(fault: Fault) -> Case:
    name = reports.NAMES[fault.vector].split()[0]
    title = f"faults: {name} of {fault.name} is reported in Bochs"
    return Case(title, lambda: on_bochs(fault))


def any_vector(vector: int) -> Case:
    """INT of a vector that has an error code pushes none: the report then takes RIP for it and CS
    for RIP; what shows is that this vector's gate leads to a handler that knows of the error
    code."""

    def function() -> None:
        behind = Image(FAULTS).virtual("software_interrupts") + 4 * vector + 2
        if vector not in reports.WITH_ERROR_CODE:
            fault = Fault("software_interrupt", vector, argument=str(vector))
            kernel, _, report = raise_fault(fault)
            expect_place(report, kernel, behind)
            return
        boot = Boot(kernel=FAULTS, append=f"software_interrupt {vector}")
        exception = re.escape(f"{reports.NAMES[vector]} (vector {vector}), error {behind:x}")
        line = f"^prologue: fatal: {exception}, 64-bit, at {SELECTOR_CODE64:016x}\r$"
        machine.run(boot).expect(machine.FATAL, line)

    return Case(f"faults: vector {vector} has its gate", function)


def own_stack(vector: int) -> None:
    """Delivered although RSP is nowhere."""
    fault = Fault(
        "software_interrupt_without_stack",
        vector,
        argument=str(vector),
        unreadable="stack",
        cr2=None,
        registers={"rsp": LOST},
    )
    kernel, _, report = raise_fault(fault)
    expect_place(report, kernel, Image(kernel).virtual("software_interrupts") + 4 * vector + 2)


def nmi() -> None:
    """A real one, from QEMU's monitor, while RSP is nowhere."""
    monitor = cases.scratch_directory() / "monitor"
    poker = threading.Thread(target=send_nmi, args=(monitor,), daemon=True)
    poker.start()
    boot = Boot(
        kernel=FAULTS,
        append="wait_without_stack",
        extra=["-monitor", f"unix:{monitor},server=on,wait=off"],
    )
    before, report = boot_to_report(boot)
    poker.join()
    assert before.endswith("waiting\n"), before
    expect_exception64(report, 4, reports.NMI)
    expect_fields(report.registers, rsp=LOST)
    expect_readable(report, "stack", FAULTS)
    expect_marked_line("wait_without_stack", FAULTS, report.linked)


def send_nmi(monitor: Path) -> None:
    """Sends one as soon as the CPU halts in the kernel."""
    halted = re.compile(rb"RIP=ffffffff8.*HLT=1", re.DOTALL)
    machine.tell_monitor(monitor, b"info registers\n", halted, b"nmi\n")


def marked(fault: Fault) -> Case:
    name = reports.NAMES[fault.vector].split()[0]
    title = f"faults: {name} of {fault.name} is reported"
    return Case(title, lambda: expect_marked_fault(fault))


def on_guest(guest: Guest) -> list:
    overflow = Case(f"faults: stack overflow with {guest.title}", lambda: stack_overflow(guest))
    fault = Fault("invalid_opcode", reports.UD)
    ud = Case(f"faults: #UD with {guest.title}", lambda: expect_marked_fault(fault, guest))
    return [overflow, ud]


CASES = [
    Case("faults: every field is reported", every_field),
    *map(marked, MARKED_FAULTS),
    *map(in_bochs, BOCHS_FAULTS),
    Case("faults: #BP is reported", breakpoint_is_reported),
    Case(
        "faults: text is read-only in the direct map",
        lambda: alias_write("write_text_in_direct_map", WINDOW[4]),
    ),
    Case(
        "faults: text is read-only in the identity map",
        lambda: alias_write("write_text_at_identity", 0),
    ),
    Case("faults: data is not executable", lambda: not_executable("run_data", "data")),
    Case("faults: the stack is not executable", lambda: not_executable("run_stack", None)),
    Case("faults: the direct map is not executable", direct_map_is_not_executable),
    Case("faults: a call of null is reported", call_of_null),
    Case("faults: the guard page is not mapped", guard_page),
    Case("faults: stack overflow is reported", stack_overflow),
    *(case for guest in GUESTS for case in on_guest(guest)),
    Case("faults: NMI has its own stack", lambda: own_stack(reports.NMI)),
    Case("faults: #MC has its own stack", lambda: own_stack(reports.MC)),
    Case("faults: an NMI is reported", nmi),
    Case("faults: a return from kernel_main is reported", return_from_kernel_main),
    *map(any_vector, range(32)),
]
