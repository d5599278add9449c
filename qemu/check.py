#!/usr/bin/python3
"""Runs the parts of the test suite that are named, and closes with `N passed, N failed`.

    check.py [--test PATTERN] host|qemu|sev...

Without --test the pattern is TEST of the environment; JOBS there is how many boots run at once.
"""

import argparse
import fnmatch
import os
import re
import subprocess
import sys
from typing import Iterator, List, Tuple

import rooms  # noqa: F401, the harness's folders
import cases

_SUMMARY = re.compile(r"^(\d+) passed, (\d+) failed$")


def lines_of(command: list) -> Iterator[str]:
    """What a command prints, as it comes; then `status N`."""
    process = subprocess.Popen(
        [str(word) for word in command], cwd=cases.ROOT, text=True, errors="replace",
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    yield from (line.rstrip("\n") for line in process.stdout)
    yield f"status {process.wait()}"


def google_tests(patterns: List[str]) -> Tuple[int, int]:
    # A boot's name has a colon, and GoogleTest would take it for two patterns.
    wanted = ":".join(pattern for pattern in patterns if ":" not in pattern)
    if not wanted:
        return 0, 0
    command = [cases.BUILD / "hosttests", "--gtest_brief=1", f"--gtest_filter={wanted}"]
    passed = failed = 0
    for line in lines_of(command):
        if match := re.match(r"\[  PASSED  \] (\d+) test", line):
            passed = int(match[1])
        elif match := re.match(r"\[  FAILED  \] (\S+)( \(\d+ ms\))?$", line):
            failed += match[2] is not None
        elif line.startswith("status ") and line != "status 0" and not failed:
            failed = 1  # a sanitizer, or a crash
        if not line.startswith("status 0"):
            print(line, flush=True)
    return passed, failed


def fuzzers(patterns: List[str]) -> Tuple[int, int]:
    passed = failed = 0
    *names, _ = lines_of(["make", "-s", "fuzz-names"])
    for name in names:
        if not any(fnmatch.fnmatch(f"fuzz: {name}", pattern) for pattern in patterns):
            continue
        output = list(
            lines_of(["make", "-s", f"BUILD={cases.BUILD_OF_MAKE}", f"fuzz-short-{name}"]))
        good = output[-1] == "status 0"
        passed, failed = passed + good, failed + (not good)
        print(f"{'ok' if good else 'FAIL'} fuzz: {name}", flush=True)
        if not good:
            print("\n".join(output[-40:]))
    return passed, failed


def counting(patterns: List[str]) -> Tuple[int, int]:
    """The counter's own tests: only as a whole."""
    if "*" not in patterns:
        return 0, 0
    return tally(lines_of([sys.executable, "qemu/measuring/count_test.py"]))


def boots(patterns: List[str], *which: str) -> Tuple[int, int]:
    chosen = [f"--test={pattern}" for pattern in patterns]
    return tally(lines_of([sys.executable, "qemu/runner.py", *which, *chosen]))


def sev_guests(patterns: List[str]) -> Tuple[int, int]:
    return boots(patterns, "--sev")


def tally(lines) -> Tuple[int, int]:
    """Counts lines that begin with ok and FAIL; a runner's own summary is for the end."""
    passed = failed = 0
    for line in lines:
        passed += line.startswith("ok ")
        failed += line.startswith("FAIL ")
        if line.startswith("status "):
            failed += line != "status 0" and not failed
        elif not _SUMMARY.match(line):
            print(line, flush=True)
    return passed, failed


PARTS = {"host": (google_tests, fuzzers, counting), "qemu": (boots,), "sev": (sev_guests,)}


def run(patterns: List[str], parts: List[str]) -> int:
    """Runs what matches; the status is 0 only if something was run and all passed."""
    os.environ["BUILD"] = str(cases.BUILD)
    totals = [part(patterns) for name in parts for part in PARTS[name]]
    passed, failed = (sum(column) for column in zip(*totals))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--test", metavar="PATTERN", default=os.environ.get("TEST") or "*",
                        help="as the shell has them")
    parser.add_argument("parts", nargs="+", choices=list(PARTS))
    arguments = parser.parse_args()
    return run([arguments.test], arguments.parts)


if __name__ == "__main__":
    sys.exit(main())
