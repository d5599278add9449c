"""Boots an ISO in Bochs, the stricter second CPU (2.7; Debian's packages bochs, bochs-term)."""

import os
import pty
import re
import select
import subprocess
from pathlib import Path
from typing import Optional

import cases
from machine import Result, read_text
from patience import Patience

_CONFIGURATION = """\
cpu: model={model}, count={processors}, ips=100000000, reset_on_triple_fault=0, ignore_bad_msrs=0
memory: guest={mebibytes}, host={mebibytes}
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/vgabios/vgabios.bin
ata0-master: type=cdrom, path={iso}, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev={output}/serial
port_e9_hack: enabled=1
display_library: term
log: {output}/log
panic: action=fatal
error: action=report
info: action=report
debug: action=ignore, unmapped=report
clock: sync=none
"""

# Bochs has no device at port 0xf4, but says so in its log; a triple fault stands there too.
_EXIT_WRITE = re.compile(r"\d+-bit write to 00f4 = ([0-9a-f]+)")
_TRIPLE_FAULT = re.compile(r"3rd \(\d+\) exception with no resolution")


def run_bochs(iso: Path, model: str = "ryzen", mebibytes: int = 128, timeout: float = 30,
              processors: int = 1) -> Result:
    """Boots `iso`; the Result is as QEMU's would be, and `errors` is Bochs' log of panics."""
    output = cases.scratch_directory()
    _write_configuration(output, iso=iso, model=model, mebibytes=mebibytes,
                         processors=processors)
    terminal = _run(output, timeout)
    log = read_text(output / "log")
    result = Result(
        serial=read_text(output / "serial"),
        debugcon=terminal,
        errors="\n".join(line for line in log.splitlines() if ">>PANIC<<" in line),
        status=_status(log),
    )
    cases.journal().results.append(result)
    return result


def _write_configuration(output: Path, **values) -> None:
    (output / "rc").write_text(_CONFIGURATION.format(output=output, **values))
    (output / "commands").write_text("continue\nquit\n")  # for the built-in debugger


def _run(output: Path, timeout: float) -> str:
    """What Bochs writes to the terminal that its only text display wants: port 0xe9, and a lot of
    cursor movements."""
    terminal, bochs_side = pty.openpty()
    process = subprocess.Popen(
        ["bochs-bin", "-q", "-f", output / "rc", "-rc", output / "commands"],
        stdin=bochs_side,
        stdout=bochs_side,
        stderr=bochs_side,
        env={**os.environ, "TERM": "vt100"},
        start_new_session=True,
    )
    os.close(bochs_side)
    try:
        return _watch(process, terminal, output / "log", Patience(process.pid, timeout))
    finally:
        process.kill()
        process.wait()
        os.close(terminal)


def _watch(process: subprocess.Popen, terminal: int, log: Path, patience: Patience) -> str:
    written = b""
    while process.poll() is None and _status(read_text(log)) is None:
        if patience.over():
            break
        written += _drain(terminal)
    return (written + _drain(terminal)).decode("latin-1")


def _drain(terminal: int) -> bytes:
    """What there is to read; waits a moment for it."""
    readable, _, _ = select.select([terminal], [], [], 0.05)
    try:
        return os.read(terminal, 65536) if readable else b""
    except OSError:  # how Linux says that the other side has gone
        return b""


def _status(log: str) -> Optional[int]:
    """The exit status that QEMU would have given; None while the guest runs."""
    written = _EXIT_WRITE.search(log)
    if written:
        return int(written[1], 16) << 1 | 1
    if _TRIPLE_FAULT.search(log):
        return 0
    return None
