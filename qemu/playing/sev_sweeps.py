"""Sweeps of Prologue as an SEV guest (docs/sevhost.md, "A sweep"): from each entry, told where its
stacks are, so that one that is left is found."""

import functools
import re
import tempfile
from pathlib import Path

import cases
import machine
import sev_guest
import sev_states
from images import Image, mangled, symbols
from marked_image import marked_image
from sev_ends import CANARY
from sev_guest import Run

BY_FIRMWARE = "ovmf"  # behaviours alone: before the kernel's LIDT an event is the firmware's
FIRMWARE = cases.BUILD / "debian/trixie/OVMF.fd"
ENTRIES = {"pvh": "demo", "pvh64": "demo-every", "linux32": "demo-every", "linux64": "demo-every",
           "vmd": "demo-every", "grub": "demo-every"}
_MEMORY = 32 << 20
_EXCEPTION_STACK = 4096
_SECONDS = 3600
_STATES = {"pvh64": lambda path, _: sev_states.pvh64(path), "linux64": sev_states.linux64,
           "grub": sev_states.multiboot2_hosts_firmware}


def sweep(entry: str, sev: str, what: str, **settings) -> sev_guest.Result:
    if entry == BY_FIRMWARE:
        result = _behind_firmware(sev, what, **settings)
    else:
        settings.setdefault("stacks", stacks(entry))
        result = boot(entry, sev, sweep=what, canary=CANARY, timeout=_SECONDS, **settings)
    assert result.outcome == machine.OK, result.outcome
    return result


def _behind_firmware(sev: str, what: str, stride: int = 0) -> sev_guest.Result:
    """Debian 13's OVMF starts a bzImage as a PE file, and is not attacked. It has no canary: the
    firmware's own memory is what it would lie in."""
    assert FIRMWARE.exists(), f"{FIRMWARE} is not there: make debian-guests"
    return sev_guest.run(Run(FIRMWARE, sev=sev, kernel=marked_image("demo-every"), memory="256M",
                             cmdline="a b", sweep=what, sweep_from="mark", stride=stride,
                             timeout=_SECONDS))


def boot(entry: str, sev: str, memory: int = _MEMORY, **settings) -> sev_guest.Result:
    image = cases.BUILD / f"{settings.pop('kernel', ENTRIES[entry])}.elf"
    with tempfile.TemporaryDirectory() as directory:
        if entry in _STATES:
            settings["state"] = _STATES[entry](Path(directory) / "state", memory)
        elif entry == "vmd":
            settings["state"] = cases.ROOT / "qemu/sevhost/states/vmd.state"
        elif entry == "linux32":
            image = image.with_suffix(".bzImage")
        if entry.startswith("linux"):
            settings["accept"] = "all"
        return sev_guest.run(Run(image, sev=sev, memory=f"{memory >> 20}M", **settings))


@functools.lru_cache(None)
def stacks(entry: str) -> str:
    """The stack of the boot, and those of exceptions, where an honest boot says that the image
    is."""
    told = boot(entry, "es").lines(r"^load-base: (0x\w+)$")
    path = cases.BUILD / f"{ENTRIES[entry]}.elf"
    image, base = Image(path), int(told[0], 16)
    found = [(image.physical("prologue_stack_bottom", base),
              image.physical("prologue_stack_top", base))]
    for name in ("exception_stack", "vc_stack"):
        start = image.physical(mangled(symbols(path), name), base)
        found.append((start, start + _EXCEPTION_STACK))
    return ",".join(f"{start:#x}-{end:#x}" for start, end in found)


def findings(result: sev_guest.Result) -> list:
    """All that it found; of one kind at one place the host tells the first."""
    told = result.lines(r"^sevhost: sweep: (\w.*: .* at 0x\w+)$")
    counted = int(result.lines(r"^sevhost: sweep: (\d+) findings$")[0])
    assert bool(told) == bool(counted), (counted, told)
    return told


def counts(result: sev_guest.Result) -> str:
    """The line of what was tried."""
    return re.sub(r"sevhost: sweep: ", "", "; ".join(
        result.lines(r"^(sevhost: sweep: \d+ (?:of \d+ steps|tries|behaviours|findings).*)$")))
