"""Links kernels as their authors might: the linkers, compilers and flags that are tried, and the
script of docs/kernel-contract.md."""

import os
import re
import subprocess
from pathlib import Path
from typing import Sequence

import cases

LIBRARY = cases.BUILD / "libprologue.a"
PIE_OBJECTS = [cases.BUILD / f"kernels/{name}-pie.o" for name in ("state-wishless", "console")]
INCLUDE = f"-I{cases.ROOT / 'boot/include'}"
SCRIPTS = ("-L", cases.ROOT / "linker")
GNU, LLD = "ld.bfd", os.environ.get("LLD") or "ld.lld"
LINKERS = {"lld": LLD, "GNU ld": GNU}
CLANG = [os.environ.get("CLANG") or "clang", "--target=x86_64-none-elf"]
CLANGXX = [os.environ.get("CLANGXX") or "clang++", "--target=x86_64-none-elf", "-std=c++20"]
GCC = ["gcc"]
PLAIN = ["-ffreestanding", "-mno-red-zone", "-fno-stack-protector", "-O2", "-Wall", "-Wextra",
         "-Werror", INCLUDE]

_CONTRACT = (cases.ROOT / "docs/kernel-contract.md").read_text()
OWN_SCRIPT = re.search(r"```ld\n(ENTRY.*?)```", _CONTRACT, re.DOTALL)[1]
ORPHANS = re.search(r"```ld\n( *\.plt .*?)```", _CONTRACT, re.DOTALL)[1]


def run(*command) -> subprocess.CompletedProcess:
    return subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          timeout=60, check=False)


def do(*command) -> str:
    result = run(*command)
    assert result.returncode == 0, f"{' '.join(map(str, command))}\n{result.stderr}"
    return result.stdout


def script(text: str) -> Path:
    return cases.scratch_file(text.encode(), "kernel.ld")


def own_script() -> Path:
    return script(OWN_SCRIPT)


def compiled(source: str, *command, name: str = "source.c") -> Path:
    path = cases.scratch_file(source.encode(), name)
    do(*command, "-c", path, "-o", path.with_suffix(".o"))
    return path.with_suffix(".o")


def link(linker: str, ld: Path, objects: Sequence = PIE_OBJECTS, *flags,
         static: bool = True) -> Path:
    kernel = cases.scratch_directory() / "kernel.elf"
    do(linker, *["-static"] * static, "-z", "max-page-size=4096", *flags, *SCRIPTS, "-T", ld, "-o",
       kernel, *objects, LIBRARY)
    return kernel


DEFAULT = Path("prologue.ld")
