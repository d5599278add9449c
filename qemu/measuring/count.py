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
import bisect
import collections
import dataclasses
import functools
import json
import os
import pathlib
import re
import select
import shlex
import struct
import subprocess
import sys
import tempfile
from typing import NamedTuple, Optional

from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "machines"))
from patience import Patience  # noqa: E402, of the harness

HF_LMA = 1 << 14   # target/i386/cpu.h: EFER.LMA in a block's flags
HF_CS64 = 1 << 15  # CS.L while LMA

BZIMAGE_LOAD_ADDRESS = 0x100000
MAX_INSTRUCTION_BYTES = 15


class CountError(Exception):
    """The question cannot be asked: bad image, unknown symbol, QEMU refuses."""


# --- The image: what is where, in the file and in the guest ------------------


class Segment(NamedTuple):
    paddr: int
    vaddr: int
    size: int    # in memory
    data: bytes  # in the file; shorter where the rest is zeroes


class Label(NamedTuple):
    address: int
    size: int
    name: str


class Image:
    """A kernel's file. Its code runs at physical addresses, then at virtual ones,
    and perhaps in `windows`: where physical memory is seen from those bases on."""

    def __init__(self, path, windows=()):
        self._windows = (0, *windows)
        with open(path, "rb") as file:
            magic = file.read(4)
            if magic == b"\x7fELF":
                elf = ELFFile(file)
                self.segments = elf_segments(elf)
                self._values, self._labels = elf_symbols(elf)
            else:
                self.segments = [bzimage_segment(path)]
                self._values, self._labels = {}, []

    def ranges(self):
        """(start, size) of all places where the image's code can run."""
        return sorted({(base, segment.size) for segment in self.segments
                       for base in self._bases(segment)})

    def _bases(self, segment):
        return [segment.vaddr, *(window + segment.paddr for window in self._windows)]

    def link_address(self, pc):
        """The address that the linker knows the byte at `pc` by, or None."""
        for segment in self.segments:
            for base in self._bases(segment):
                if base <= pc < base + segment.size:
                    return pc - base + segment.vaddr
        return None

    def code_at(self, pc):
        """The file's bytes of the instruction at `pc`; empty if it has none."""
        for segment in self.segments:
            for base in self._bases(segment):
                if base <= pc < base + len(segment.data):
                    return segment.data[pc - base:pc - base + MAX_INSTRUCTION_BYTES]
        return b""

    def run_addresses(self, place):
        """Where `place` runs: a number as it is, a symbol at both its addresses."""
        try:
            return {int(place, 0)}
        except ValueError:
            pass
        if place not in self._values:
            raise CountError(f"no symbol {place!r} in the image")
        value = self._values[place]
        physical = {value - segment.vaddr + segment.paddr for segment in self.segments
                    if segment.vaddr <= value < segment.vaddr + segment.size}
        return {value} | physical

    def _label_before(self, pc):
        address = self.link_address(pc)
        if address is None:
            return None
        index = bisect.bisect_right(self._labels, address, key=lambda label: label.address)
        return self._labels[index - 1] if index else None

    def function_at(self, pc):
        label = self._label_before(pc)
        return label.name if label else "?"

    def functions(self, part):
        """(start, size) of each whose name has `part` in it."""
        return [(label.address, label.size) for label in self._labels
                if label.size and part in label.name]

    def describe(self, pc):
        """The place of `pc` as "function+0x12"."""
        label = self._label_before(pc)
        return f"{label.name}+{self.link_address(pc) - label.address:#x}" if label else "?"


def elf_segments(elf):
    return [Segment(s["p_paddr"], s["p_vaddr"], s["p_memsz"], s.data())
            for s in elf.iter_segments("PT_LOAD") if s["p_memsz"]]


def elf_symbols(elf):
    """Every symbol's value by name, and the functions in address order."""
    values, labels = {}, []
    table = elf.get_section_by_name(".symtab")
    code = {i for i, section in enumerate(elf.iter_sections())
            if section["sh_flags"] & SH_FLAGS.SHF_EXECINSTR}
    for symbol in table.iter_symbols() if table else ():
        if symbol["st_shndx"] == "SHN_UNDEF" or not symbol.name:
            continue
        values[symbol.name] = symbol["st_value"]
        if symbol["st_shndx"] in code and symbol["st_info"]["type"] in ("STT_FUNC", "STT_NOTYPE"):
            labels.append(Label(symbol["st_value"], symbol["st_size"], symbol.name))
    return values, outermost(labels)


def outermost(labels):
    """The labels in address order, without those inside a function or on another."""
    kept, end = [], 0
    for label in sorted(labels, key=lambda label: (label.address, -label.size, label.name)):
        if label.address >= end:
            kept.append(label)
            end = label.address + max(label.size, 1)
    return kept


def bzimage_segment(path):
    """The protected-mode part (Linux Documentation/arch/x86/boot.rst)."""
    with open(path, "rb") as file:
        image = file.read()
    if image[0x202:0x206] != b"HdrS":
        raise CountError(f"{path}: neither an ELF nor a bzImage")
    setup_sectors = image[0x1F1] or 4
    init_size, = struct.unpack_from("<I", image, 0x260)
    code = image[(setup_sectors + 1) * 512:]
    return Segment(BZIMAGE_LOAD_ADDRESS, BZIMAGE_LOAD_ADDRESS, max(init_size, len(code)), code)


# --- Instructions: only as much decoding as the figures need -----------------

LEGACY_PREFIXES = b"\x66\x67\x2e\x36\x3e\x26\x64\x65\xf0\xf2\xf3"
REX_PREFIXES = range(0x40, 0x50)
STRING_OPCODES = b"\x6c\x6d\x6e\x6f\xa4\xa5\xa6\xa7\xaa\xab\xac\xad\xae\xaf"
KIND_OF_OPCODE = {**dict.fromkeys(b"\xe4\xe5\xec\xed\x6c\x6d", "port_in"),
                  **dict.fromkeys(b"\xe6\xe7\xee\xef\x6e\x6f", "port_out")}
KIND_OF_0F_OPCODE = {0xA2: "cpuid", 0x32: "rdmsr", 0x30: "wrmsr"}
IMMEDIATE_PORT_OPCODES = b"\xe4\xe5\xe6\xe7"


class Instruction(NamedTuple):
    kind: Optional[str] = None   # the field of Figures that counts it, if any
    port: Optional[int] = None   # the immediate one
    repeats: bool = False        # a string instruction with a REP prefix
    count_mask: int = 0          # the part of RCX that a REP counts in
    known: bool = True           # False: its bytes are not in the image's file


def decode(code, is_64bit):
    """The Instruction that starts `code`."""
    prefixes = code[:len(code) - len(code.lstrip(LEGACY_PREFIXES))]
    rest = code[len(prefixes):]
    if is_64bit and rest and rest[0] in REX_PREFIXES:
        rest = rest[1:]
    if not rest:
        return Instruction(known=False)
    opcode, operand = rest[0], rest[1] if len(rest) > 1 else None
    if opcode == 0x0F:
        return Instruction(kind=KIND_OF_0F_OPCODE.get(operand))
    # CX alone changes where it counts, so that the mask of ECX serves it too.
    wide_count = is_64bit and b"\x67" not in prefixes
    return Instruction(
        kind=KIND_OF_OPCODE.get(opcode),
        port=operand if opcode in IMMEDIATE_PORT_OPCODES else None,
        repeats=opcode in STRING_OPCODES and (b"\xf3" in prefixes or b"\xf2" in prefixes),
        count_mask=(1 << 64) - 1 if wide_count else (1 << 32) - 1)


# --- The log ------------------------------------------------------------------


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


# --- Counting -----------------------------------------------------------------


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
