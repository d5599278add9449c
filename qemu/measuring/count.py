#!/usr/bin/python3
"""Counts the instructions that a guest executes, exactly, with QEMU's TCG.

QEMU translates one instruction a block and logs each block before it runs it,
with the registers (`-d exec,cpu,nochain`), through a pipe that is read here.
The log says more than a debugger's steps or -icount, and repeats to the line:

  Trace 0: 0x7f32 [cs_base/pc/flags/cflags] symbol   about to run; pc is linear
  Stopped execution of TB chain before ...           the line above did not run
  EAX=... EBX=... ECX=... EDX=...                    RAX=... where CS.L is set

What is counted:
- An instruction counts once, also when it faults; one that is run again after
  its fault counts again. So does a REP that an interrupt or a fault cut in two.
- "To X" is the number of instructions before X, without X's own.
- A REP counts as one. Its iterations are what it took off RCX: the lines do not
  tell, since QEMU 10 runs up to 65,535 iterations in one block, and none and
  one look the same before it.
- INS and OUTS are a port access an iteration.
"""

import argparse
import collections
import dataclasses
import functools
import json
import shlex
import sys
from typing import NamedTuple

from counted_image import CountError, Image, decode
from tcg_log import HF_LMA, TAKEN_BACK, qemu_command, run


@dataclasses.dataclass
class Figures:
    """What was executed before some point of the run."""
    pc: int = 0  # of that point
    instructions: int = 0
    reps: int = 0
    rep_iterations: int = 0
    cpuid: int = 0
    rdmsr: int = 0
    wrmsr: int = 0
    port_in: int = 0
    port_out: int = 0
    undecoded: int = 0  # not in the image's file, so that its kind is not known

    def add(self, kind, times):
        setattr(self, kind, getattr(self, kind) + times)


class Access(NamedTuple):
    kind: str    # as in Instruction
    pc: int
    number: int  # CPUID leaf, MSR or port


class Tally:
    """Takes the log's events in order; holds the figures at each milestone."""

    def __init__(self, image, until=None, start=None):
        self._image = image
        self._until = image.run_addresses(until) if until else None
        self._start = image.run_addresses(start) if start else None
        self._decoded = functools.lru_cache(maxsize=None)(
            lambda pc, is_64bit: decode(image.code_at(pc), is_64bit))
        self._pending = None      # the step that has not been counted yet
        self._repeated = False    # the last step was a further one of a REP
        self._now = Figures()
        self.entry = None         # pc
        self.long_mode = None     # Figures at the first instruction with EFER.LMA
        self.first64 = None       # Figures at the first 64-bit instruction
        self.until = None         # Figures at `until`
        self.accesses = collections.Counter()         # Access -> times
        self.instructions_by_pc = collections.Counter()

    @property
    def done(self):
        return (self.until if self._until else self.first64) is not None

    @property
    def last(self):
        """The figures up to the last step seen; for runs that end too early."""
        return self._at(self._pending.pc if self._pending else self.entry)

    def event(self, event):
        if event is TAKEN_BACK:
            self._take_back()
        elif self.entry is not None or self._start is None or event.pc in self._start:
            self._step(event)

    def _take_back(self):
        if not self._repeated:
            self._pending = None

    def _step(self, step):
        self._repeated = self._goes_on(step)
        if self._repeated:
            return
        if self._pending:
            self._count(self._pending, step)
        self._note_milestones(step)
        self._pending = step

    def _goes_on(self, step):
        """Whether `step` is the pending instruction's next iterations."""
        pending = self._pending
        if not pending or step.pc != pending.pc:
            return False
        instruction = self._decoded(pending.pc, pending.is_64bit)
        return instruction.repeats or (not instruction.known and step.rcx < pending.rcx)

    def _count(self, step, following):
        instruction = self._decoded(step.pc, step.is_64bit)
        self._now.instructions += 1
        self._now.undecoded += not instruction.known
        self.instructions_by_pc[step.pc] += 1
        times = 1
        if instruction.repeats:
            times = (step.rcx - following.rcx) & instruction.count_mask
            self._now.reps += 1
            self._now.rep_iterations += times
        if instruction.kind:
            self._now.add(instruction.kind, times)
            self.accesses[access_of(instruction, step)] += times

    def _note_milestones(self, step):
        if self.entry is None:
            self.entry = step.pc
        if self.long_mode is None and step.flags & HF_LMA:
            self.long_mode = self._at(step.pc)
        if self.first64 is None and step.is_64bit:
            self.first64 = self._at(step.pc)
        if self._until and self.until is None and step.pc in self._until:
            self.until = self._at(step.pc)

    def _at(self, pc):
        return dataclasses.replace(self._now, pc=pc)

    def profile(self):
        """[(function, instructions)], the most first, up to the end of the run."""
        functions = collections.Counter()
        for pc, times in self.instructions_by_pc.items():
            functions[self._image.function_at(pc)] += times
        return sorted(functions.items(), key=lambda item: (-item[1], item[0]))


def access_of(instruction, step):
    if instruction.kind == "cpuid":
        number = step.rax & 0xFFFFFFFF
    elif instruction.kind in ("rdmsr", "wrmsr"):
        number = step.rcx & 0xFFFFFFFF
    elif instruction.port is not None:
        number = instruction.port
    else:
        number = step.rdx & 0xFFFF
    return Access(instruction.kind, step.pc, number)


@dataclasses.dataclass
class Result:
    image: Image
    ranges: list     # [(start, size)] that were watched
    ended: str       # "reached", or why it was not
    tally: Tally

    @property
    def reached(self):
        return self.ended == "reached"


def count(kernel, *, until=None, start=None, ranges=None, cpu="max", memory="2G", append=None,
          initrd=None, qemu_args=(), qemu="qemu-system-x86_64", timeout=60, windows=(),
          boot=None, processor=None):
    """Boots `kernel` and counts up to `until` or, without it, the first 64-bit instruction.

    `until` and `start` are symbols or addresses ("0x100000"), `ranges` is a list of
    (start, size) in place of the image's own, `initrd` is QEMU's own syntax.
    `windows` are bases at which the image is seen at base + physical address, and `boot`
    is what QEMU loads where that is not `kernel` itself: a loader that loads it. Of several
    processors all are counted, or `processor` alone.
    """
    image = Image(kernel, windows)
    ranges = ranges or image.ranges()
    tally = Tally(image, until, start)
    options = ["-cpu", cpu, "-m", memory, "-kernel", boot or kernel]
    options += ["-append", append] if append is not None else []
    options += ["-initrd", initrd] if initrd is not None else []
    ended = run(tally, lambda log: qemu_command(qemu, log, ranges, [*options, *qemu_args]), timeout,
                processor)
    if tally.entry is None:
        raise CountError(f"nothing of the image was executed: {ended}")
    return Result(image, ranges, ended, tally)


# --- Reports ------------------------------------------------------------------


def figures_object(result, figures):
    if figures is None:
        return None
    return dict(dataclasses.asdict(figures), pc=f"{figures.pc:#x}",
                symbol=result.image.describe(figures.pc))


def as_object(result, profile=False):
    """The result for JSON; addresses and numbers are strings in hexadecimal."""
    tally, image = result.tally, result.image
    report = {
        "ended": result.ended,
        "ranges": [f"{start:#x}+{size:#x}" for start, size in result.ranges],
        "entry": {"pc": f"{tally.entry:#x}", "symbol": image.describe(tally.entry)},
        "long_mode": figures_object(result, tally.long_mode),
        "first64": figures_object(result, tally.first64),
        "until": figures_object(result, tally.until),
        "last": figures_object(result, tally.last),
        "accesses": [{"kind": access.kind, "pc": f"{access.pc:#x}",
                      "symbol": image.describe(access.pc), "number": f"{access.number:#x}",
                      "times": times} for access, times in tally.accesses.items()],
    }
    if profile:
        report["profile"] = [{"symbol": name, "instructions": times}
                             for name, times in tally.profile()]
    return report


def print_figures(title, figures):
    if figures is None:
        print(f"{title}: not reached")
        return
    print(f"{title}: {figures['instructions']} instructions")
    print(f"  at: {figures['pc']} {figures['symbol']}")
    print(f"  rep: {figures['reps']} instructions, {figures['rep_iterations']} iterations")
    print(f"  cpuid: {figures['cpuid']}, rdmsr: {figures['rdmsr']}, wrmsr: {figures['wrmsr']}, "
          f"port in: {figures['port_in']}, port out: {figures['port_out']}")
    if figures["undecoded"]:
        print(f"  not in the image's file, so perhaps more of those: {figures['undecoded']}")


def print_report(report, until):
    print(f"entry: {report['entry']['pc']} {report['entry']['symbol']}")
    print_figures("to long mode", report["long_mode"])
    print_figures("to the first 64-bit instruction", report["first64"])
    if until:
        print_figures(f"to {until}", report["until"])
    if report["ended"] != "reached":
        print_figures("to the last instruction seen", report["last"])
        print(f"ended: {report['ended']}")
    for access in report["accesses"]:
        print(f"{access['kind']} {access['number']}: {access['times']} at "
              f"{access['pc']} {access['symbol']}")
    for line in report.get("profile", ()):
        print(f"{line['instructions']:9} {line['symbol']}")


def parse_range(text):
    try:
        start, size = (int(part, 0) for part in text.split("+"))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not START+SIZE") from error
    return start, size


def add_what_to_run(parser):
    """The options that say what is booted, and which part of the boot is looked at."""
    parser.add_argument("--kernel", required=True, metavar="IMAGE", help="ELF or bzImage")
    parser.add_argument("--until", metavar="SYMBOL_OR_ADDR",
                        help="where to end (default: the first 64-bit instruction)")
    parser.add_argument("--from", dest="start", metavar="SYMBOL_OR_ADDR",
                        help="where to begin (default: the first instruction in the ranges)")
    parser.add_argument("--range", dest="ranges", action="append", type=parse_range,
                        metavar="START+SIZE", help="what to watch (default: the image)")
    parser.add_argument("--window", dest="windows", action="append", default=[],
                        type=lambda base: int(base, 0), metavar="BASE",
                        help="physical memory is seen here too, and may be run from")
    parser.add_argument("--cpu", default="max")
    parser.add_argument("--memory", default="2G")
    parser.add_argument("--append", help="command line")
    parser.add_argument("--initrd", help="initrd or modules, in QEMU's syntax")
    parser.add_argument("--qemu", default="qemu-system-x86_64")
    parser.add_argument("--qemu-arg", dest="qemu_args", action="append", default=[],
                        metavar="'-option value'", help="more for QEMU, split like a shell does")


def parse_arguments():
    parser = argparse.ArgumentParser(description="Counts guest instructions with QEMU's TCG.")
    add_what_to_run(parser)
    parser.add_argument("--timeout", type=float, default=60, metavar="SECONDS")
    parser.add_argument("--profile", action="store_true", help="instructions by function")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def main():
    options = vars(parse_arguments())
    as_json, profile = options.pop("json"), options.pop("profile")
    options["qemu_args"] = [word for text in options["qemu_args"] for word in shlex.split(text)]
    try:
        result = count(**options)
    except (CountError, OSError) as error:
        sys.exit(f"count.py: {error}")
    report = as_object(result, profile)
    if as_json:
        print(json.dumps(report, indent=2))
    else:
        print_report(report, options["until"])
    return 0 if result.reached else 1


if __name__ == "__main__":
    sys.exit(main())
