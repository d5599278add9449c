"""prologue/sev.h, called by an SEV guest's kernel (docs/sev.md); and that the host, which looks at
all that is shared, finds what a guest shows."""

import tempfile
from pathlib import Path

import cases
import machine
import sev_guest
import sev_states
from cases import Case
from sev_ends import CANARY, keeps_the_canary, terminated
from sev_entries import ENCRYPTED, ES, MEMORY, elf
from sev_guest import Run

# What qemu/kernels/sev_calls.cpp shows; what it keeps to itself is CANARY.
_SHOWN = 0x51a7ede1f2a3b4c5
_KERNELS_CODE = 0xc5
_RANGES = 400  # a map of three pages
_CALLS = {"none": {"cpuid", "ports", "a", "its"}}
_CALLS["sev"] = _CALLS["none"] | {"share", "unshare"}
_CALLS["es"] = _CALLS["sev"] | {"vmgexit", "its"}
_CALLS["snp"] = _CALLS["es"] | {"accept"}
_LEAKS = {"leak-port": "at port 0xcf8", "leak-page": "in the GHCB page, offset 0x318",
          "leak-memory": "in shared memory"}


def _calls(sev: str) -> None:
    """Each line of the kernel's says what it tried, and that it was right."""
    result = sev_guest.run(Run(elf("sev_calls"), sev=sev, memory="64M", canary=CANARY))
    result.expect(machine.OK, "^result: ok$")
    keeps_the_canary(result)
    told = set(result.lines(r"^(\w+)[^:\n]*:.* ok$"))
    assert told >= _CALLS[sev], told
    assert ("vmgexit: a string in the page's buffer" in result.serial) == (sev in ES)


def _keeps_what_it_read(sev: str) -> None:
    """By Linux's protocol, where the host has SNP's pages in memory that its map calls reserved."""
    result = sev_guest.run(Run(cases.BUILD / "sev_calls-every.bzImage", sev=sev, memory="64M",
                               accept="launched", canary=CANARY))
    result.expect(machine.OK, "^result: ok$")
    keeps_the_canary(result)
    assert len(result.lines("^what was read is not: ok$")) == 4


def _keeps_its_map(sev: str, *apart: int) -> None:
    """The loader's own map lies on pages that it calls memory, and on others."""
    with tempfile.TemporaryDirectory() as directory:
        state = sev_states.pvh_many_ranges(Path(directory) / "state", MEMORY, _RANGES, *apart)
        result = sev_guest.run(Run(elf("sev_calls"), sev=sev, state=state, memory="64M"))
    assert len(result.lines("^each page of the loader's map is not: ok$")) == 3
    result.expect(machine.OK, "^a page beside it is: ok$")


def _page_states_in_order() -> None:
    """What the host gets was rescinded before; what is taken back is validated after. That what
    it gets is not validated any more, the host sees to: only the order tells."""
    result = sev_guest.run(Run(elf("sev_calls"), sev="snp", memory="64M", trace="memory"))
    result.expect(machine.OK)
    steps = result.lines(r"^(pvalidate|page state) (0x\w+) (4K clear|4K set|0x1000 -> \w+)")
    shared = [i for i, step in enumerate(steps) if step[2] == "0x1000 -> shared"]
    assert len(shared) == 3, shared  # the GHCB, and two pages of the kernel's
    for i in shared:
        assert steps[i - 1] == ("pvalidate", steps[i][1], "4K clear"), steps[i - 1:i + 1]
    back = steps.index(("page state", steps[shared[-1]][1], "0x1000 -> private"))
    assert steps[back + 1] == ("pvalidate", steps[back][1], "4K set"), steps[back:back + 2]


def _calls_end(sev: str) -> None:
    result = sev_guest.run(Run(elf("sev_calls"), sev=sev, memory="64M", cmdline="end"))
    if sev == "sev":
        assert result.outcome == machine.FATAL, result.outcome
    else:
        terminated(result, _KERNELS_CODE)


def _leaks(canary: int, cmdline: str, sev: str, where: str) -> None:
    result = sev_guest.run(Run(elf("sev_calls"), sev=sev, memory="64M", canary=canary,
                               cmdline=cmdline))
    assert result.lines(f"^sevhost: canary seen {where}"), result.lines("canary.*$")


CASES = [
    *(Case(f"sev: guest kernel calls all of prologue/sev.h, {sev}", lambda s=sev: _calls(s))
      for sev in ("none", *ENCRYPTED)),
    *(Case(f"sev: guest keeps private what it has read, {sev}",
           lambda s=sev: _keeps_what_it_read(s)) for sev in ENCRYPTED),
    *(Case(f"sev: guest keeps private what it has read, its pages {apart} in no memory, {sev}",
           lambda s=sev, a=apart: _keeps_its_map(s, *a, 3))
      for apart, sev in (((), "es"), ((0,), "es"), ((1,), "snp"), ((0, 2), "es"),
                         ((0, 1, 2), "es"))),
    Case("sev: guest shares what it has rescinded, and validates what it takes back",
         _page_states_in_order),
    *(Case(f"sev: guest kernel ends itself, {sev}", lambda s=sev: _calls_end(s))
      for sev in ENCRYPTED),
    *(Case(f"sev: guest shows what it shares, and the host sees it, {sev}",
           lambda s=sev: _leaks(_SHOWN, "", s, "in shared memory")) for sev in ENCRYPTED),
    *(Case(f"sev: guest that shows its secret is caught: {how}, {sev}",
           lambda h=how, s=sev, w=where: _leaks(CANARY, h, s, w))
      for how, where in _LEAKS.items() for sev in ENCRYPTED
      if sev != "sev" or how != "leak-page"),
]
