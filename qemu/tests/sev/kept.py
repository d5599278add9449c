"""What an SEV guest keeps from its host, whatever that host makes of it (docs/sev.md): registers
that the processor serves, what a loader's pointer leads to, pages that have a meaning."""

import functools
import re
import tempfile

import machine
import sev_guest
from cases import Case
from sev_codes import CODES
from sev_ends import CANARY, keeps_the_canary, terminated
from sev_entries import ES, bzimage, elf
from sev_guest import Run

_SECRETS_PAGE = 0x94000  # where the SEV host has it for Linux's protocol: place.h
# An access a kernel makes, of an MSR that the emulated processor has: STAR, LSTAR, SFMASK,
# the base of KERNEL_GS, SYSENTER_EIP, PAT.
_ACCESSES = ("wrmsr-c0000081", "rdmsr-c0000082", "wrmsr-c0000084", "rdmsr-c0000102",
             "wrmsr-176", "rdmsr-277")


def _msr_is_kept(access: str, sev: str) -> None:
    """A host that intercepts it is not asked. As SNP the boot itself has ended then, at PAT."""
    result = sev_guest.run(Run(elf("forms"), sev=sev, memory="64M", cmdline=access,
                               hostile="msr-own-dropped"))
    terminated(result, CODES["VC_KEPT"])
    assert not result.lines("hostile: msr-own-dropped acts"), "the host was asked"
    honest = sev_guest.run(Run(elf("forms"), sev=sev, memory="64M", cmdline=access))
    assert honest.lines("^result: went on$"), "the test's own access"


def _boots_where_pat_is_shadowed() -> None:
    """As under OpenBSD's vmm; a kernel that asks for it learns that it is not its own."""
    run = functools.partial(Run, sev="es", memory="64M", hostile="pat-shadowed")
    sev_guest.run(run(elf("demo"))).expect(machine.OK, "^result: ok$")
    terminated(sev_guest.run(run(elf("forms"), cmdline="wrmsr-277")), CODES["VC_KEPT"])


def _says_no_number(sev: str) -> None:
    """A list of modules that is a secret: of the first, start and size are out of all bounds."""
    result = sev_guest.run(Run(elf("demo"), sev=sev, memory="64M", canary=CANARY, accept="all",
                               hostile="pvh-modules-at-secret"))
    terminated(result, CODES["FATAL"])
    keeps_the_canary(result)
    said = result.lines(r"^prologue: fatal: .*$")
    assert said and all("?" in line and not re.search(r"\d", line) for line in said), said


def _linux(hostile: str, **settings) -> sev_guest.Result:
    with tempfile.TemporaryDirectory() as directory:
        image = bzimage(elf("demo-every"), directory)
        return sev_guest.run(Run(image, sev="snp", memory="64M", hostile=hostile, **settings))


def _secrets_are_no_command_line() -> None:
    result = _linux("cmdline-at-secrets")
    terminated(result, CODES["FATAL"])
    assert result.lines("^prologue: fatal: entry: the loader's data lie on a page of SNP's own")
    assert "VMPCK0" not in result.serial


def _keeps_secrets_page(behaviour: str) -> None:
    """What the blob and the map say of it does not matter: it is never memory for everyone."""
    result = _linux(behaviour, canary=CANARY)
    result.expect(machine.OK, "^result: ok$")
    keeps_the_canary(result)
    assert result.lines(f"^sevhost: hostile: {behaviour} acts"), "it does not act"
    kinds = [kind for start, end, kind in result.lines(r"^memory: (0x\w+) (0x\w+) (\w+)$")
             if int(start, 16) <= _SECRETS_PAGE < int(end, 16)]
    assert kinds == ["loader"], kinds


def _window_is_private(hostile: str, sev: str) -> None:
    """It is mapped as memory, so the host sees nothing of it; as SNP nobody has accepted it
    then."""
    result = sev_guest.run(Run(elf("forms"), sev=sev, memory="64M", cmdline="window",
                               canary=CANARY, hostile=hostile))
    keeps_the_canary(result)
    if sev == "es" or not hostile:
        assert result.lines("^result: went on$"), result.outcome
    else:
        terminated(result, CODES["VC_NOT_VALIDATED"])


CASES = [
    *(Case(f"sev: guest says no number of what it read, {sev}", lambda s=sev: _says_no_number(s))
      for sev in ES),
    Case("sev: guest takes no key for a command line", _secrets_are_no_command_line),
    *(Case(f"sev: guest keeps its secrets page: {name}", lambda n=name: _keeps_secrets_page(n))
      for name in ("blob-long-pages", "secrets-page-usable")),
    *(Case(f"sev: guest shows no window of memory, {hostile or 'honest'}, {sev}",
           lambda h=hostile, s=sev: _window_is_private(h, s))
      for hostile in ("", "window-no-memory") for sev in ES),
    *(Case(f"sev: guest keeps to itself: {access}, {sev}",
           lambda a=access, s=sev: _msr_is_kept(a, s)) for access in _ACCESSES for sev in ES),
    Case("sev: guest boots where PAT is shadowed", _boots_where_pat_is_shadowed),
]
