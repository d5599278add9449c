"""SNP guests whose host may inject #HV and nothing else (docs/sev.md, "Restricted injection"):
served where the kernel wishes for it, by a kernel that has the page for it; refused by name in
others; and hosts that inject what they like."""

import machine
import sev_guest
from cases import Case
from images import Image
from sev_codes import CODES
from sev_ends import CANARY, exception, keeps_the_canary, terminated
from sev_entries import (
    STEPS_BEFORE_STATUS, STEPS_BEHIND_STATUS, STEPS_IN_64_BIT_MODE, elf)
from sev_guest import Run

_HV = exception(28)


def _run(kernel: str, injection: str, **settings) -> sev_guest.Result:
    settings.setdefault("sev", "snp")
    return sev_guest.run(Run(elf(kernel), injection=injection, memory="64M",
                             canary=CANARY, **settings))


def _boots(kernel: str, injection: str, sev: str, *lines: str) -> None:
    _run(kernel, injection, sev=sev).expect(machine.OK, "^result: ok$", *lines)


def _ends(kernel: str, injection: str, code: int) -> None:
    terminated(_run(kernel, injection), code)


def _hv_ends_it() -> None:
    """Nobody has set up a page: it is the end, by its own code from where the guest knows
    itself."""
    for step in (*STEPS_BEFORE_STATUS, *STEPS_BEHIND_STATUS):
        result = _run("demo-restricted", "restricted", hostile=f"hv-at-step:{step}")
        keeps_the_canary(result)
        wanted = CODES["VC_EARLY"] if step in STEPS_BEFORE_STATUS else _HV
        terminated(result, wanted)


def _hv_moves_no_stack() -> None:
    image = Image(elf("demo-restricted"))
    bottom, top = (image.physical(f"prologue_stack_{end}") for end in ("bottom", "top"))
    for step in (*STEPS_BEFORE_STATUS[:1], *STEPS_BEHIND_STATUS):
        result = _run("demo-restricted", "restricted", hostile=f"hv-storm:{step}")
        keeps_the_canary(result)
        stood = result.lines(r"^sevhost: storm: .* and (0x\w+) below$")
        assert bool(stood) == (step in STEPS_IN_64_BIT_MODE), step
        if stood:
            assert int(stood[0], 16) <= 8, step
            terminated(result, _HV)
            continue
        start, end = (int(number, 16) for number in result.lines(
            r"^sevhost: storm: .* stack from 0x(\w+) to 0x(\w+)$")[0])
        assert bottom <= end <= start <= top and result.outcome == sev_guest.SHUTDOWN, step


def _sees_no_other(hostile: str) -> None:
    """What ends any other guest does not come to this one."""
    result = _run("demo-restricted", "restricted", hostile=hostile)
    result.expect(machine.OK, "^result: ok$",
                  "^sevhost: the processor runs no guest with restricted injection and vector ")


def _doorbell(hostile: str, *outcomes: str) -> None:
    result = _run("doorbell", "restricted", hostile=hostile)
    assert f"hostile: {hostile.partition(':')[0]} acts" in result.serial, "it does not act"
    assert result.outcome in outcomes, result.outcome
    keeps_the_canary(result)


def _is_of_snp(sev: str) -> None:
    result = _run("demo", "restricted", sev=sev)
    result.expect(machine.FATAL, "injection= is a feature of sev=snp's VMSA")


CASES = [
    Case("sev restricted: interrupts come by a page and #HV, in a kernel that serves them",
         lambda: _boots("doorbell", "restricted", "snp",
                        "^doorbell: three of the timer's, by #HV$")),
    *(Case(f"sev restricted: a kernel that serves it boots without it, {sev}",
           lambda s=sev: _boots("doorbell", "any" if s == "snp" else "", s))
      for sev in ("none", "sev", "es", "snp")),
    Case("sev restricted: a kernel that demands it boots with it",
         lambda: _boots("demo-restricted", "restricted", "snp")),
    Case("sev restricted: a kernel that demands it ends without it",
         lambda: _ends("demo-restricted", "any", CODES["MISSING"])),
    *(Case(f"sev restricted: {injection} injection ends a kernel that says nothing of it, {kernel}",
           lambda k=kernel, i=injection, b=bit: _ends(k, i, 0x40 + b))
      for kernel, injection, bit in (("demo", "restricted", 5), ("demo", "alternate", 6),
                                     ("demo-restricted", "alternate", 6))),
    Case("sev restricted: #HV without a page is the end", _hv_ends_it),
    Case("sev restricted: #HV in the handler of #HV moves no stack", _hv_moves_no_stack),
    *(Case(f"sev restricted: no other event comes: {hostile}",
           lambda h=hostile: _sees_no_other(h))
      for hostile in ("vectors-in-spite", "nmi-at-step:100", "vc-at-step:12000", "gp-at-step:3000",
                      "page-fault-storm:12000", "storm:12000", "interrupt-behind-vmgexit",
                      "vc-during-delivery")),
    Case("sev restricted: a page that is taken is the host's denial",
         lambda: _doorbell("doorbell-taken:3", sev_guest.DENIED, sev_guest.TERMINATED)),
    Case("sev restricted: a page that says anything shows nothing",
         lambda: _doorbell("doorbell-at-random", machine.OK, machine.FATAL, machine.HANG,
                           sev_guest.TERMINATED)),
    *(Case(f"sev restricted: is of SNP alone, {sev}", lambda s=sev: _is_of_snp(s))
      for sev in ("sev", "es")),
]
