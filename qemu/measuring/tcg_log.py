"""QEMU's log of a guest, an instruction a line: how QEMU is asked for it, and what it says."""

import functools
import os
import pathlib
import re
import select
import subprocess
import sys
import tempfile
from typing import NamedTuple

from counted_image import CountError

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "machines"))
from patience import Patience

HF_LMA = 1 << 14   # target/i386/cpu.h: EFER.LMA in a block's flags
HF_CS64 = 1 << 15  # CS.L while LMA


class Step(NamedTuple):
    """A block of one instruction that is about to run."""
    pc: int
    flags: int
    rax: int
    rcx: int
    rdx: int

    @property
    def is_64bit(self):
        return bool(self.flags & HF_CS64)


TAKEN_BACK = "the step before did not run"

LOG_LINE = re.compile(
    rb"^(?:Trace (?P<cpu>\d+): \S+ \[[0-9a-f]+/(?P<pc>[0-9a-f]+)/(?P<flags>[0-9a-f]+)[/\]]"
    rb"|(?P<stopped>Stopped execution of TB chain before)"
    rb"|[ER]AX=(?P<rax>[0-9a-f]+) [ER]BX=\S+ [ER]CX=(?P<rcx>[0-9a-f]+) [ER]DX=(?P<rdx>[0-9a-f]+))",
    re.MULTILINE)


def whole_lines(chunks):
    rest = b""
    for chunk in chunks:
        lines, newline, rest = (rest + chunk).rpartition(b"\n")
        yield lines + newline


def log_events(chunks, cpu=None):
    """The Steps of a log and, where one was not taken after all, TAKEN_BACK; those of processor
    `cpu` alone, where that is given. What follows a Trace line is that processor's."""
    pc = flags = None
    is_wanted = True
    for lines in whole_lines(chunks):
        for line in LOG_LINE.finditer(lines):
            if line["pc"]:
                is_wanted = cpu is None or int(line["cpu"]) == cpu
            if not is_wanted:
                continue
            if line["pc"]:
                pc, flags = int(line["pc"], 16), int(line["flags"], 16)
            elif line["stopped"]:
                yield TAKEN_BACK
            else:
                yield Step(pc, flags, *(int(line[r], 16) for r in ("rax", "rcx", "rdx")))


# --- Running QEMU -------------------------------------------------------------

ONE_INSTRUCTION_A_BLOCK = (
    ["-accel", "tcg,thread=single,one-insn-per-tb=on"],  # from QEMU 8.1 on
    ["-accel", "tcg,thread=single", "-singlestep"],      # until QEMU 9
)


@functools.lru_cache(maxsize=None)
def one_instruction_arguments(qemu):
    """The way to say it that this QEMU takes, found out by asking."""
    machine = ["-machine", "none", "-nodefaults", "-display", "none", "-monitor", "stdio"]
    refusals = []
    for arguments in ONE_INSTRUCTION_A_BLOCK:
        try:
            run = subprocess.run([qemu, *arguments, *machine], input="quit\n", text=True,
                                 capture_output=True, timeout=30, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise CountError(f"cannot run {qemu}: {error}") from error
        if run.returncode == 0:
            return arguments
        refusals.append(run.stderr.strip())
    raise CountError(f"{qemu} cannot run one instruction a block: " + "; ".join(refusals))


def qemu_command(qemu, log, ranges, options):
    dfilter = ",".join(f"{start:#x}+{size:#x}" for start, size in ranges)
    return [qemu, *one_instruction_arguments(qemu),
            "-d", "exec,cpu,nochain", "-dfilter", dfilter, "-D", log,
            "-nodefaults", "-display", "none", "-no-reboot",
            "-device", "isa-debug-exit,iobase=0xf4,iosize=4", *options]


class Log:
    """What comes out of the pipe, until its end or until QEMU is given up: after so many seconds
    of the processor, or at rest."""

    def __init__(self, fd, qemu, seconds):
        self.fd = fd
        self.bytes = 0
        self.given_up = False
        self._patience = Patience(qemu.pid, seconds, lambda: self.bytes)

    def chunks(self):
        while not self._patience.over():
            if select.select([self.fd], [], [], 0.2)[0]:
                chunk = os.read(self.fd, 1 << 20)
                if not chunk:
                    return
                self.bytes += len(chunk)
                yield chunk
        self.given_up = True


def feed(tally, log, cpu):
    for event in log_events(log.chunks(), cpu):
        tally.event(event)
        if tally.done:
            return


def run(tally, command_for_log, timeout, cpu=None):
    """Runs QEMU until the tally is done; returns how the run ended."""
    reader, writer = os.pipe()
    with open(reader, "rb", buffering=0), tempfile.TemporaryFile() as errors:
        with open(writer, "wb", buffering=0):
            qemu = subprocess.Popen(command_for_log(f"/dev/fd/{writer}"), pass_fds=[writer],
                                    stdin=subprocess.DEVNULL, stdout=errors, stderr=errors)
        log = Log(reader, qemu, timeout)
        try:
            feed(tally, log, cpu)
            if tally.done:
                return "reached"
            if log.given_up:
                return f"not reached in {timeout} s"
            status = qemu.wait()
        finally:
            qemu.kill()
            qemu.wait()
        errors.seek(0)
        said = errors.read().decode(errors="replace").strip()
        return f"QEMU ended with status {status}" + (f": {said}" if said else "")
