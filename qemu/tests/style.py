"""The style that tools can hold: C++ as clang-format writes it, Python as flake8 wants it, and what
.editorconfig says of every file."""

import os
import subprocess
from pathlib import Path
from typing import List

from cases import Case

_ROOT = Path(__file__).resolve().parent.parent.parent
# The first is macros for three languages; the second is kept as it was.
_OTHERWISE = ("boot/include/prologue/wishes.h", "qemu/kernels/first/", "qemu/templates/")
_COMMANDS_IN_PYTHON = tuple(f"linker/prologue-{name}" for name in (
    "bzimage", "elf32", "igvm", "pack", "picture"))
_MAKEFILES = ("Makefile",)


def tracked(*patterns: str) -> List[str]:
    said = subprocess.run(["git", "ls-files", *patterns], cwd=_ROOT, check=True, text=True,
                          stdout=subprocess.PIPE).stdout
    return [name for name in said.splitlines() if (_ROOT / name).is_file()]


def expect_silence(*command: str) -> None:
    done = subprocess.run(command, cwd=_ROOT, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0 and done.stdout == "", done.stdout[-2000:]


def cxx() -> None:
    files = [name for name in tracked("*.cpp", "*.h") if not name.startswith(_OTHERWISE)]
    expect_silence("clang-format", "--dry-run", "--Werror", *files)


def python() -> None:
    expect_silence("flake8", *tracked("*.py"), *_COMMANDS_IN_PYTHON)


def every_file() -> None:
    wrong = []
    for name in tracked():
        data = (_ROOT / name).read_bytes()
        if b"\0" in data:
            continue
        lines = data.decode("utf-8").split("\n")
        if lines[-1] != "":
            wrong.append(f"{name} does not end in a newline")
        # A page may show a makefile.
        tabs = name.endswith((".mk", ".md")) or os.path.basename(name) in _MAKEFILES
        for number, line in enumerate(lines, 1):
            if line != line.rstrip():
                wrong.append(f"{name}:{number} ends in white space")
            if line.startswith("\t") and not tabs:
                wrong.append(f"{name}:{number} begins with a tab")
    assert not wrong, "\n".join(wrong[:20])


CASES = [
    Case("style: C++ is as clang-format writes it", cxx),
    Case("style: Python is as flake8 wants it", python),
    Case("style: every file is as .editorconfig says", every_file),
]
