#!/usr/bin/python3
"""Runs the boot tests: every case of every file in qemu/tests, a line each.

BUILD names the directory of the kernels; --test picks cases by a shell pattern or a regular
expression that matches anywhere in the name. With --sev those in qemu/tests/sev are run, and no
others.
"""

import argparse
import fnmatch
import importlib
import os
import re
import sys
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


@dataclass
class Verdict:
    case: Case
    journal: Journal
    reason: Optional[str] = None  # None: the case passed


def main() -> int:
    options = parse_options()
    chosen = [case for case in collect(options.sev) if chosen_by(options.test, case.name)]
    passed = 0
    with ThreadPoolExecutor(options.jobs) as pool:
        for verdict in pool.map(judge, chosen):
            report(verdict)
            passed += verdict.reason is None
    failed = len(chosen) - passed
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--test", metavar="PATTERN", default="*")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--sev", action="store_true")
    return parser.parse_args()


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
    journal = cases.start_journal()
    try:
        case.function()
    except AssertionError as error:
        return Verdict(case, journal, f"{error} [{place(error)}]".strip())
    except Exception as error:
        traceback.print_exception(error)
        return Verdict(case, journal, f"{type(error).__name__}: {error}")
    return Verdict(case, journal)


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


if __name__ == "__main__":
    sys.exit(main())
