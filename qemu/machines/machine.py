"""Boots a guest in QEMU and tells how it ended.

A guest ends by writing to port 0xf4: 0x10 for success, 0x20 for a fatal error, and the feeder
0x30 when it refuses its script. Value v becomes the exit status v << 1 | 1.
"""

import os
import re
import socket
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Optional, Sequence

import cases
from patience import IDLE_SECONDS, Patience

OK = "ok"
FATAL = "fatal"
REFUSED = "refused by the feeder"
RESET = "reset or powered off"
HANG = "hang"

_LOOK_SECONDS = 0.25  # how often a running machine is looked at
_PROMPT_SECONDS = 0.05  # how often a prompt is looked for

_OUTCOMES = {0x21: OK, 0x41: FATAL, 0x61: REFUSED, 0: RESET}


@dataclass(frozen=True)
class Boot:
    """A guest to run. `initrd` entries are joined by commas, as QEMU's Multiboot loader takes
    them ("path string"); an `iso` boots through the firmware instead of `kernel`, through SeaBIOS
    if no `firmware` is named. `nodes` share the memory, by NUMA. `answers` are typed on the serial
    port, each as soon as its prompt is seen there behind the one before: (prompt, answer).
    `timeout` and `idle` are for machines.patience."""

    kernel: Optional[Path] = None
    initrd: Sequence = ()
    append: Optional[str] = None
    iso: Optional[Path] = None
    firmware: Optional[Path] = None
    memory: str = "128M"
    nodes: int = 1
    cpu: str = "max"
    machine: str = "pc"
    accel: str = "tcg"
    extra: Sequence[str] = ()
    answers: Sequence[tuple] = ()
    timeout: float = 20
    idle: float = IDLE_SECONDS


@dataclass(frozen=True)
class Result:
    """How a machine ended. Texts are Latin-1: one character a byte. `status` is None on a hang."""

    serial: str
    debugcon: str
    errors: str
    status: Optional[int]

    @property
    def timed_out(self) -> bool:
        return self.status is None

    @property
    def outcome(self) -> str:
        if self.timed_out:
            return HANG
        return _OUTCOMES.get(self.status, f"exit status {self.status:#x}")

    def expect(self, outcome: str, *patterns: str) -> "Result":
        """Asserts how the machine ended and that each pattern is found on the serial port, `^` and
        `$` standing for the ends of a line."""
        assert self.outcome == outcome, f"{self.outcome}, not {outcome} {self.errors}".strip()
        for pattern in patterns:
            found = re.search(pattern, self.serial, re.MULTILINE)
            assert found, f"no match for {pattern!r} on the serial port"
        return self


def kvm_missing() -> Optional[str]:
    """Why KVM cannot be used here; None if it can."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "/dev/kvm is not there or may not be opened"
    return None


def read_text(path: Path) -> str:
    return path.read_bytes().decode("latin-1") if path.exists() else ""


def run(boot: Boot) -> Result:
    """Boots and waits for the end; `boot.timeout` is for machines.patience."""
    output = cases.scratch_directory()
    process = subprocess.Popen(
        command(boot, output / "serial", output / "debugcon"),
        stdin=subprocess.PIPE if boot.answers else subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    if boot.answers:
        _start_typing(process, output / "serial", boot.answers)
    patience = Patience(process.pid, boot.timeout, partial(_size, output / "serial"), boot.idle)
    status, errors = _finish(process, patience)
    result = Result(
        serial=read_text(output / "serial"),
        debugcon=read_text(output / "debugcon"),
        errors=errors,
        status=status,
    )
    cases.journal().results.append(result)
    return result


def command(boot: Boot, serial: Path, debugcon: Path) -> list:
    """QEMU's command line. Guest memory is reserved by nobody, so that 512G start anywhere."""
    line = [os.environ.get("QEMU") or "qemu-system-x86_64"]
    line += ["-display", "none", "-no-reboot", "-nodefaults"]
    line += ["-accel", boot.accel, "-cpu", boot.cpu]
    line += _memory(boot)
    line += _serial(boot, serial) + ["-debugcon", f"file:{debugcon}"]
    line += ["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
    if boot.firmware:
        line += ["-bios", str(boot.firmware)]
    if boot.kernel:
        line += ["-kernel", str(cases.made(Path(boot.kernel)))]
    if boot.initrd:
        line += ["-initrd", ",".join(map(str, boot.initrd))]
    if boot.append is not None:
        line += ["-append", boot.append]
    if boot.iso:
        line += ["-drive", f"file={boot.iso},format=raw,media=cdrom,readonly=on", "-boot", "d"]
    return line + list(boot.extra)


def _memory(boot: Boot) -> list:
    ram = lambda name, size: ["-object", f"memory-backend-ram,id={name},size={size},reserve=off"]
    if boot.nodes == 1:
        return ["-machine", f"{boot.machine},memory-backend=memory", "-m", boot.memory,
                *ram("memory", boot.memory)]
    line = ["-machine", boot.machine, "-m", boot.memory, "-smp", str(boot.nodes)]
    for node in range(boot.nodes):
        line += ram(f"memory{node}", f"{int(boot.memory[:-1]) // boot.nodes}{boot.memory[-1]}")
        line += ["-numa", f"node,memdev=memory{node},cpus={node}"]
    return line


def _serial(boot: Boot, path: Path) -> list:
    if not boot.answers:
        return ["-serial", f"file:{path}"]
    return ["-chardev", f"stdio,id=serial,signal=off,logfile={path}", "-serial", "chardev:serial"]


def _start_typing(process: subprocess.Popen, serial: Path, answers: Sequence[tuple]) -> None:
    keyboard, process.stdin = process.stdin, None  # which communicate() would close

    def type_answers() -> None:
        seen = 0
        for prompt, answer in answers:
            while (at := read_text(serial).find(prompt, seen)) < 0:
                if process.poll() is not None:
                    return
                time.sleep(_PROMPT_SECONDS)
            seen = at + len(prompt)
            with suppress(BrokenPipeError):
                keyboard.write(answer.encode())
                keyboard.flush()

    threading.Thread(target=type_answers, daemon=True).start()


def _finish(process: subprocess.Popen, patience: Patience) -> tuple:
    while True:
        with suppress(subprocess.TimeoutExpired):
            _, errors = process.communicate(timeout=_LOOK_SECONDS)
            return process.returncode, errors.decode("latin-1")
        if patience.over():
            process.kill()
            _, errors = process.communicate()
            return None, errors.decode("latin-1")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def tell_monitor(monitor: Path, question: bytes, answer: "re.Pattern[bytes]", command: bytes,
                 seconds: float = 10) -> None:
    """Sends QEMU's monitor a command as soon as it answers the question so, and waits for the
    machine's end."""
    deadline = time.monotonic() + seconds
    with suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        while connection.connect_ex(str(monitor)) and time.monotonic() < deadline:
            time.sleep(0.05)
        connection.settimeout(seconds)
        said = b""
        while not answer.search(said) and time.monotonic() < deadline:
            connection.sendall(question)
            time.sleep(0.05)
            said = connection.recv(1 << 16)
        connection.sendall(command)
        while connection.recv(1 << 16):  # until the machine has gone
            pass
