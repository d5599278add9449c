"""Exceptions at the worst moments of a boot from each state that BSDs' loaders leave: every class
that can be raised there is reported, with its vector and its mode."""

import re
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Callable

import bsd_loaders
import cases
import feeding
import machine
import reports
import worst_moments
from cases import Case
from exceptions import boot_to_report
from images import Image
from worst_moments import BEFORE_PAGING, BEHIND_LIDT64, MOMENTS, Moment, Raised

_KERNEL = cases.BUILD / "demo-every.elf"

_STATES = {f"vmd, {state}": partial(bsd_loaders.vmd, state=state)
           for state in bsd_loaders.VMD_STATES if state != bsd_loaders.PAGING_OFF}
_STATES["userboot"] = bsd_loaders.userboot


def boot_of(entered: Callable, kernel: Path) -> machine.Boot:
    records, registers = entered(Image(kernel))[:2]
    return feeding.feed(records, registers)


def raises(name: str, moment: Moment, raised: Raised) -> Case:
    def function() -> None:
        kernel, at = worst_moments.kernel_raising(_KERNEL, moment, raised)
        before, report = boot_to_report(boot_of(_STATES[name], kernel))
        assert before == "", repr(before)
        worst_moments.expect_reported(report, kernel, moment, at, raised.vector, raised.error)

    return Case(f"moments: {name}: {raised.title} {moment.title}", function)


# From outside, by QEMU's monitor.

_UNCORRECTED, _IN_PROGRESS = 0xB200000000000000, 0x4  # a bank's status; MCG_STATUS
_INJECTED = {
    "an NMI": (b"nmi\n", reports.NMI),
    "a #MC": (f"mce 0 0 {_UNCORRECTED:#x} {_IN_PROGRESS:#x} 0 0\n".encode(), reports.MC),
}


def injects(name: str, moment: Moment, event: str) -> Case:
    command, vector = _INJECTED[event]

    def function() -> None:
        kernel, at = worst_moments.kernel_waiting(_KERNEL, moment)
        place = worst_moments.seen_at(kernel, moment, at)
        monitor = cases.scratch_directory() / "monitor"
        poker = threading.Thread(target=send, args=(monitor, place, command), daemon=True)
        poker.start()
        boot = replace(boot_of(_STATES[name], kernel),
                       extra=["-monitor", f"unix:{monitor},server=on,wait=off"])
        _, report = boot_to_report(boot)
        poker.join()
        worst_moments.expect_reported(report, kernel, moment, at, vector)

    return Case(f"moments: {name}: {event} {moment.title}", function)


def send(monitor: Path, place: int, command: bytes) -> None:
    """As soon as the CPU is at that place."""
    machine.tell_monitor(monitor, b"print/x $pc\n", re.compile(rb"%#x\r" % place), command)


CASES = [
    *(raises(name, moment, raised) for name in _STATES for moment in MOMENTS
      for raised in worst_moments.raised_at(moment)),
    *(injects(name, moment, "an NMI") for name in _STATES for moment in MOMENTS),
    # Behind the 32-bit LIDT, CR4.MCE is the loader's: a #MC would be a shutdown.
    *(injects(name, moment, "a #MC") for name in _STATES
      for moment in (BEFORE_PAGING, BEHIND_LIDT64)),
]
