"""Each instruction that is a #VC, in each of its forms, as an SEV guest executes it (docs/sev.md):
it does the same as on a plain machine; and what an exception's report says in a guest."""

import functools
import re

import images
import machine
import sev_guest
from cases import Case
from sev_codes import CODES
from sev_ends import exception, has_c_bit_everywhere, terminated
from sev_entries import C_BITS, ENCRYPTED, ES, elf
from sev_guest import Run

_UD2 = b"\x0f\x0b"
# The plain one, too, has nothing that goes with what it lacks: the host's guests see one CPU.
_ONE_CPU = "max,phys-bits=52,-xsave,-fma,-avx,-avx2,-f16c,-vaes,-vpclmulqdq,-pku,-mpx"
# CPUID 1, by the version that QEMU's CPU has; its ECX. MONITOR is offered to no SEV-ES guest.
_FEATURES = re.compile(r"^(cpuid: 0x60fb1 \S+) (\S+)")
_MONITOR = 1 << 3
_FORM_ENDS = {
    "rdpmc": (exception(13),),
    "breakpoint": (exception(3),),
    "xchg-device": (CODES["VC_FORM"],),
    "add-device": (CODES["VC_FORM"],),
    "across-device": (CODES["VC_MMIO"],),
    "nested": (CODES["VC_NESTED"],),
}
# A VMMCALL is the host's to answer: KVM says -1000 to what it does not know. A #VC has a stack of
# its own, whatever the one is that it interrupts.
_FORM_GOES_ON = {"vmmcall": ("^vmmcall: 0xfffffffffffffc18 ",), "bad-stack": ()}


def _says_the_same(kernel: str, sev: str) -> None:
    plain, encrypted = (_forms(kernel, kind) for kind in ("none", sev))
    assert plain == encrypted, [pair for pair in zip(plain, encrypted) if pair[0] != pair[1]]


@functools.lru_cache(None)
def _forms(kernel: str, sev: str) -> list:
    result = sev_guest.run(Run(elf(kernel), sev=sev, memory="64M", timeout=60,
                               cpu=_ONE_CPU))
    result.expect(machine.OK, "^result: ok$")
    lines = result.serial.splitlines()
    return [_FEATURES.sub(_without_monitor, line) for line in lines[1:lines.index("result: ok")]]


def _without_monitor(cpuid: "re.Match[str]") -> str:
    return f"{cpuid[1]} {int(cpuid[2], 16) & ~_MONITOR:#x}"


def _reports_no_memory(where: str, sev: str) -> None:
    """A host of plain SEV has the registers anyway, but no byte of memory."""
    kernel = images.patch(elf("demo"), where, _UD2)
    result = sev_guest.run(Run(kernel, sev=sev, memory="64M"))
    result.expect(machine.FATAL, r"^prologue: fatal: #UD invalid opcode \(vector 6\), ",
                  "^prologue:  cs=", "^prologue:  [er]ax=")
    shown = re.findall("^prologue:  (bytes|stack):", result.serial, re.MULTILINE)
    assert set(shown) == (set() if sev == "sev" else {"bytes", "stack"}), shown


def _ends(what: str, sev: str, *codes: int) -> None:
    result = sev_guest.run(Run(elf("forms"), sev=sev, memory="64M", cmdline=what))
    terminated(result, *codes)
    has_c_bit_everywhere(result, 51)
    assert "result:" not in result.serial


def _knows_its_c_bit(c_bit: int) -> None:
    """What was proved, no host's CPUID changes for a kernel that asks again."""
    _goes_on("c-bit", "es", rf"^cpuid: 0xa {(52 - c_bit) << 6 | c_bit:#x} ", c_bit=c_bit)
    result = sev_guest.run(Run(elf("forms"), memory="64M", c_bit=c_bit, cmdline="c-bit",
                               hostile="cpuid-c-bit-changes"))
    terminated(result, CODES["C_BIT_DISAGREE"])


def _knows_its_processor(sev: str, hostile: str) -> None:
    """By RDTSCP, which the host intercepts, as by RDMSR of TSC_AUX, which it does not."""
    _goes_on("processor", sev, "^processor: 0x5$", intercept="tsc", hostile=hostile)


def _goes_on(what: str, sev: str, *lines: str, **settings) -> None:
    result = sev_guest.run(Run(elf("forms"), sev=sev, memory="64M", cmdline=what, **settings))
    result.expect(machine.FATAL, *lines, "^result: went on$")


CASES = [
    *(Case(f"sev: guest goes on: {what}, {sev}",
           lambda *a, w=what, s=sev, c=lines: _goes_on(w, s, *c))
      for what, lines in _FORM_GOES_ON.items() for sev in ("es", "snp")),
    *(Case(f"sev: guest: each instruction's every form, {kernel}, {sev}",
           lambda k=kernel, s=sev: _says_the_same(k, s))
      for kernel in ("forms", "forms-five") for sev in ENCRYPTED),
    *(Case(f"sev: guest ends: {what}, {sev}", lambda w=what, s=sev, c=codes: _ends(w, s, *c))
      for what, codes in _FORM_ENDS.items() for sev in ES),
    *(Case(f"sev: guest knows its C-bit: {c_bit}", lambda c=c_bit: _knows_its_c_bit(c))
      for c_bit in C_BITS),
    *(Case(f"sev: guest knows its processor{hostile and ': '}{hostile}, {sev}",
           lambda s=sev, h=hostile: _knows_its_processor(s, h))
      for hostile in ("", "tsc-of-another-processor") for sev in ES),
    *(Case(f"sev: guest reports registers and no memory: at {where}, {sev}",
           lambda w=where, s=sev: _reports_no_memory(w, s))
      for where, sev in (("sev_base", "sev"), ("prologue_sev_begin", "sev"), ("kernel_main", "sev"),
                         ("prologue_reports32", "none"), ("kernel_main", "none"))),
]
