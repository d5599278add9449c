"""What an SEV guest keeps from its host, whatever that host makes of it (docs/sev.md): registers
that the processor serves, what a loader's pointer leads to, pages that have a meaning."""

import functools

import cases
import machine
import sev_guest
from cases import Case
from sev_guest import Run

_KEPT = 0x19  # PROLOGUE_SEV_VC_KEPT
_ES = ("es", "snp")
# An access a kernel makes, of an MSR that the emulated processor has: STAR, LSTAR, SFMASK,
# the base of KERNEL_GS, SYSENTER_EIP, PAT.
_ACCESSES = ("wrmsr-c0000081", "rdmsr-c0000082", "wrmsr-c0000084", "rdmsr-c0000102",
             "wrmsr-176", "rdmsr-277")


def _elf(name: str):
    return cases.BUILD / f"{name}.elf"


def _ends(result: sev_guest.Result, code: int) -> None:
    said = result.lines(r"^sevhost: the guest terminated at .*: reason set 10, reason (\d+)")
    assert result.outcome == sev_guest.TERMINATED and said == [str(code)], (result.outcome, said)


def _msr_is_kept(access: str, sev: str) -> None:
    """A host that intercepts it is not asked. As SNP the boot itself has ended then, at PAT."""
    result = sev_guest.run(Run(_elf("forms"), sev=sev, memory="64M", cmdline=access,
                               hostile="msr-own-dropped"))
    _ends(result, _KEPT)
    assert not result.lines("hostile: msr-own-dropped acts"), "the host was asked"
    honest = sev_guest.run(Run(_elf("forms"), sev=sev, memory="64M", cmdline=access))
    assert honest.lines("^result: went on$"), "the test's own access"


def _boots_where_pat_is_shadowed() -> None:
    """As under OpenBSD's vmm; a kernel that asks for it learns that it is not its own."""
    run = functools.partial(Run, sev="es", memory="64M", hostile="pat-shadowed")
    sev_guest.run(run(_elf("demo"))).expect(machine.OK, "^result: ok$")
    _ends(sev_guest.run(run(_elf("forms"), cmdline="wrmsr-277")), _KEPT)


CASES = [
    *(Case(f"sev: guest keeps to itself: {access}, {sev}",
           lambda a=access, s=sev: _msr_is_kept(a, s)) for access in _ACCESSES for sev in _ES),
    Case("sev: guest boots where PAT is shadowed", _boots_where_pat_is_shadowed),
]
