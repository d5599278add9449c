"""Exceptions in 64-bit mode: in Prologue's own stage, where machine code is put into the image,
and in a kernel that has no IDT of its own (qemu/kernels/faults.cpp)."""

import re
import socket
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, NamedTuple, Optional

import cases
import machine
import reports
from assembler import assemble
from bochs import run_bochs
from cases import Case
from images import Image, mangled, patch, rebased
from iso import grub_iso
from machine import Boot
from reports import Report

DEMO, DEMO_BEST = cases.BUILD / "demo.elf", cases.BUILD / "demo-best.elf"
FAULTS, FAULTS_BEST = cases.BUILD / "faults.elf", cases.BUILD / "faults-best.elf"
SOURCE = cases.ROOT / "qemu/kernels/faults.cpp"

WITHOUT_1G_PAGES = "max,-pdpe1gb"
WINDOW = {4: 0xFFFF800000000000, 5: 0xFF00000000000000}  # and later the direct map
TIB = 1 << 40
PAGE = 4096

CS = 8
CR0, EFER = 0x80010033, 0xD00
CR4 = {4: 0x620, 5: 0x1620}
FLAGS = 0x200C93  # ID, OF, DF, SF, AF, CF and the bit that is always set
RESUME_FLAG = 1 << 16  # which a CPU may set in what it pushes at a fault
INTERRUPT_FLAG = 1 << 9

# Bits of a #PF's error code.
PRESENT, WRITE, FETCH = 1, 2, 16

UD2 = b"\x0f\x0b"


def boot_to_report(boot: Boot) -> tuple:
    """Boots to a fatal end; what the kernel said before it, and the report, which both ports must
    show alike."""
    result = machine.run(boot).expect(machine.FATAL)
    before, headline, rest = reports.plain(result.serial).partition("prologue: fatal: ")
    assert headline + rest == result.debugcon, "the ports differ"
    return before, reports.parse(result.debugcon)


def expect_exception(report: Report, vector: int, error: int, levels: int) -> None:
    """The headline, and all of the state that one kernel's faults have in common."""
    seen = (report.bits, report.vector, report.name, report.error)
    assert seen == (64, vector, reports.NAMES[vector], error), seen
    expect_fields(report.state, cs=CS, efer=EFER, cr4=CR4[levels])
    assert not report.state["flags"] & INTERRUPT_FLAG, f"flags are {report.state['flags']:#x}"


def expect_fields(seen: Dict[str, int], **expected) -> None:
    for name, value in expected.items():
        assert seen[name] == value, f"{name} is {seen[name]:#x}, not {value:#x}"


def expect_place(report: Report, kernel: Path, virtual: int, at: Optional[int] = None) -> None:
    """The fault was at this address of the image, seen at `at` where that is another one, and the
    bytes there are the image's."""
    image = Image(kernel)
    expected = (virtual if at is None else at, image.physical(virtual) - image.base, virtual)
    seen = (report.at, report.offset, report.linked)
    assert seen == expected, f"{seen}, not {expected}"
    offset = image.file_offset(virtual)
    code = image.contents[offset : offset + 16]
    assert report.code == code, f"bytes are {report.code.hex(' ')}, not {code.hex(' ')}"


# Prologue's own stage.

EARLY = "prologue_parse_pvh"  # a function that runs early, and not for a report


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
    at = image.physical(virtual) + WINDOW[place.levels] if place.in_window else virtual
    expect_exception(report, reports.UD, 0, place.levels)
    expect_place(report, kernel, virtual, at)
    expect_fields(report.state, cr0=CR0, cr2=0)
    if place.in_window:
        table = {4: "prologue_early_pml4", 5: "prologue_early_pml5"}[place.levels]
        expect_fields(report.state, cr3=image.physical(table))


STACK = [0x57AC0000 + i for i in range(8)]


def known_state() -> tuple:
    """Code after which every register, the flags and eight words of stack hold what we know; and
    the registers' values but for RSP."""
    names = [name for name in reports.REGISTERS64 if name != "rsp"]
    registers = {name: 0xA000000000000000 + 0x1111 * i for i, name in enumerate(names, 1)}
    pushes = [f"pushq ${word:#x}" for word in reversed(STACK)]
    moves = [f"movabsq ${value:#x}, %{name}" for name, value in registers.items()]
    return assemble("\n".join([*pushes, f"pushq ${FLAGS:#x}", "popfq", *moves]), 64), registers


def every_field_in_the_window() -> None:
    """A page fault early in the 64-bit stage, the direction flag set."""
    prelude, registers = known_state()
    registers["rbp"] = WINDOW[4] + TIB  # behind what the early map shows
    code = assemble(f"movabsq ${registers['rbp']:#x}, %rbp; movq %rax, (%rbp)", 64)
    image = Image(DEMO)
    start = image.virtual(EARLY)
    kernel = patch(DEMO, start, prelude + code)
    _, report = boot_to_report(Boot(kernel=kernel))
    fault = start + len(prelude + code) - len(assemble("movq %rax, (%rbp)", 64))
    expect_exception(report, reports.PF, WRITE, 4)
    expect_place(report, kernel, fault, image.physical(fault) + WINDOW[4])
    expect_fields(report.state, cr0=CR0, cr2=registers["rbp"])
    assert report.state["flags"] & ~RESUME_FLAG == FLAGS, f"flags are {report.state['flags']:#x}"
    expect_fields(report.registers, **registers)
    assert report.stack == STACK, [hex(word) for word in report.stack]
    stack_top = image.physical("prologue_stack_top") + WINDOW[4]
    assert stack_top - PAGE < report.registers["rsp"] < stack_top, hex(report.registers["rsp"])
    assert report.nested is None


def double_fault_in_the_window() -> None:
    """On its own stack: the one that it interrupts is nowhere."""
    lost = WINDOW[4] + TIB
    code = assemble(f"movabsq ${lost:#x}, %rsp; ud2", 64)
    kernel = patch(DEMO, EARLY, code)
    _, report = boot_to_report(Boot(kernel=kernel))
    image = Image(kernel)
    fault = image.virtual(EARLY) + len(code) - len(UD2)
    expect_exception(report, reports.DF, 0, 4)
    expect_place(report, kernel, fault, image.physical(fault) + WINDOW[4])
    expect_fields(report.registers, rsp=lost)


def fault_in_the_report() -> None:
    """Its own line, and the end."""
    printer = mangled(Image(FAULTS).symbols, "print_exception")
    kernel = patch(FAULTS, printer, UD2)
    boot = Boot(kernel=kernel, append="read_null")
    result = machine.run(boot).expect(machine.FATAL)
    nested = reports.parse_nested(result.debugcon)
    assert nested == (reports.UD, 0, Image(kernel).virtual(printer)), nested
    assert len(result.debugcon.split("\n")) <= 3, result.debugcon
    assert reports.plain(result.serial).endswith(result.debugcon), "the ports differ"


# A kernel without an IDT of its own.


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
    cr0: int = CR0
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
    expect_exception(report, fault.vector, fault.error, guest.levels)
    expect_fields(report.state, cr0=fault.cr0, cr3=seen.tables)
    cr2 = Image(kernel).virtual(fault.cr2) if isinstance(fault.cr2, str) else fault.cr2
    if cr2 is not None:
        expect_fields(report.state, cr2=cr2)
    expect_fields(report.registers, **fault.registers)
    expect_readable(report, fault.unreadable, kernel)
    return kernel, seen, report


def expect_readable(report: Report, unreadable: Optional[str], kernel: Path) -> None:
    """Sixteen bytes and eight words of stack; or the line of the fault that reading them was."""
    shown = (len(report.code), len(report.stack))
    expected = {None: (16, 8), "stack": (16, 0), "code": (0, 0)}[unreadable]
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
LOST = WINDOW[4] + TIB

MARKED_FAULTS = [
    Fault("divide_by_zero", reports.DE),
    Fault("single_step", reports.DB),
    Fault("invalid_opcode", reports.UD),
    Fault("no_coprocessor", reports.NM, cr0=CR0 | 8),
    Fault("double_fault", reports.DF, cr2=LOST - 8, unreadable="stack", registers={"rsp": LOST}),
    Fault("segment_not_present", reports.NP, FREE_SELECTOR),
    Fault("stack_not_present", reports.SS, FREE_SELECTOR),
    Fault("selector_beyond_gdt", reports.GP, BEYOND_GDT),
    Fault("not_canonical", reports.GP),
    Fault("read_not_mapped", reports.PF, cr2=WINDOW[4] + TIB),
    Fault("read_null", reports.PF),
    Fault("write_physical_null", reports.PF, WRITE, cr2=WINDOW[4]),
    Fault("write_own_text", reports.PF, PRESENT | WRITE, cr2="write_own_text"),
    Fault("write_constant", reports.PF, PRESENT | WRITE, cr2="constant"),
    Fault("floating_point", reports.MF),
]


def known_registers() -> None:
    """Each register, the flags and the stack of a kernel."""
    fault = Fault(
        "known_registers",
        reports.UD,
        registers={
            name: 0xA000111111111111 + (int(f"{i}", 16) << 48)
            for i, name in enumerate(reports.REGISTERS64)
            if name != "rsp"
        },
    )
    kernel, seen, report = raise_fault(fault)
    expect_place(report, kernel, Image(kernel).find("known_registers", UD2))
    expect_marked_line(fault.name, kernel, report.linked)
    assert report.state["flags"] & ~RESUME_FLAG == FLAGS, f"flags are {report.state['flags']:#x}"
    assert report.stack == [0x5AC00 + i for i in range(8)], [hex(word) for word in report.stack]
    assert seen.stack_bottom < report.registers["rsp"] < seen.stack_top


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
    """Into the guard page; the #PF finds no stack there, so it is a #DF, on its own."""
    fault = Fault("stack_overflow", reports.DF, cr2=None, unreadable="stack")
    kernel, seen, report = raise_fault(fault, guest)
    expect_place(report, kernel, report.at)
    source = reports.symbolize(kernel, report.linked)
    assert source[:2] == (fault.name, SOURCE.name), source
    for value in (report.state["cr2"], report.registers["rsp"]):
        assert seen.stack_bottom - PAGE <= value < seen.stack_bottom, hex(value)


def return_from_kernel_main() -> None:
    boot = Boot(kernel=FAULTS, append="return_from_kernel_main")
    machine.run(boot).expect(machine.FATAL, "^prologue: fatal: kernel_main has returned\r$")


def on_bochs(fault: Fault) -> None:
    """What QEMU 7.2 gets wrong: it takes every address that is not canonical for a #GP, and its
    error code of a vector beyond the IDT is that vector's offset in the table."""
    iso = grub_iso(FAULTS, "multiboot2", fault.name)
    result = run_bochs(iso).expect(machine.FATAL)
    report = reports.parse(reports.plain(result.serial))
    expect_exception(report, fault.vector, fault.error, 4)
    expect_fields(report.state, cr0=fault.cr0, cr2=fault.cr2)
    expect_fields(report.registers, **fault.registers)
    expect_place(report, FAULTS, report.at)
    expect_marked_line(fault.name, FAULTS, report.linked)


BOCHS_FAULTS = [
    Fault("stack_not_canonical", reports.SS, registers={"rbp": 1 << 63}),
    Fault("vector_beyond_idt", reports.GP, 0x40 << 3 | 2),
]


def in_bochs(fault: Fault) -> Case:
    name = reports.NAMES[fault.vector].split()[0]
    title = f"exceptions64: {name} of {fault.name} is reported in Bochs"
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
        name = re.escape(reports.NAMES[vector])
        headline = rf"{name} \(vector {vector}\), error {behind:x}, 64-bit, at {CS:016x}"
        machine.run(boot).expect(machine.FATAL, f"^prologue: fatal: {headline}\r$")

    return Case(f"exceptions64: vector {vector} has its gate", function)


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
    expect_exception(report, reports.NMI, 0, 4)
    expect_fields(report.registers, rsp=LOST)
    expect_readable(report, "stack", FAULTS)
    expect_marked_line("wait_without_stack", FAULTS, report.linked)


def send_nmi(monitor: Path, seconds: float = 10) -> None:
    """Sends one as soon as the CPU halts in the kernel."""
    deadline = time.monotonic() + seconds
    halted = re.compile(rb"RIP=ffffffff8.*HLT=1", re.DOTALL)
    with socket.socket(socket.AF_UNIX) as connection:
        while connection.connect_ex(str(monitor)) and time.monotonic() < deadline:
            time.sleep(0.05)
        connection.settimeout(seconds)
        said = b""
        while not halted.search(said) and time.monotonic() < deadline:
            connection.sendall(b"info registers\n")
            time.sleep(0.05)
            said = connection.recv(1 << 16)
        connection.sendall(b"nmi\n")
        while connection.recv(1 << 16):  # until the machine has gone
            pass


def marked(fault: Fault) -> Case:
    name = reports.NAMES[fault.vector].split()[0]
    title = f"exceptions64: {name} of {fault.name} is reported"
    return Case(title, lambda: expect_marked_fault(fault))


def at_place(title: str, place: Place) -> Case:
    return Case(f"exceptions64: reported {title}", lambda: ud2_at(place))


def on_guest(guest: Guest) -> list:
    overflow = Case(f"exceptions64: stack overflow with {guest.title}", lambda: stack_overflow(guest))
    fault = Fault("invalid_opcode", reports.UD)
    ud = Case(f"exceptions64: #UD with {guest.title}", lambda: expect_marked_fault(fault, guest))
    return [overflow, ud]


PLACES = [
    at_place("early in the window", Place(EARLY)),
    at_place("at the end of the window", Place("prologue_enter_kernel")),
    at_place("where the kernel's addresses begin", Place("at_kernel_address", in_window=False)),
    at_place("at the call of the kernel", Place("prologue_calls_kernel", in_window=False)),
    at_place("in the window with 2 MiB pages", Place(EARLY, cpu=WITHOUT_1G_PAGES)),
    at_place("in the window with 5 levels", Place(EARLY, DEMO_BEST, levels=5)),
    at_place("in the window at 0x2345000", Place(EARLY, base=0x2345000)),
]

CASES = [
    *PLACES,
    Case("exceptions64: every field in the window", every_field_in_the_window),
    Case("exceptions64: #DF in the window", double_fault_in_the_window),
    Case("exceptions64: a fault in the report is a line", fault_in_the_report),
    Case("exceptions64: every field in the kernel", known_registers),
    *map(marked, MARKED_FAULTS),
    *map(in_bochs, BOCHS_FAULTS),
    Case("exceptions64: #BP is reported", breakpoint_is_reported),
    Case(
        "exceptions64: text is read-only in the direct map",
        lambda: alias_write("write_text_in_direct_map", WINDOW[4]),
    ),
    Case(
        "exceptions64: text is read-only in the identity map",
        lambda: alias_write("write_text_at_identity", 0),
    ),
    Case(
        "exceptions64: data is not executable",
        lambda: not_executable("run_data", "data"),
    ),
    Case("exceptions64: the stack is not executable", lambda: not_executable("run_stack", None)),
    Case("exceptions64: the direct map is not executable", direct_map_is_not_executable),
    Case("exceptions64: a call of null is reported", call_of_null),
    Case("exceptions64: the guard page is not mapped", guard_page),
    Case("exceptions64: stack overflow is reported", stack_overflow),
    *(case for guest in GUESTS for case in on_guest(guest)),
    Case("exceptions64: NMI has its own stack", lambda: own_stack(reports.NMI)),
    Case("exceptions64: #MC has its own stack", lambda: own_stack(reports.MC)),
    Case("exceptions64: an NMI is reported", nmi),
    Case("exceptions64: a return from kernel_main is reported", return_from_kernel_main),
    *map(any_vector, range(32)),
]
