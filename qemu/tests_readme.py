"""What the README says a newcomer should type, typed."""

import re
import shlex
import subprocess
import time
from pathlib import Path

import cases
import machine
from cases import Case

_README = (cases.ROOT / "README.md").read_text()
_SECTION = _README[_README.index("## A kernel in twenty lines"):_README.index("## What is supported")]


def twenty_lines_boot() -> None:
    """The kernel, its two commands and QEMU's, as they stand there."""
    here = cases.scratch_directory()
    for name, target in (("boot", cases.ROOT / "boot"), ("linker", cases.ROOT / "linker"),
                         ("build", cases.BUILD)):
        (here / name).symlink_to(target)
    source = re.search(r"```c\n(.*?)```", _SECTION, re.DOTALL)[1]
    assert len(source.strip().split("\n")) <= 21, "more than twenty lines"
    (here / "hello.c").write_text(source)
    compile_it, link_it, boot_it = commands()
    for command in (compile_it, link_it):
        result = subprocess.run(command, cwd=here, capture_output=True, text=True, timeout=60)
        assert result.returncode == 0, result.stderr
    assert "pvh: hello, kernel" in spoken(boot_it, here, "hello, kernel"), boot_it


def commands() -> list:
    """The commands of the section: indented, and continued by a backslash."""
    lines = [line[4:] for line in _SECTION.split("\n") if line.startswith("    ")]
    fence = _SECTION.split("```")[1].split("\n")
    text = "\n".join(line for line in lines if "    " + line not in fence)
    return [shlex.split(line) for line in text.replace("\\\n", " ").split("\n") if line.strip()]


def spoken(command: list, here: Path, wanted: str) -> str:
    """What a machine that never ends says, until it has said what is wanted."""
    output = here / "serial"
    with open(output, "wb") as sink:
        process = subprocess.Popen(command, cwd=here, stdin=subprocess.DEVNULL, stdout=sink,
                                   stderr=subprocess.STDOUT)
        end = time.monotonic() + machine.wall_limit(20)
        while time.monotonic() < end and wanted not in machine.read_text(output):
            time.sleep(0.05)
        process.kill()
        process.wait()
    return machine.read_text(output)


def fatal_lines_are_explained() -> None:
    source = (cases.ROOT / "boot" / "errors.h").read_text()
    sentences = re.findall(r'X\(\w+,\s*"([^"]*)"\)', source)
    report = (cases.ROOT / "docs" / "report.md").read_text()
    missing = [sentence for sentence in sentences if sentence not in report]
    assert len(sentences) > 30 and not missing, missing


CASES = [
    Case("readme: every fatal line is explained in docs/report.md", fatal_lines_are_explained),
    Case("readme: the kernel in twenty lines boots", twenty_lines_boot),
]
