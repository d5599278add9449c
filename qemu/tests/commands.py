"""What a developer types beside the boots: names of tests that the shell minds, the quick check,
the database for clangd."""

import json
import os
import subprocess

import cases
import quick
from cases import Case


def make(target: str, **settings: str) -> subprocess.CompletedProcess:
    return subprocess.run(["make", "-s", f"BUILD={cases.BUILD_OF_MAKE}", target], cwd=cases.ROOT,
                          text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                          env={**os.environ, **settings})


def a_name_with_an_apostrophe() -> None:
    result = subprocess.run(["make", "-s", "-n", f"BUILD={cases.BUILD_OF_MAKE}", "check-host",
                             "TEST=it's a name"], cwd=cases.ROOT, text=True, check=False,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert result.returncode == 0 and "it's a name" not in result.stdout, result.stdout
    printed = make("check-host", TEST="Debian's ? \"$HOME\" `false`").stdout
    assert printed.strip().splitlines()[-2].endswith("0 passed, 0 failed"), printed


def rows_of_changed_files() -> None:
    fed = [test for row in quick.rows_for(["boot/linux.cpp"]) for test in row.tests]
    assert "linux: *" in fed and "badinput: *" in fed and "check: *" not in fed, fed
    assert not list(quick.rows_for(["LICENSE"]))


def every_row_feeds_tests() -> None:
    """A row names files that there are; tests without a colon are the host's."""
    known = quick.git("ls-files")
    for row in quick.rows_for(known):
        assert row.part in ("host", "qemu", "sev"), row
    assert len(list(quick.rows_for(known))) == len(quick.TABLE), "a row's files are not there"


def compile_commands() -> None:
    result = make("compile_commands.json")
    assert result.returncode == 0, result.stdout
    path = cases.ROOT / "compile_commands.json"
    entries = json.loads(path.read_text())
    files = {entry["file"] for entry in entries}
    for wanted in ("boot/linux.cpp", "arch/x86/entry/pvh.S", "hosttests/boot/pvh_test.cpp"):
        assert wanted in files, wanted
    environments = [entry for entry in entries if entry["file"] == "boot/image.cpp"]
    assert len(environments) >= 3, "32-bit, 64-bit and the host's"


CASES = [
    Case("commands: TEST= takes a name with an apostrophe", a_name_with_an_apostrophe),
    Case("commands: the quick check takes the rows that changed files feed", rows_of_changed_files),
    Case("commands: each row of the quick check has files", every_row_feeds_tests),
    Case("commands: compile_commands.json has a file's every environment", compile_commands),
]
