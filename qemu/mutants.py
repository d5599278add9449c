#!/usr/bin/python3
"""Changes the SEV path line by line, and tells which changes no test notices.

    mutants.py [--files PATTERN,...] [--sample N] [--most N] [--jobs N] [--stages N]
               [--list] [--fresh]

A mutant is one change of one line: a condition that is dropped or negated, a comparison or a
constant that is another, a statement or an instruction that is removed, a jump that is inverted.
Each is built in a copy of the tree, and tried in three stages: by the host's tests, if those
compile the file, and by two kernels under the SEV host that come by nearly everything; by more
boots; by the sweeps. The first that fails has killed it. What lives through all stages that are
asked for is in docs/mutants.md with a reason, or the status is 1. Results are kept in
BUILD/mutants, by the text of the file, so that a run goes on where the last one was ended.
"""

import argparse
import fnmatch
import hashlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from typing import Iterator, List, Optional

_ROOT = Path(__file__).resolve().parent.parent
_BUILD = _ROOT / os.environ.get("BUILD", "build")
_HOME = _BUILD / "mutants"
_REASONS = _ROOT / "docs/mutants.md"

_WHOLE = ("arch/x86/sev/*", "arch/x86/sev32/*", "arch/x86/sev64/*", "boot/confidential.cpp")
_BRANCHES = ("arch/x86/entry/entry32.S", "arch/x86/entry/entry64.S", "arch/x86/entry/isr32.inc",
             "arch/x86/entry/isr64.S", "arch/x86/entry/long_mode.S")
_IS_SEV = re.compile(r"sev|SEV|GHCB|VC_|isr32_29|isr32_13")
_LINES_BEHIND = 5  # of a line of an entry that is about SEV

_KERNELS = ("demo-every", "sev_calls")  # in which all of the library is
_MORE_KERNELS = ("demo", "demo-best", "demo-best-every", "demo-mark", "demo-nosev",
                 "demo-nosev-every", "demo-required", "demo-restricted", "demo-snponly", "forms")
_HOST_TESTS = ":".join(f"{suite}.*" for suite in (
    "Accept", "AcceptMemory", "Confidential", "CpuidPage", "Decode", "Ghcb", "MmioTest",
    "MsrProtocol", "Registers", "SevFeatures", "VcTest", "VcWalk", "XsaveTest"))
# The quick ones first. A stage is one call of the runner; it ends with the first failure.
_FIRST = (
    "sev: guest kernel calls all of prologue/sev.h, (es|snp)",
    "sev: guest boots: pvh, 4 levels, (es|snp), C-bit 51",
)
# Of a file: what comes by where those do not.
_HIDDEN = ("sev: guest finds out that it is hidden: {}, gp-hides-sev:(1|2), es",
           "sev: guest of a kernel that (must|wishes)")
_BACK = ("sev: guest boots: pvh64, 5 levels, es, C-bit 51",
         "sev: guest boots: linux64, 4 levels, snp, C-bit 47",
         "sev proof: information above 4 GiB .*, es", "sev: guest has no gate .* pvh64, vector 4$",
         "sev: guest withstands a host that turns hostile on its way to 32-bit mode: nmi")
_OF_FILE = {
    "leave_long_mode.S": _BACK,
    "long_mode.S": (*(pattern.format("pvh64") for pattern in _HIDDEN), *_BACK),
    "start_sev32.S": ("sev: guest boots: pvh, (4|5) levels, sev, C-bit 51", "sev proof: ",
                      "sev: guest reports registers and no memory: at sev_base",
                      "sev: guest has no gate between its modes: pvh, vector 4$",
                      "sev: guest of a kernel that must be one: .*sev$"),
    "start_sev64.S": ("sev: guest boots: (pvh|pvh64), 5 levels, (sev|es), C-bit 51",
                      "sev: guest ends: (breakpoint|rdpmc|nested), es", "sev: guest goes on: "),
    "entry32.S": (*(pattern.format("pvh") for pattern in _HIDDEN),
                  "sev: guest ends where its memory is taken: page-zeroed"),
    "isr32.inc": (*(pattern.format("pvh") for pattern in _HIDDEN),
                  "sev: guest ends where its memory is taken: page-zeroed",
                  "sev: guest withstands a host that turns hostile later: (ud|vc)-at-step, es"),
    "sev64.cpp": ("sev: guest boots behind a firmware.*51",
                  "sev: guest accepts memory up to a mark",
                  "sev: guest (shares what it has|shows what it shares|"
                  "kernel ends itself, (sev|es))",
                  "sev: guest ends where memory begins at the C-bit",
                  "sev proof: pages are flushed",
                  "sev: guest ends where it runs below VMPL 0"),
    "kernel_calls.cpp": ("sev: guest shares what it has", "sev proof: pages are flushed"),
    "sev32.cpp": ("sev: guest boots: (pvh|linux32), 5 levels, (es|snp), C-bit 47",
                  "sev: guest boots with 2 MiB pages, es", "sev: guest ends behind a firmware",
                  "sev: guest exits: "),
}
_LOGIC = (
    "sev: guest: each instruction's every form, forms, (es|snp)",
    "sev: guest ends: ",
    "sev: guest goes on: ",
)
_START = (
    "sev: guest boots: (linux32|linux64), 4 levels, snp, C-bit 47",
    "sev: guest boots: pvh64, 5 levels, (sev|es), C-bit 51",
    "sev: guest boots with 2 MiB pages, es",
    "sev: guest ends where memory begins at the C-bit, (es|sev)",
    "sev: guest exits: ",
    "sev: guest has no gate between its modes: pvh(64)?, vector (4|29)",
    "sev: guest finds out that it is hidden: pvh(64)?, gp-hides-sev:(1|2), es",
    "sev: guest of a kernel that (must|wishes)",
    "sev: guest boots on OpenBSD's vmm: vmd, 4 levels",
    "sev: guest boots after another",
    "sev: guest (boots|ends) behind a firmware.*(51|table|blob|page)$",
    "sev: guest (ends where it runs below|accepts memory up to|"
    "ends where its memory is taken: page-z)",
    "sev: guest (is told once|takes large|shares what it has|kernel ends itself)",
    "sev: guest shows what it shares, and the host sees it, (es|snp)",
    "sev: guest withstands a host that turns hostile on its way",
    "sev: guest withstands a host that turns hostile later: (vc|nmi)-at-step, es",
    "sev: guest withstands events in the handlers of events: vc-storm, es",
    "sev: guest withstands hostile hosts: (detected|harmless), ",
)
# An entry is a plain machine's too.
_PLAIN = ("boots: QEMU pvh demo 16M qemu64",
          "exceptions32: (#UD is reported|a missing SEV_STATUS)")
_STAGES = 3
_LAST = ("sev sweep: every behaviour ", "sev sweep: every event ")
_HOST_SECONDS, _GUEST_SECONDS = 60, 5  # more than either takes
_WORDS = 120  # of a failure

_KILLED, _SURVIVES, _SAME, _UNBUILT = "killed", "survives stage", "same code", "does not build"
_INVERSE = {a: b for pair in (("e", "ne"), ("z", "nz"), ("c", "nc"), ("s", "ns"), ("b", "ae"),
                              ("a", "be"), ("l", "ge"), ("g", "le")) for a, b in (pair, pair[::-1])}


@dataclass(frozen=True)
class Mutant:
    path: str
    line: int
    kind: str
    old: str
    new: str
    text_hash: str

    @property
    def key(self) -> str:
        return f"{self.path}:{self.text_hash}:{self.line}:{self.kind}:{self.new.strip()}"

    def __str__(self) -> str:
        return f"{self.path}:{self.line + 1}: {self.kind}: `{self.old.strip()}`"


def mutants_of(path: str) -> Iterator[Mutant]:
    text = (_ROOT / path).read_text()
    text_hash = hashlib.sha1(text.encode()).hexdigest()[:12]
    change = changes_of_assembly if path.endswith((".S", ".inc")) else changes_of_cpp
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if path in _BRANCHES and not any(
                _IS_SEV.search(near) for near in lines[max(0, number - _LINES_BEHIND):number + 1]):
            continue
        for kind, new in change(line):
            if new != line:
                yield Mutant(path, number, kind, line, new, text_hash)


def changes_of_cpp(line: str) -> Iterator[tuple]:
    code = line.split("//")[0].rstrip()
    if not code.strip() or code.lstrip().startswith(("#", "/*", "*", "namespace", "static_assert",
                                                     "using", "template", "extern")):
        return
    if match := re.match(r"^(\s*(?:\} else )?(?:if|while) )\((.*)\)( \{)?$", code):
        head, condition, tail = match[1], match[2], match[3] or ""
        yield "condition negated", f"{head}(!({condition})){tail}"
        yield "condition dropped", f"{head}(({condition}) && false){tail}"
    for old, new in ((" == ", " != "), (" != ", " == "), (" < ", " <= "), (" <= ", " < "),
                     (" > ", " >= "), (" >= ", " > "), (" && ", " || "), (" || ", " && ")):
        for match in re.finditer(re.escape(old), code):
            yield f"{old.strip()} is {new.strip()}", code[:match.start()] + new + code[match.end():]
    for match in re.finditer(r"(?<![\w.])(0x[0-9a-fA-F]+|\d+)(?![\w.])", code):
        other = str(int(match[0], 0) ^ 1)
        yield "constant changed", code[:match.start()] + other + code[match.end():]
    if re.match(r"^\s*return [^;]+;$", code) and "{" not in code:
        value = code.strip()[len("return "):-1]
        if re.search(r"==|!=|&&|\|\||^!| [<>]=? ", value):
            yield "result negated", code.replace(value, f"!({value})")
    if re.match(r"^\s*[\w:.>\-\[\]()*&, ]+(\(.*\)| [|&^+-]?= .+|\+\+|--);$", code) and not re.match(
            r"^\s*(return|break|const|constexpr|auto|uint\w+|unsigned|bool|static|asm)\b", code):
        yield "statement removed", ";"


def changes_of_assembly(line: str) -> Iterator[tuple]:
    code = line.split("//")[0].rstrip()
    match = re.match(r"^(\s*(?:\w+:)?\s+)([a-z]\w*)\b(.*)$", code)
    if not match or match[2] in ("rep", "globl"):
        return
    head, operation, operands = match.groups()
    yield "instruction removed", head
    if operation.startswith("j") and operation[1:] in _INVERSE:
        yield "jump inverted", f"{head}j{_INVERSE[operation[1:]]}{operands}"
    for constant in re.finditer(r"\$(0x[0-9a-fA-F]+|\d+|\w+|\([^()]*\))(?=,|$)", operands):
        changed = f"$({constant[1]}) ^ 1"
        yield "constant changed", (head + operation + operands[:constant.start()] + changed +
                                   operands[constant.end():])


class Tree:
    """A copy of the tree that is built and tried in."""

    def __init__(self, number: int, stages: int):
        self.path = _HOME / f"tree{number}"
        self.stages = stages
        self.environment = dict(os.environ, BUILD="build", GUEST_SECONDS=str(_GUEST_SECONDS))
        files = subprocess.run(["git", "ls-files"], cwd=_ROOT, check=True, text=True,
                               stdout=subprocess.PIPE).stdout.split("\n")
        for name in filter(None, files):
            source, to = _ROOT / name, self.path / name
            if source.is_file() and not (to.is_file() and to.read_bytes() == source.read_bytes()):
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, to)  # as new: what was built of another is not
        # The host is itself on Prologue, and stays as it is.
        if self.make("sevhost", "build/hosttests", "build/prologue-linux16.bin",
                     "build/prologue-efi.bin", *self.kernels(), *self.kernels(_MORE_KERNELS)) != 0:
            sys.exit(f"{self.path} does not build")
        self.honest = self.code()

    @staticmethod
    def kernels(names: tuple = _KERNELS) -> list:
        return [f"build/{name}.elf" for name in names]

    def make(self, *targets: str) -> int:
        return self.call("make", "-s", "CLANGXX=clang++ -w", "HOST_CXX=clang++ -w", *targets)[0]

    def call(self, *command: str) -> tuple:
        done = subprocess.run(command, cwd=self.path, env=self.environment, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, errors="replace", check=False)
        return done.returncode, done.stdout

    def code(self) -> str:
        """What the mutant makes of the library."""
        return hashlib.sha1(b"".join(
            subprocess.run(["llvm-objcopy", "-O", "binary", self.path / f"build/{name}.elf", "-"],
                           check=True, stdout=subprocess.PIPE).stdout
            for name in _KERNELS)).hexdigest()

    def judge(self, mutant: Mutant) -> str:
        path = self.path / mutant.path
        lines = path.read_text().split("\n")
        lines[mutant.line] = mutant.new
        try:
            path.write_text("\n".join(lines))
            return self.verdict(mutant)
        finally:
            shutil.copy(_ROOT / mutant.path, path)

    def verdict(self, mutant: Mutant) -> str:
        if "/sev/" in mutant.path or mutant.path.startswith("boot/"):
            if self.make("build/hosttests") != 0:
                return _UNBUILT
            status, said = self.call("timeout", str(_HOST_SECONDS), "build/hosttests",
                                     "--gtest_brief=1", f"--gtest_filter={_HOST_TESTS}",
                                     "--gtest_fail_fast")
            if status != 0:
                failed = re.search(r"\[  FAILED  \] (\S+)", said)
                return f"{_KILLED} by {failed[1] if failed else 'a sanitizer, or the clock'}"
        if self.make(*self.kernels()) != 0:
            return _UNBUILT
        return _SAME if self.code() == self.honest else self.boot(mutant.path)

    def boot(self, path: str) -> str:
        logic = "/sev/" in path and path.endswith(".cpp")
        of_file = _OF_FILE.get(Path(path).name, ())
        stages = (_FIRST, of_file), (_LOGIC if logic else _START,), (_LAST,)
        for stage in (tests for stage in stages[:self.stages] for tests in stage if tests):
            if stage is not _FIRST and self.make(*self.kernels(_MORE_KERNELS)) != 0:
                return _UNBUILT
            if failed := self.first_failure("--sev", *stage):
                return f"{_KILLED} by {failed}"
            if stage is of_file and "/entry/" in path and (failed := self.first_failure(*_PLAIN)):
                return f"{_KILLED} by {failed}"
        return f"{_SURVIVES} {self.stages}"

    def first_failure(self, *patterns: str) -> str:
        status, said = self.call(
            sys.executable, "qemu/runner.py", "--fail-fast",
            *(pattern if pattern == "--sev" else f"--test={pattern}" for pattern in patterns))
        failed = re.search(rf"^FAIL (.{{,{_WORDS}}})", said, re.MULTILINE)
        return failed[1] if failed else "" if status == 0 else "the runner"


class Results:
    def __init__(self, fresh: bool):
        self.path = _HOME / "results.json"
        self.lock = threading.Lock()
        known = self.path.exists() and not fresh
        self.verdicts = json.loads(self.path.read_text()) if known else {}

    def note(self, mutant: Mutant, verdict: str) -> None:
        with self.lock:
            self.verdicts[mutant.key] = verdict
            self.path.write_text(json.dumps(self.verdicts, indent=1))
            print(f"{verdict}: {mutant}", flush=True)


def reasons() -> List[tuple]:
    """File, change and line of each survivor that has its reason in the document."""
    if not _REASONS.exists():
        return []
    return re.findall(r"^\| `([^`]+)` \| ([^|]+?) \| `(.+?)` \| \S.* \|$", _REASONS.read_text(),
                      re.MULTILINE)


def has_reason(mutant: Mutant, known: List[tuple]) -> bool:
    return (mutant.path, mutant.kind, mutant.old.strip()) in known


def choose(options: argparse.Namespace) -> List[Mutant]:
    files = subprocess.run(["git", "ls-files", *_WHOLE, *_BRANCHES], cwd=_ROOT, check=True,
                           text=True, stdout=subprocess.PIPE).stdout.split()
    wanted = [path for pattern in options.files.split(",") for path in files
              if fnmatch.fnmatch(path, pattern)]
    all_of_them = [mutant for path in dict.fromkeys(wanted) for mutant in mutants_of(path)]
    if options.sample:
        chosen = random.Random(options.seed).sample(all_of_them,
                                                    min(options.sample, len(all_of_them)))
        return chosen
    return all_of_them


def try_all(chosen: List[Mutant], options: argparse.Namespace, results: Results) -> None:
    known = (_KILLED, _SAME, _UNBUILT,
             *(f"{_SURVIVES} {stage}" for stage in range(options.stages, _STAGES + 1)))
    todo = [mutant for mutant in chosen
            if not results.verdicts.get(mutant.key, "?").startswith(known)][:options.most]
    print(f"{len(chosen)} mutants, {len(todo)} to be tried", flush=True)
    trees: Queue = Queue()
    for number in range(min(options.jobs, len(todo))):
        tree = Tree(number, options.stages)
        if number == 0 and (failure := tree.boot("")).startswith(_KILLED):
            sys.exit(f"the tests fail without a change: {failure}")
        trees.put(tree)

    def try_one(mutant: Mutant) -> None:
        tree = trees.get()
        results.note(mutant, tree.judge(mutant))
        trees.put(tree)

    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(try_one, todo))


def conclude(chosen: List[Mutant], results: Results) -> int:
    told = [(mutant, results.verdicts[mutant.key]) for mutant in chosen
            if mutant.key in results.verdicts]
    known = reasons()
    survivors = [mutant for mutant, verdict in told if verdict.startswith(_SURVIVES)]
    without = [mutant for mutant in survivors if not has_reason(mutant, known)]
    for mutant in without:
        print(f"survives without a reason: {mutant} -> `{mutant.new.strip()}`")
    count = {kind: sum(verdict.startswith(kind) for _, verdict in told)
             for kind in (_KILLED, _SAME, _UNBUILT)}
    print(f"{len(told)} mutants: {count[_KILLED]} killed, {len(survivors)} survive, "
          f"{len(survivors) - len(without)} of them with a reason; {count[_SAME]} are the same "
          f"code, {count[_UNBUILT]} do not build; {len(chosen) - len(told)} not tried")
    return 1 if without else 0


def main(arguments: Optional[List[str]] = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", metavar="PATTERN,...", default="*", help="in this order")
    parser.add_argument("--sample", type=int, default=0, help="so many of them, at random")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--most", type=int, default=None, help="tries no more this time")
    parser.add_argument("--jobs", type=int, default=int(os.environ.get("JOBS") or 2))
    parser.add_argument("--stages", type=int, default=_STAGES, help="the first so many of three")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--fresh", action="store_true", help="forgets what was found")
    options = parser.parse_args(arguments)
    chosen = choose(options)
    if options.list:
        print("\n".join(map(str, chosen)))
        return 0
    _HOME.mkdir(parents=True, exist_ok=True)
    results = Results(options.fresh)
    try_all(chosen, options, results)
    return conclude(chosen, results)


if __name__ == "__main__":
    sys.exit(main())
