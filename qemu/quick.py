#!/usr/bin/python3
"""Runs the tests that the changed files feed, as `make check-quick` asks: those of a table below,
in its order, until the time is over. What was left out is said, and is for `make check`.

SINCE names a commit: what has changed since then counts, and what git does not know yet. Without
it that is HEAD, or where nothing has changed since HEAD, the commit before.
"""

import fnmatch
import os
import subprocess
import sys
import time
from typing import Iterator, List, NamedTuple

import rooms  # noqa: F401, the harness's folders
import cases
import check

_SECONDS = 100  # after which no further row is begun; a row takes twenty at most


class Fed(NamedTuple):
    """Files, as shell patterns, and the tests that they feed: a part of the suite, and patterns."""

    files: tuple
    part: str
    tests: tuple


TABLE = (
    Fed(("boot/*", "arch/*", "hosttests/*", "qemu/sevhost/model/*"), "host", ("*.*",)),
    Fed(("boot/*", "arch/*", "linker/*.ld", "qemu/kernels/*"), "qemu",
        ("boots: qemu*", "readme: *")),
    Fed(("arch/x86/sev*", "arch/x86/entry/*", "arch/x86/stage64/*", "qemu/sevhost/*"), "sev",
        ("sev: guest boots: snp*", "sev: guest boots: es*")),
    Fed(("arch/x86/entry/*", "arch/x86/stage*", "arch/x86/paging/*"), "qemu",
        ("modes: *", "bench: *")),
    Fed(("arch/x86/report/*", "arch/x86/entry/isr*"), "qemu", ("exceptions64: *",)),
    Fed(("boot/linux.cpp", "arch/x86/linux16/*", "linker/prologue-bzimage"), "qemu",
        ("linux: *",)),
    Fed(("boot/vmd.cpp", "boot/freebsd.cpp"), "qemu", ("bsd: *",)),
    Fed(("boot/igvm.cpp", "linker/prologue-igvm", "qemu/sevhost/*igvm*"), "sev", ("igvm: *",)),
    Fed(("boot/*", "arch/*"), "qemu", ("badinput: *",)),
    Fed(("linker/check/*",), "qemu", ("check: *", "blame: *")),
    Fed(("linker/prologue-picture",), "qemu", ("picture: *",)),
    Fed(("linker/*", "boot/include/*"), "qemu", ("link: *",)),
    Fed(("docs/*", "README.md", "boot/include/*"), "qemu", ("docs: *", "readme: *")),
    Fed(("qemu/*.py",), "qemu", ("architecture: *", "harness: *", "commands: *")),
)


def main() -> int:
    files = changed_files()
    if not files:
        print("nothing has changed")
        return 0
    end, worst = time.monotonic() + _SECONDS, 0
    for fed in rows_for(files):
        if time.monotonic() > end:
            print(f"left to `make check`: {', '.join(fed.tests)}")
            continue
        worst = max(worst, check.run(list(fed.tests), [fed.part]))
    return worst


def rows_for(files: List[str]) -> Iterator[Fed]:
    return (fed for fed in TABLE
            if any(fnmatch.fnmatch(name, pattern) for name in files for pattern in fed.files))


def changed_files() -> List[str]:
    since = os.environ.get("SINCE")
    unknown = git("ls-files", "--others", "--exclude-standard")
    changed = git("diff", "--name-only", since or "HEAD") + unknown
    return changed if changed or since else git("diff", "--name-only", "HEAD~1")


def git(*words: str) -> List[str]:
    return subprocess.run(["git", *words], cwd=cases.ROOT, check=True, text=True,
                          stdout=subprocess.PIPE).stdout.split("\n")[:-1]


if __name__ == "__main__":
    sys.exit(main())
