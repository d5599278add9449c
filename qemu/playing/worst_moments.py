"""Exceptions where a boot can bear them least: right behind each LIDT, and right before paging
comes on. A kernel raises one there after its machine code has been overwritten.

QEMU's CPUs raise no #XM, and a #GP for an #SS in 64-bit mode.
"""

from pathlib import Path
from typing import Dict, NamedTuple, Tuple

import exceptions
import reports
from assembler import assemble
from exceptions import WINDOW, expect_fields, expect_place
from images import Image, patch
from reports import Report

CS_BASED, CS_CODE64 = 0x18, exceptions.SELECTOR_CODE64
FREE_SELECTOR, BEYOND_GDT = 0x28, 0x38  # the first is the later TSS
_ABSENT_DATA, _ABSENT_CODE = 0x00CF13000000FFFF, 0x00CF1B000000FFFF
_NOT_MAPPED = WINDOW[4] + (1 << 40)  # behind what the early map shows
_NOT_CANONICAL = 1 << 62

_WRMSR, _MOV_TO_CR0, _LIDT_OF_STACK = b"\x0f\x30", b"\x0f\x22\xc0", b"\x0f\x01\x1c\x24"
_JUMP_BYTES = 5
_ROOM = "prologue_parse_multiboot1"  # a function that no other contract's boot runs


class Moment(NamedTuple):
    """`control` is what the entry has written so far, whatever the loader left."""

    title: str
    bits: int
    control: Dict[str, int]


BEHIND_LIDT32 = Moment("where 32-bit reports begin", 32, {})
BEFORE_PAGING = Moment("before paging comes on", 32, {"cr4": 0x660, "efer": 0x900})
BEHIND_LIDT64 = Moment("behind the 64-bit LIDT", 64, {
    "cr0": exceptions.LONG_MODE_CR0, "cr4": 0x660, "efer": exceptions.LONG_MODE_EFER})
MOMENTS = (BEHIND_LIDT32, BEFORE_PAGING, BEHIND_LIDT64)


def _virtual(image: Image, moment: Moment) -> int:
    if moment is BEHIND_LIDT32:
        return image.virtual("prologue_reports32")
    if moment is BEFORE_PAGING:
        return image.find(image.find("prologue_idt32_stands", _WRMSR), _MOV_TO_CR0)
    return image.find("prologue_install_idt", _LIDT_OF_STACK) + len(_LIDT_OF_STACK)


class Raised(NamedTuple):
    """Code whose last statement faults; a trap is reported behind it. `descriptor` stands at
    FREE_SELECTOR."""

    title: str
    code: str
    vector: int
    error: int = 0
    trap: bool = False
    descriptor: int = 0
    last_bytes: int = 2


_DIVIDE = "xorl %edi, %edi; divl %edi"


def _double_fault(bits: int) -> str:
    """#DE's gate loses its present bit: the #NP on the way makes it a #DF."""
    stack, base, word = {32: ("%esp", "%ebp", "l"), 64: ("%rsp", "%rbp", "q")}[bits]
    return (f"sub{word} $16, {stack}; sidt ({stack}); mov{word} 2({stack}), {base};"
            f"movb $0x0e, 5({base}); {_DIVIDE}")


def _loaded(selector: int, register: str) -> str:
    return f"movl ${selector:#x}, %eax; movl %eax, %{register}"


_CODE32_FLAT = 0x20  # of no use any more in 64-bit mode, where the TSS stands already


def _absent(register: str) -> str:
    """In 64-bit mode: a descriptor becomes one of data that is not present."""
    return (f"subq $16, %rsp; sgdt (%rsp); movq 2(%rsp), %rbp;"
            f"movb $0x13, {_CODE32_FLAT + 5}(%rbp); {_loaded(_CODE32_FLAT, register)}")


_EITHER = (
    Raised("#DE", _DIVIDE, reports.DE),
    Raised("#BP", "int3", reports.BP, trap=True),
    Raised("#UD", "ud2", reports.UD),
    Raised("#GP of a selector", _loaded(BEYOND_GDT, "es"), reports.GP, BEYOND_GDT),
)
_RAISED = {
    32: (*_EITHER,
         Raised("#NP of a selector", _loaded(FREE_SELECTOR, "es"), reports.NP, FREE_SELECTOR,
                descriptor=_ABSENT_DATA),
         Raised("#SS of a selector", _loaded(FREE_SELECTOR, "ss"), reports.SS, FREE_SELECTOR,
                descriptor=_ABSENT_DATA),
         Raised("#DB", "pushfl; orb $1, 1(%esp); popfl; nop", reports.DB, trap=True),
         Raised("#DF", _double_fault(32), reports.DF),
         Raised("#GP of a vector", "int $0x40", reports.GP, 0x40 << 3 | 2),
         Raised("#OF", "movb $0x7f, %al; incb %al; into", reports.OF, trap=True),
         Raised("#NP of code", f"ljmp ${FREE_SELECTOR:#x}, $0", reports.NP, FREE_SELECTOR,
                descriptor=_ABSENT_CODE, last_bytes=7),
         Raised("#GP of a far jump", f"ljmp ${BEYOND_GDT:#x}, $0", reports.GP, BEYOND_GDT,
                last_bytes=7)),
    64: (*_EITHER,
         Raised("#NP of a selector", _absent("es"), reports.NP, _CODE32_FLAT),
         Raised("#SS of a selector", _absent("ss"), reports.SS, _CODE32_FLAT),
         Raised("#DB", "pushfq; orb $1, 1(%rsp); popfq; nop", reports.DB, trap=True),
         Raised("#DF", _double_fault(64), reports.DF),
         Raised("#GP of an address", f"movabsq ${_NOT_CANONICAL:#x}, %rax; movb (%rax), %al",
                reports.GP),
         Raised("#PF of a read", f"movabsq ${_NOT_MAPPED:#x}, %rax; movb (%rax), %al", reports.PF),
         Raised("#PF of a write", f"movabsq ${_NOT_MAPPED:#x}, %rax; movb %al, (%rax)", reports.PF,
                exceptions.WRITE),
         Raised("#MF", "pushq $0; fldcw (%rsp); fld1; fldz; fdivrp; fwait", reports.MF,
                last_bytes=1)),
}


def raised_at(moment: Moment) -> Tuple[Raised, ...]:
    return _RAISED[moment.bits]


def kernel_raising(kernel: Path, moment: Moment, raised: Raised) -> Tuple[Path, int]:
    """The kernel that does, and the virtual address that its report must show."""
    code = assemble(raised.code, moment.bits)
    patched, start = _with_code(kernel, moment, code)
    if raised.descriptor:
        where = Image(kernel).virtual("prologue_gdt") + FREE_SELECTOR
        patched = patch(patched, where, raised.descriptor.to_bytes(8, "little"))
    return patched, start + len(code) - (0 if raised.trap else raised.last_bytes)


def kernel_waiting(kernel: Path, moment: Moment) -> Tuple[Path, int]:
    """One that stays at that moment, for an exception from outside."""
    return _with_code(kernel, moment, assemble("1: jmp 1b", moment.bits))


def _with_code(kernel: Path, moment: Moment, code: bytes) -> Tuple[Path, int]:
    """A jump to the code, which needs more room than the place has."""
    image = Image(kernel)
    place, room = _virtual(image, moment), image.virtual(_ROOM)
    jump = b"\xe9" + (room - place - _JUMP_BYTES).to_bytes(4, "little", signed=True)
    return patch(patch(kernel, place, jump), room, code), room


def seen_at(kernel: Path, moment: Moment, virtual: int) -> int:
    """The linear address at which the CPU sees it then."""
    return Image(kernel).physical(virtual) + (WINDOW[4] if moment.bits == 64 else 0)


def expect_reported(report: Report, kernel: Path, moment: Moment, at: int, vector: int,
                    error: int = 0) -> None:
    image = Image(kernel)
    exceptions.expect_exception(report, moment.bits, vector, error)
    expect_place(report, kernel, at, seen_at(kernel, moment, at))
    expect_fields(report.state, cs=CS_CODE64 if moment.bits == 64 else CS_BASED, **moment.control)
    if moment is not BEHIND_LIDT32:
        expect_fields(report.state, cr3=image.physical("prologue_early_pml4"))
