"""The loader image as SEV guest: kernels that were not linked with Prologue get what their guest
shares and keeps, Debian's Linux comes to user space, and hosts lie on the way."""

from pathlib import Path

import cases
import machine
import sev_guest
from cases import Case
from handoff_report import MIB
from sev_ends import reasons
from sev_guest import Run
from tests.pack import packed
from tests.payload import INITRAMFS, LINUX, fnv
from tests.sev.debian import SAFE_INTERRUPTS, expect_linux

_LOADER = cases.BUILD / "prologue.elf"
_STATUS = {"sev": 1, "es": 3, "snp": 7}
_MODULE = bytes(range(256)) * 20
_2_MIB = 2 * MIB


def _payload(name: str) -> Path:
    return cases.BUILD / f"payload-{name}.elf"


def _packed(name: str, *words) -> Path:
    return packed("--initrd", cases.scratch_file(_MODULE), *words, kernel=_payload(name))


def _number(result: sev_guest.Result, name: str) -> int:
    return int(result.lines(rf"^{name}: (0x\w+)$")[0], 16)


def _expect(result: sev_guest.Result, sev: str, c_bit: int) -> None:
    """What qemu/kernels/encrypted.cpp looks at; and that the host had to change no page's kind."""
    result.expect(machine.OK, "^result: ok$", f"^status: {_STATUS[sev]:#x}$",
                  f"^c-bit: {1 << c_bit:#x}$")
    assert "wrong" not in result.serial
    assert (_number(result, "ghcb") != 0) == (sev != "sev")


def _by_note(name: str, sev: str, c_bit: int) -> Case:
    """Linked for 1 MiB it belongs where the page is that the loader image shares, and gets
    another."""

    def function() -> None:
        result = sev_guest.run(Run(_packed(name), sev=sev, c_bit=c_bit, memory="64M"))
        _expect(result, sev, c_bit)
        assert result.lines(r"^module: (0x\w+)$") == [f"{fnv(_MODULE):#x}"]
        place = _number(result, "place")
        assert place == (MIB if name == "sev-low" else _2_MIB), f"{place:#x}"
        if sev != "sev":
            at_image = MIB <= _number(result, "ghcb") < _2_MIB
            assert at_image == (name == "sev"), result.lines("^ghcb: .*$")

    return Case(f"sev: a payload by its note, {name}, {sev}, C-bit {c_bit}", function)


def _by_module(sev: str) -> Case:
    def function() -> None:
        result = sev_guest.run(Run(_LOADER, sev=sev, initrd=_payload("sev"), memory="64M"))
        _expect(result, sev, 51)

    return Case(f"sev: a payload by its note, as a module, {sev}", function)


def _at_random(sev: str) -> Case:
    def function() -> None:
        kernel = _packed("sev-pie", "--random")
        places = []
        for _ in range(2):
            result = sev_guest.run(Run(kernel, sev=sev, memory="256M"))
            _expect(result, sev, 51)
            places.append((_number(result, "place"), _number(result, "virtual")))
        assert places[0] != places[1], places

    return Case(f"sev: a payload at a random place, {sev}", function)


def _linux(sev: str, c_bit: int, kernel: Path = LINUX) -> None:
    assert kernel.exists(), f"{kernel} is not there: make debian-guests"
    file = packed("--initrd", INITRAMFS, "--cmdline",
                  f"console=ttyS0 panic=-1 {SAFE_INTERRUPTS}", kernel=kernel)
    expect_linux(sev, Run(file, sev=sev, c_bit=c_bit, memory="512M", timeout=90))


def _refused(contract: str, kernel: Path, sev: str) -> None:
    """No other contract has a word for the C-bit."""
    result = sev_guest.run(Run(packed("--contract", contract, kernel=kernel), sev=sev,
                               memory="128M"))
    said = (f"prologue: fatal: payload: by the contract {contract} none is started in an SEV guest "
            f"(SEV_STATUS is {_STATUS[sev]:x})")
    assert said in result.serial, result.serial[-500:]


# A kind of lie each, and those at the second page that is shared: a payload is linked for 1 MiB.
_BEHAVIOURS = {
    "es": {"nmi-behind-vmgexit:2": "detected", "ghcb-garbage-beside": "harmless",
           "memory-map-wraps": "harmless"},
    "snp": {"register-refused:2": "detected", "register-another-frame:2": "detected",
            "page-state-msr-fails:2": "detected", "page-state-msr-fails:3": "detected",
            "page-unvalidated:4": "detected", "launch-validates-all": "detected",
            "page-taken": "", "secrets-page-ones": "harmless", "memory-map-wraps": "harmless"},
}


def _withstands(sev: str) -> None:
    """As for any kernel: detected ends by a reason, harmless boots."""
    kernel = _packed("sev-low")
    wrong = []
    for hostile, kind in _BEHAVIOURS[sev].items():
        result = sev_guest.run(Run(kernel, sev=sev, hostile=hostile, memory="64M", timeout=15))
        assert f"hostile: {hostile.split(':')[0]} acts" in result.serial, hostile
        ended_well = result.outcome == machine.OK
        if not {"detected": bool(reasons(result)), "harmless": ended_well}.get(kind,
                                                                               not ended_well):
            wrong.append((hostile, result.outcome))
    assert not wrong, wrong


_NEWEST = cases.BUILD / "debian/trixie-backports/vmlinuz"

CASES = [
    *(_by_note(name, sev, 51) for name in ("sev", "sev-low") for sev in _STATUS),
    *(_by_note("sev", sev, 47) for sev in ("es", "snp")),
    *map(_by_module, ("es", "snp")),
    *map(_at_random, ("es", "snp")),
    *(Case(f"sev: Linux as payload, to user space: {sev}, C-bit {c_bit}",
           lambda s=sev, c=c_bit: _linux(s, c)) for sev in ("es", "snp") for c_bit in (51, 47)),
    Case("sev: Linux as payload, its newest in Debian: snp", lambda: _linux("snp", 51, _NEWEST)),
    *(Case(f"sev: a payload is refused by the contract {contract}, {sev}",
           lambda c=contract, k=kernel, s=sev: _refused(c, k, s))
      for contract, kernel, sev in (("limine", _payload("limine"), "sev"),
                                    ("pvh", cases.BUILD / "demo-best.elf", "snp"),
                                    ("linux32", LINUX, "es"))),
    *(Case(f"sev: a payload's way withstands hostile hosts: {sev}", lambda s=sev: _withstands(s))
      for sev in _BEHAVIOURS),
]
