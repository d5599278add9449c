"""Exceptions in 32-bit mode: raised by machine code that is put into the entry, and reported.

Each boot's kernel is a copy of the demonstration kernel with a few bytes overwritten: at
prologue_reports32, the first instruction whose fault is reported, or later on the way.
"""

from pathlib import Path
from typing import NamedTuple, Tuple

import cases
import exceptions
import machine
import reports
from assembler import assemble
from bochs import run_bochs
from cases import Case, note
from exceptions import UD2, boot_to_report, expect_fields, expect_place
from images import Image, mangled, patch, rebased, symbols
from iso import grub_iso
from machine import Boot
from reports import Report

DEMO = cases.BUILD / "demo.elf"

CS_BASED, CS_FLAT, FREE_SELECTOR = 0x18, 0x20, 0x28  # in our GDT; the last is the later TSS
BEYOND_GDT = 0x38
ABSENT_DATA, ABSENT_CODE = 0x00CF13000000FFFF, 0x00CF1B000000FFFF

# Control registers before and after the entry has written them. When it writes CR0 in 32-bit
# mode, if ever, is its own affair.
PROTECTED = 0x11
PROTECTED_WHOLE = exceptions.LONG_MODE_CR0 & 0x7FFFFFFF
AT_ENTRY = {"cr0": PROTECTED, "cr2": 0, "cr3": 0, "cr4": 0, "efer": 0}
CR4_FOUR, CR4_FIVE = 0x660, 0x1660
EFER_BEFORE_PAGING = 0x900

MOV_TO_CR0 = b"\x0f\x22\xc0"
RDMSR, WRMSR, CPUID = b"\x0f\x32", b"\x0f\x30", b"\x0f\xa2"
BEFORE_STATUS = "prologue: fatal: sev: reason 15 of docs/sev.md (SEV_STATUS is 0)\n"
INT_BEYOND_IDT = b"\xcd\x40"


class Fault(NamedTuple):
    """An instruction, with ECX, EDX and EDI 0 and EAX a selector, and what must come of it."""

    title: str
    code: str
    vector: int
    error: int = 0
    eax: int = 0xA0111111
    trap: bool = False  # reported behind the instruction, not at it
    patches: Tuple[Tuple[str, int, bytes], ...] = ()  # symbol, offset, bytes


def descriptor(value: int) -> tuple:
    return (("prologue_gdt", FREE_SELECTOR, value.to_bytes(8, "little")),)


# Gate 0 without its present bit: #NP on the way to #DE's handler makes a #DF.
GATE_0_ABSENT = (("idt32", 5, b"\x0e"),)

FAULTS = [
    Fault("#DE", "div %edi", reports.DE),
    Fault("#BP", "int3", reports.BP, trap=True),
    Fault("#OF", "into", reports.OF, trap=True),
    Fault("#UD", "ud2", reports.UD),
    Fault("#DF", "div %edi", reports.DF, patches=GATE_0_ABSENT),
    Fault("#GP of a far jump", f"ljmp ${BEYOND_GDT}, $0", reports.GP, BEYOND_GDT),
    Fault("#GP of a selector", "mov %eax, %es", reports.GP, BEYOND_GDT, eax=BEYOND_GDT),
    Fault("#GP of a vector", "int $0x40", reports.GP, 0x40 << 3 | 2),
    Fault(
        "#SS of a stack that is not present",
        "mov %eax, %ss",
        reports.SS,
        FREE_SELECTOR,
        eax=FREE_SELECTOR,
        patches=descriptor(ABSENT_DATA),
    ),
    Fault(
        "#NP of data that is not present",
        "mov %eax, %ds",
        reports.NP,
        FREE_SELECTOR,
        eax=FREE_SELECTOR,
        patches=descriptor(ABSENT_DATA),
    ),
    Fault(
        "#NP of code that is not present",
        f"ljmp ${FREE_SELECTOR}, $0",
        reports.NP,
        FREE_SELECTOR,
        patches=descriptor(ABSENT_CODE),
    ),
]


def fault_where_reports_begin(fault: Fault, kernel: Path = DEMO, **options) -> None:
    """Raises `fault` with every register known, and checks every field of the report."""
    image = Image(kernel)
    prelude, registers = exceptions.known_state(32, eax=fault.eax, ecx=0, edx=0, edi=0)
    code = assemble(fault.code, 32)
    start = image.virtual("prologue_reports32")
    room = image.virtual("enter_stage32") - start
    assert len(prelude + code) <= room, "the code to put there overwrites what reports it"
    patched = patch(kernel, start, prelude + code)
    for symbol, offset, data in fault.patches:
        patched = patch(patched, image.virtual(symbol) + offset, data)

    report = report_of(Boot(kernel=patched, **options))
    expect_exception(report, fault.vector, fault.error)
    expect_physical_place(report, patched, start + len(prelude + code if fault.trap else prelude))
    expect_fields(report.state, cs=CS_BASED, **AT_ENTRY)
    registers["esp"] = image.physical("prologue_stack_top") - 4 * len(exceptions.STACK)
    exceptions.expect_known_state(report, registers)


def report_of(boot: Boot) -> Report:
    """The report, with nothing before it."""
    before, report = boot_to_report(boot)
    assert before == "", repr(before)
    return report


def expect_exception(report: Report, vector: int, error: int = 0) -> None:
    exceptions.expect_exception(report, 32, vector, error)


def expect_physical_place(report: Report, kernel: Path, virtual: int) -> None:
    expect_place(report, kernel, virtual, at=Image(kernel).physical(virtual))


def any_vector(vector: int) -> Case:
    """INT of a vector that has an error code pushes none: the report then takes EIP for it, CS for
    EIP and the flags for CS; what shows is that this vector's gate leads to a handler that knows of
    the error code."""

    def function() -> None:
        begin = Image(DEMO).virtual("prologue_reports32")
        patched = patch(DEMO, begin, bytes([0xCD, vector]))
        report = report_of(Boot(kernel=patched))
        if vector in reports.WITH_ERROR_CODE:
            offset = begin + 2 - Image(DEMO).virtual("entry_base")
            expect_exception(report, vector, offset)
            assert report.at == CS_BASED, hex(report.at)
        else:
            expect_exception(report, vector)
            expect_physical_place(report, patched, begin + 2)

    return Case(f"exceptions32: vector {vector} has its gate", function)


def ud2_where_paging_comes_on(kernel: Path, cpu: str, cs: int, table: str, cr4: int) -> None:
    """ud2 in the place of the instruction that sets CR0.PG."""
    image = Image(kernel)
    before_paging = image.find(image.find("prologue_reports32", WRMSR), MOV_TO_CR0)
    patched = patch(kernel, before_paging, UD2)
    report = report_of(Boot(kernel=patched, cpu=cpu))
    expect_exception(report, reports.UD)
    expect_physical_place(report, patched, before_paging)
    assert report.state["cr0"] in (PROTECTED, PROTECTED_WHOLE), hex(report.state["cr0"])
    cr3 = image.physical(table)
    expect_fields(report.state, cs=cs, cr3=cr3, cr4=cr4, efer=EFER_BEFORE_PAGING)


def before_paging_with_4_levels() -> None:
    ud2_where_paging_comes_on(DEMO, "max", CS_BASED, "prologue_early_pml4", CR4_FOUR)


def before_paging_with_5_levels() -> None:
    kernel = cases.BUILD / "demo-best.elf"
    ud2_where_paging_comes_on(kernel, "max", CS_BASED, "prologue_early_pml5", CR4_FIVE)


def before_paging_behind_the_cpp_stage() -> None:
    ud2_where_paging_comes_on(DEMO, "qemu64", CS_FLAT, "prologue_early_pml4", CR4_FOUR)


STAGE32 = cases.BUILD / "stage32.elf"


def in_stage32(*name: str) -> int:
    """The virtual address at which the demonstration kernel has a function of the 32-bit stage."""
    table = symbols(STAGE32)
    return Image(DEMO).virtual("prologue_stage32") + table[mangled(table, *name)]


def inside_the_cpp_stage() -> None:
    """What writes 2 MiB pages; symbols of that code are in stage32.elf."""
    at = in_stage32("build_early_tables")
    patched = patch(DEMO, at, UD2)
    report = report_of(Boot(kernel=patched, cpu="qemu64"))
    expect_exception(report, reports.UD)
    expect_physical_place(report, patched, at)
    expect_fields(report.state, cs=CS_FLAT, cr4=CR4_FOUR, efer=0)
    source = reports.symbolize(STAGE32, report.linked - Image(DEMO).virtual("prologue_stage32"))
    assert source.function.endswith(
        "build_early_tables(unsigned int, unsigned int, unsigned int)"), source
    assert source.file == "stage32.cpp", source


def address_names_its_line() -> None:
    """As the docs say: llvm-symbolizer with the linked address."""
    at = Image(DEMO).find("prologue_reports32", CPUID)
    patched = patch(DEMO, at, UD2)
    report = report_of(Boot(kernel=patched))
    source = reports.symbolize(DEMO, report.linked)
    lines = (cases.ROOT / "arch/x86/entry/entry32.S").read_text().splitlines()
    assert source.file == "entry32.S", source
    assert lines[source.line - 1].split("//")[0].strip() == "cpuid", source


def reported_where_it_was_loaded(base: int) -> None:
    fault_where_reports_begin(FAULTS[0], rebased(DEMO, base), memory="4G")


def reported_under_multiboot() -> None:
    fault_where_reports_begin(FAULTS[0], cases.BUILD / "demo-multiboot1.elf")


def fault_in_the_report() -> None:
    """Its own line, and the end."""
    printer = in_stage32("print_exception")
    patched = patch(patch(DEMO, "prologue_reports32", b"\xcd\x05"), printer, UD2)
    result = machine.run(Boot(kernel=patched)).expect(machine.FATAL)
    exceptions.expect_nested_only(result, reports.UD, Image(DEMO).physical(printer))


def fault_in_the_report_of_that() -> None:
    """No third report: the CPU halts, and is not reset."""
    patched = patch(DEMO, "prologue_reports32", UD2)
    for name in ("print_exception", "print_error"):
        patched = patch(patched, in_stage32(name), UD2)
    result = machine.run(Boot(kernel=patched, timeout=1)).expect(machine.HANG)
    assert result.serial.strip() == "", result.serial


def said_before_status(vector: int) -> None:
    """Until SEV_STATUS is known a line with nothing in it that a host could have chosen. INT's
    frame is as short as a host can make any."""
    patched = patch(DEMO, "prologue_idt32_stands", bytes([0xCD, vector]))
    result = machine.run(Boot(kernel=patched)).expect(machine.FATAL)
    assert reports.plain(result.serial) == BEFORE_STATUS, result.serial


def missing_msr_is_stepped_over() -> None:
    """QEMU's CPUs read unknown MSRs as 0, so another #GP stands in: an INT beyond the IDT, as long
    as the RDMSR of SEV_STATUS that it replaces."""
    at = Image(DEMO).find("prologue_idt32_stands", RDMSR)
    machine.run(Boot(kernel=patch(DEMO, at, INT_BEYOND_IDT))).expect(machine.OK, "^result: ok")


def missing_msr_is_stepped_over_in_bochs() -> None:
    """Bochs raises #GP for it, which shows when the fix-up is taken away: its comparison with the
    RDMSR's offset is spoilt. With it the boot goes on, as all of Bochs' boots prove."""
    image = Image(DEMO)
    at = image.find("prologue_idt32_stands", RDMSR)
    offset = at - image.virtual("entry_base")
    comparison, never = (assemble(f"cmpl ${o}, 4(%esp)", 32) for o in (offset, offset + 1))
    kernel = patch(DEMO, image.find("isr32_13", comparison), never)
    result = run_bochs(grub_iso(kernel, "multiboot2")).expect(machine.FATAL)
    assert BEFORE_STATUS.strip() in reports.plain(result.serial)


def missing_msr_under_kvm() -> None:
    missing = machine.kvm_missing()
    if missing:
        note(f"not tried: {missing}")
        return
    result = machine.run(Boot(kernel=DEMO, accel="kvm", cpu="qemu64", timeout=2))
    assert result.outcome != machine.FATAL, "a fatal line"
    if result.outcome != machine.OK:
        errors = " ".join(result.errors.split())
        note(f"KVM is there but cannot run this: {result.outcome}. {errors[:200]}")


def at_idt_stands(fault: Fault) -> Case:
    return Case(f"exceptions32: {fault.title} is reported",
                lambda: fault_where_reports_begin(fault))


def loaded_at(base: int) -> Case:
    name = f"exceptions32: reported by an image loaded at {base:#x}"
    return Case(name, lambda: reported_where_it_was_loaded(base))


CASES = [
    *map(at_idt_stands, FAULTS),
    *map(any_vector, range(32)),
    loaded_at(0x345000),
    loaded_at(0xA0001000),
    Case("exceptions32: reported by a Multiboot kernel", reported_under_multiboot),
    Case("exceptions32: reported where paging comes on", before_paging_with_4_levels),
    Case("exceptions32: reported where 5 levels come on", before_paging_with_5_levels),
    Case("exceptions32: reported behind the C++ stage", before_paging_behind_the_cpp_stage),
    Case("exceptions32: reported inside the C++ stage", inside_the_cpp_stage),
    Case("exceptions32: an address names its line", address_names_its_line),
    Case("exceptions32: a fault in the report is a line", fault_in_the_report),
    Case("exceptions32: a fault in that line halts", fault_in_the_report_of_that),
    *(Case(f"exceptions32: vector {vector} before SEV_STATUS is known is a line of its own",
           lambda v=vector: said_before_status(v)) for vector in (2, 6, 13, 29)),
    Case("exceptions32: a missing SEV_STATUS is stepped over", missing_msr_is_stepped_over),
    Case("exceptions32: Bochs lacks SEV_STATUS", missing_msr_is_stepped_over_in_bochs),
    Case("exceptions32: KVM's SEV_STATUS, or why not", missing_msr_under_kvm),
]
