"""Runs a guest under the SEV host, by the user's own command, and tells how it ended."""

import os
import re
import select
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import cases
import machine
from patience import IDLE_SECONDS, Patience

TERMINATED, SHUTDOWN, HALTED, RESET = "terminated", "shutdown", "halted", "reset"
REFUSED = "refused"  # by the host: the guest did what hardware forbids
DENIED = "denied"  # by a hostile host
ENDED_BY_TEST = "ended by the test"

_SECONDS = float(os.environ.get("GUEST_SECONDS") or 20)  # of the processor
_LOOK_SECONDS = 0.25
_IDLE_OF_SWEEP = 60


@dataclass(frozen=True)
class Run:
    """What `make guest` is given. With `until`, the run is over when that is printed."""

    image: Path
    sev: str = "es"
    host: str = ""
    c_bit: int = 51
    cmdline: str = ""
    initrd: Optional[Path] = None
    memory: str = "128M"
    high: str = ""
    cpu: str = ""
    hostile: str = ""
    intercept: str = ""
    injection: str = ""
    trace: str = ""
    canary: int = 0
    stacks: str = ""
    sweep: str = ""
    sweep_from: str = ""
    stride: int = 0
    state: Optional[Path] = None
    accept: str = ""
    rmp: str = ""
    kernel: Optional[Path] = None
    hashes: Optional[Path] = None
    disk: Optional[Path] = None
    seed: str = ""
    cpus: int = 1
    schedule: str = ""
    timeout: float = _SECONDS
    until: str = ""

    def settings(self) -> dict:
        return {"GUEST": self.image, "HOST": self.host, "SEV": self.sev, "CBIT": self.c_bit,
                "CMDLINE": self.cmdline,
                "INITRD": self.initrd or "", "MEM": self.memory, "HIGH": self.high, "CPU": self.cpu,
                "HOSTILE": self.hostile, "INTERCEPT": self.intercept,
                "INJECTION": self.injection, "TRACE": self.trace,
                "STATE": self.state or "", "ACCEPT": self.accept, "RMP": self.rmp,
                "KERNEL": self.kernel or "", "HASHES": self.hashes or "", "DISK": self.disk or "",
                "SEED": self.seed, "CANARY": hex(self.canary) if self.canary else "",
                "STACKS": self.stacks, "SWEEP": self.sweep,
                "FROM": self.sweep_from, "STRIDE": self.stride or "",
                "CPUS": self.cpus, "SCHEDULE": self.schedule}


class Result(machine.Result):
    """A machine's result; what the host and its guest say goes to one stream."""

    @property
    def outcome(self) -> str:
        if self.timed_out:
            return machine.HANG
        told = re.search(r"^guest: (.+)$", self.serial, re.MULTILINE)
        return told[1] if told else ENDED_BY_TEST

    def lines(self, pattern: str) -> list:
        """The matches of the pattern, `^` and `$` standing for a line's ends."""
        return re.findall(pattern, self.serial, re.MULTILINE)


def run(wanted: Run) -> Result:
    environment = dict(os.environ, BUILD=str(cases.BUILD))
    environment.update((name, str(value)) for name, value in wanted.settings().items())
    process = subprocess.Popen(
        [sys.executable, cases.ROOT / "qemu/guest.py"], cwd=cases.ROOT, env=environment,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        start_new_session=True)  # so that QEMU, its child, can be ended with it
    watch = _Watch(process, wanted)
    output = watch.read_all()
    result = Result(serial=output, debugcon="", errors="",
                    status=None if watch.timed_out else process.returncode)
    cases.journal().results.append(result)
    return result


class _Watch:
    """Reads what a process prints, and ends it at a text or at its time limit."""

    def __init__(self, process: subprocess.Popen, wanted: Run):
        self.process = process
        self.until = wanted.until.encode()
        self.timed_out = False
        # A sweep says nothing for minutes, and its host never waits: if it does, it is the machine.
        self.patience = Patience(process.pid, wanted.timeout,
                                 idle=_IDLE_OF_SWEEP if wanted.sweep else IDLE_SECONDS)

    def read_all(self) -> str:
        output = b""
        while (chunk := self._read()) != b"":
            output += chunk or b""
            if self.until and self.until in output:
                self._end()
                break
            if self.patience.over():
                self.timed_out = True
                self._end()
                break
        self.process.wait()
        return output.decode("latin-1").replace("\r", "")

    def _read(self) -> Optional[bytes]:
        """What there is to read, nothing at the end; None where nothing came for a moment."""
        stream = self.process.stdout.fileno()
        readable, _, _ = select.select([stream], [], [], _LOOK_SECONDS)
        return os.read(stream, 1 << 16) if readable else None

    def _end(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
