#!/usr/bin/python3
"""Runs the boot tests: every case of every file in qemu/tests, a line each.

BUILD names the directory of the kernels; --test picks cases by a shell pattern or a regular
expression that matches anywhere in the name, and may be given more than once. With --sev those in
qemu/tests/sev are run, and no others; with --fail-fast one after the other, up to the first that
fails. The slowest are listed at the end. With --serve each line that comes in is
a call's arguments, run in a process of its own that has the tables already; its last line is the
status.
"""

import argparse
import fnmatch
import importlib
import os
import re
import shlex
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional

import rooms  # noqa: F401, the harness's folders
import cases
from cases import Case, Journal

_HERE = Path(__file__).resolve().parent
_TESTS = _HERE / "tests"
_TAIL_LINES = 20
_SLOWEST = 20


@dataclass
class Verdict:
    case: Case
    journal: Journal
    seconds: float
    reason: Optional[str] = None  # None: the case passed


def main() -> int:
    options = parse_options()
    return serve() if options.serve else run(options)


def serve() -> int:
    collect(True)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            status = run(parse_options(shlex.split(line)))
            sys.stdout.flush()
            os._exit(status)  # what is to be tidied up is the server's
        print(f"status {os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}", flush=True)
    return 0


def run(options: argparse.Namespace) -> int:
    chosen = [case for case in collect(options.sev)
              if any(chosen_by(pattern, case.name) for pattern in options.test or ["*"])]
    verdicts = []
    with ThreadPoolExecutor(options.jobs) as pool:
        for verdict in (map if options.fail_fast else pool.map)(judge, chosen):
            report(verdict)
            verdicts.append(verdict)
            if options.fail_fast and verdict.reason is not None:
                break
    passed = sum(verdict.reason is None for verdict in verdicts)
    failed = len(verdicts) - passed
    if len(chosen) > _SLOWEST:
        list_slowest(verdicts)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def parse_options(arguments: Optional[List[str]] = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--test", metavar="PATTERN", action="append")
    parser.add_argument("--jobs", type=int, default=int(os.environ.get("JOBS") or os.cpu_count()))
    parser.add_argument("--sev", action="store_true")
    parser.add_argument("--fail-fast", action="store_true")
    parser.add_argument("--serve", action="store_true")
    return parser.parse_args(arguments)


def collect(sev: bool) -> List[Case]:
    """The cases of the SEV host's tables, or of all others, in order; names are unique."""
    package = "tests.sev" if sev else "tests"
    names = sorted(path.stem for path in _HERE.joinpath(*package.split(".")).glob("[!_]*.py"))
    found = [case for name in names
             for case in importlib.import_module(f"{package}.{name}").CASES]
    seen = set()
    for case in found:
        assert case.name not in seen, f"two cases are named {case.name!r}"
        seen.add(case.name)
    return found


def chosen_by(pattern: str, name: str) -> bool:
    if fnmatch.fnmatchcase(name, pattern):
        return True
    try:
        return re.search(pattern, name) is not None
    except re.error:  # a shell pattern need not be a regular expression
        return False


def judge(case: Case) -> Verdict:
    """Runs one case; whatever it raises is its failure."""
    journal, started, reason = cases.start_journal(), time.monotonic(), None
    try:
        case.function()
    except AssertionError as error:
        reason = f"{error} [{place(error)}]".strip()
    except Exception as error:
        traceback.print_exception(error)
        reason = f"{type(error).__name__}: {error}"
    return Verdict(case, journal, time.monotonic() - started, reason)


def place(error: Exception) -> str:
    """The line of the test that it came out of."""
    frames = traceback.extract_tb(error.__traceback__)
    of_tests = [f for f in frames if _TESTS in Path(f.filename).parents] or frames
    where = of_tests[-1]
    return f"{os.path.relpath(where.filename, cases.ROOT)}:{where.lineno}: {where.line}"


def report(verdict: Verdict) -> None:
    name = verdict.case.name
    for text in verdict.journal.notes:
        print(f"note {name}: {text}")
    if verdict.reason is None:
        print(f"ok {name}", flush=True)
        return
    print(f"FAIL {name}: {verdict.reason}")
    if verdict.journal.results:
        for line in verdict.journal.results[-1].serial.splitlines()[-_TAIL_LINES:]:
            print(f"  | {line}")
    sys.stdout.flush()


def list_slowest(verdicts: List[Verdict]) -> None:
    for verdict in sorted(verdicts, key=lambda each: -each.seconds)[:_SLOWEST]:
        print(f"slow {verdict.seconds:.1f} s: {verdict.case.name}")


if __name__ == "__main__":
    sys.exit(main())
