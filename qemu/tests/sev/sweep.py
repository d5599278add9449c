"""Very many attacks on Prologue as an SEV guest, in a few boots: each event that a host can inject
at each instruction, and each behaviour of a hostile host at many of its occasions, tried and taken
back by the host itself (qemu/sevhost/sweep)."""

import re
import tempfile
from pathlib import Path

import cases
import machine
import sev_guest
import sev_sweeps
from cases import Case
from sev_ends import CANARY
from sev_guest import Run

_LEAST_STEPS, _LEAST_BEHAVIOURS = 3000, 80
_HOST_RAN_CODE = "ran host's code"

# Of each way in a part of the steps; `make sweep` takes all of them.
_STRIDE = 12
_FEW = 8
_ENTRIES = ("pvh", "pvh64", "linux32", "linux64")
_SWEPT = tuple((entry, sev) for entry in _ENTRIES for sev in ("es", "snp"))
_MIB, _LITTLE, _ENOUGH = 1 << 20, 8 << 20, 32 << 20
# Entry, kind of guest, host, MiB: as SNP little, since each page is accepted in each try.
_BEHAVING = (("pvh", "es", "kvm", 32), ("pvh", "snp", "kvm", 8), ("pvh64", "es", "kvm", 32),
             ("vmd", "es", "vmm", 32), ("pvh", "es", "firmware", 32),
             ("grub", "snp", "firmware", 22))


def _events(entry: str, sev: str) -> None:
    accepts = sev == "snp" and entry.startswith("pvh")
    result = sev_sweeps.sweep(entry, sev, "events", stride=_STRIDE,
                              memory=_LITTLE if accepts else _ENOUGH)
    instructions, storms, ports = map(int, result.lines(
        r"^sevhost: sweep: \d+ of \d+ steps, of (\d+) instructions; (\d+) storms, (\d+) ports$")[0])
    assert instructions > _LEAST_STEPS and storms > _LEAST_STEPS, (instructions, storms)
    assert ports == 2, "the kernel was not come to"
    assert not sev_sweeps.findings(result), sev_sweeps.findings(result)


def _behaviours(entry: str, sev: str, host: str, memory: int) -> None:
    result = sev_sweeps.sweep(entry, sev, "behaviours", host=host, memory=memory * _MIB)
    count, acted = map(int, result.lines(
        r"^sevhost: sweep: (\d+) behaviours, (\d+) times acted$")[0])
    assert count > _LEAST_BEHAVIOURS and acted > 2 * count, (count, acted)
    assert not sev_sweeps.findings(result), sev_sweeps.findings(result)
    untried = result.lines(r"^sevhost: sweep: ([\w-]+), (harmless|denial): for a run of its own$")
    assert len(untried) > 4, untried
    for name, kind in untried:
        _lie_of_the_map(name, kind, sev, host)


def _behind_firmware(sev: str) -> None:
    """From the stub's last instruction on, some of the behaviours; `make sweep ENTRY=ovmf` tries
    all."""
    result = sev_sweeps.sweep(sev_sweeps.BY_FIRMWARE, sev, "behaviours", stride=_FEW)
    count, acted = map(int, result.lines(
        r"^sevhost: sweep: (\d+) behaviours, (\d+) times acted$")[0])
    assert count >= 6 and acted > count, (count, acted)
    assert not sev_sweeps.findings(result), sev_sweeps.findings(result)


def _lie_of_the_map(name: str, kind: str, sev: str, host: str) -> None:
    """By PVH, whose map is the host's."""
    result = sev_guest.run(Run(cases.BUILD / "demo.elf", sev=sev, host=host, hostile=name,
                               memory="64M", canary=CANARY))
    assert f"hostile: {name} acts" in result.serial, name
    assert "canary seen" not in result.serial, name
    assert kind == "denial" or result.outcome == machine.OK, (name, result.outcome)


def _finds(what: str, sweep: str, sev: str, **settings) -> None:
    found = sev_sweeps.findings(sev_sweeps.sweep("pvh", sev, sweep, **settings))
    assert any(finding.startswith(what) for finding in found), found


def _ends_at_hosts_code(sev: str) -> None:
    """The guest's first instruction is in its data."""
    with tempfile.TemporaryDirectory() as directory:
        state = Path(directory) / "state"
        state.write_text("rip 0x10c000\nrbx 0x96000\n")
        result = sev_guest.run(Run(cases.BUILD / "demo.elf", sev=sev, memory="32M", state=state,
                                   canary=CANARY))
    assert result.outcome == _HOST_RAN_CODE, result.outcome
    assert re.search(r"executes at 0x10c000 what is no code of its image", result.serial)


CASES = [
    *(Case(f"sev sweep: events at instructions, {entry}, {sev}",
           lambda e=entry, s=sev: _events(e, s)) for entry, sev in _SWEPT),
    *(Case(f"sev sweep: every behaviour at many of its occasions, {entry}, {sev}, HOST={host}",
           lambda e=entry, s=sev, h=host, m=memory: _behaviours(e, s, h, m))
      for entry, sev, host, memory in _BEHAVING),
    *(Case(f"sev sweep: behaviours from the kernel's entry on, behind OVMF, {sev}",
           lambda s=sev: _behind_firmware(s)) for sev in ("es", "snp")),
    Case("sev sweep: a guest that shows its secret is found",
         lambda: _finds("canary seen", "behaviours", "es", kernel="sev_calls",
                        cmdline="leak-page", stacks="")),
    Case("sev sweep: a stack that is left is found",
         lambda: _finds("the stack is left", "events", "es", stacks="0x300000-0x301000",
                        stride=_STRIDE)),
    *(Case(f"sev sweep: a guest that is led to other code is found, {sev}",
           lambda s=sev: _ends_at_hosts_code(s)) for sev in ("es", "snp")),
]
