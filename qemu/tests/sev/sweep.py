"""Very many attacks on Prologue as an SEV guest, in a few boots: each event that a host can inject
at each instruction, and each behaviour of a hostile host at many of its occasions, tried and taken
back by the host itself (qemu/sevhost/sweep)."""

import re
import tempfile
from pathlib import Path

import cases
import machine
import sev_guest
import sev_states
from cases import Case
from sev_guest import Run

_CANARY = 0x5ec7e7a1b2c3d4e5
_MEMORY = 32 << 20
_TIMEOUT = 240
_LEAST_STEPS, _LEAST_BEHAVIOURS = 3000, 80
_HOST_RAN_CODE = "ran host's code"

# The boot in 64-bit mode leaves it on its way, and has the switch both ways.
_ENTRIES = {"pvh": ("demo", ("es", "snp")), "pvh64": ("demo-every", ("es",))}
_SWEPT = (("pvh", "es"), ("pvh", "snp"))
_BEHAVING = (
    *((entry, sev, "") for entry, (_, sevs) in _ENTRIES.items() for sev in sevs),
    ("vmd", "es", "vmm"), ("pvh", "es", "firmware"),
)


def _run(entry: str, sev: str, sweep: str, **settings) -> sev_guest.Result:
    with tempfile.TemporaryDirectory() as directory:
        if entry == "pvh64":
            settings["state"] = sev_states.pvh64(Path(directory) / "state")
        elif entry == "vmd":
            settings["state"] = cases.ROOT / "qemu/sevhost/states/vmd.state"
        kernel = settings.pop("kernel", _ENTRIES.get(entry, ("demo-every",))[0])
        image = cases.BUILD / f"{kernel}.elf"
        result = sev_guest.run(Run(image, sev=sev, memory="32M", canary=_CANARY, sweep=sweep,
                                   timeout=_TIMEOUT, **settings))
    assert result.outcome == machine.OK, result.outcome
    return result


def _findings(result: sev_guest.Result) -> list:
    told = result.lines(r"^sevhost: sweep: (\w.*: .* at 0x\w+)$")
    counted = int(result.lines(r"^sevhost: sweep: (\d+) findings$")[0])
    assert bool(told) == bool(counted), (counted, told)
    return told


def _events(entry: str, sev: str) -> None:
    result = _run(entry, sev, "events")
    steps, ports = result.lines(
        r"^sevhost: sweep: \d+ of \d+ steps, of (\d+) instructions; \d+ storms, (\d+) ports$")[0]
    assert int(steps) > _LEAST_STEPS, steps
    assert int(ports) == 2, "the kernel was not come to"
    assert not _findings(result), _findings(result)


def _behaviours(entry: str, sev: str, host: str) -> None:
    result = _run(entry, sev, "behaviours", host=host)
    count, acted = result.lines(
        r"^sevhost: sweep: (\d+) behaviours, (\d+) times acted$")[0]
    assert int(count) > _LEAST_BEHAVIOURS and int(acted) > int(count), (count, acted)
    assert not _findings(result), _findings(result)


def _finds(what: str, sweep: str, sev: str, **settings) -> None:
    found = _findings(_run("pvh", sev, sweep, **settings))
    assert any(finding.startswith(what) for finding in found), found


def _ends_at_hosts_code(sev: str) -> None:
    """The guest's first instruction is in its data."""
    with tempfile.TemporaryDirectory() as directory:
        state = Path(directory) / "state"
        state.write_text("rip 0x10c000\nrbx 0x96000\n")
        result = sev_guest.run(Run(cases.BUILD / "demo.elf", sev=sev, memory="32M", state=state,
                                   canary=_CANARY))
    assert result.outcome == _HOST_RAN_CODE, result.outcome
    assert re.search(r"executes at 0x10c000 what is no code of its image", result.serial)


CASES = [
    *(Case(f"sev sweep: every event at every instruction, {entry}, {sev}",
           lambda e=entry, s=sev: _events(e, s)) for entry, sev in _SWEPT),
    *(Case(f"sev sweep: every behaviour at many of its occasions, {entry}, {sev}"
           f"{host and f', HOST={host}'}", lambda e=entry, s=sev, h=host: _behaviours(e, s, h))
      for entry, sev, host in _BEHAVING),
    Case("sev sweep: a guest that shows its secret is found",
         lambda: _finds("canary seen", "behaviours", "es", kernel="sev_calls",
                        cmdline="leak-page")),
    Case("sev sweep: a stack that is left is found",
         lambda: _finds("the stack is left", "events", "es", stacks="0x300000-0x301000")),
    *(Case(f"sev sweep: a guest that is led to other code is found, {sev}",
           lambda s=sev: _ends_at_hosts_code(s)) for sev in ("es", "snp")),
]
