"""What an SEV guest keeps from its host, whatever that host makes of it (docs/sev.md): registers
that the processor serves, what a loader's pointer leads to, pages that have a meaning."""

import functools
import re
import subprocess
import tempfile
from pathlib import Path

import cases
import machine
import sev_guest
from cases import Case
from sev_guest import Run

_CANARY = 0x5ec7e7a1b2c3d4e5
_FATAL, _KEPT = 0x01, 0x19  # PROLOGUE_SEV_FATAL, PROLOGUE_SEV_VC_KEPT
_SECRETS_PAGE = 0x94000  # place.h
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


def _keeps_the_canary(result: sev_guest.Result) -> None:
    assert not result.lines("canary seen.*$")
    assert f"{_CANARY:x}" not in result.serial.lower()


def _says_no_number(sev: str) -> None:
    """A list of modules that is a secret: of the first, start and size are out of all bounds."""
    result = sev_guest.run(Run(_elf("demo"), sev=sev, memory="64M", canary=_CANARY, accept="all",
                               hostile="pvh-modules-at-secret"))
    _ends(result, _FATAL)
    _keeps_the_canary(result)
    said = result.lines(r"^prologue: fatal: .*$")
    assert said and all("?" in line and not re.search(r"\d", line) for line in said), said


def _linux(hostile: str) -> sev_guest.Result:
    with tempfile.TemporaryDirectory() as directory:
        image = Path(directory) / "bzimage"
        subprocess.run(["linker/prologue-bzimage", "--setup",
                        cases.BUILD / "prologue-linux16.bin", _elf("demo-every"), image],
                       cwd=cases.ROOT, check=True)
        return sev_guest.run(Run(image, sev="snp", memory="64M", hostile=hostile))


def _secrets_are_no_command_line() -> None:
    result = _linux("cmdline-at-secrets")
    _ends(result, _FATAL)
    assert result.lines("^prologue: fatal: entry: the loader's data lie on a page of SNP's own")
    assert "VMPCK0" not in result.serial


def _secrets_are_not_usable() -> None:
    result = _linux("secrets-page-usable")
    result.expect(machine.OK, "^result: ok$")
    kinds = [kind for start, end, kind in result.lines(r"^memory: (0x\w+) (0x\w+) (\w+)$")
             if int(start, 16) <= _SECRETS_PAGE < int(end, 16)]
    assert kinds == ["loader"], kinds


def _window_is_private(hostile: str, sev: str) -> None:
    """It is mapped as memory, so the host sees nothing of it; as SNP nobody has accepted it
    then."""
    result = sev_guest.run(Run(_elf("forms"), sev=sev, memory="64M", cmdline="window",
                               canary=_CANARY, hostile=hostile))
    _keeps_the_canary(result)
    if sev == "es" or not hostile:
        assert result.lines("^result: went on$"), result.outcome
    else:
        _ends(result, 0x17)


CASES = [
    *(Case(f"sev: guest says no number of what it read, {sev}", lambda s=sev: _says_no_number(s))
      for sev in _ES),
    Case("sev: guest takes no key for a command line", _secrets_are_no_command_line),
    Case("sev: guest keeps the secrets page out of usable memory", _secrets_are_not_usable),
    *(Case(f"sev: guest shows no window of memory, {hostile or 'honest'}, {sev}",
           lambda h=hostile, s=sev: _window_is_private(h, s))
      for hostile in ("", "window-no-memory") for sev in _ES),
    *(Case(f"sev: guest keeps to itself: {access}, {sev}",
           lambda a=access, s=sev: _msr_is_kept(a, s)) for access in _ACCESSES for sev in _ES),
    Case("sev: guest boots where PAT is shadowed", _boots_where_pat_is_shadowed),
]
