"""What prologue-bzimage makes of a kernel: a bzImage that is a PE image too."""

import subprocess
import sys
from pathlib import Path

import cases

TOOL = cases.ROOT / "linker" / "prologue-bzimage"


def bzimage(kernel: Path, *options: str) -> Path:
    path = cases.scratch_directory() / "bzImage"
    command = [sys.executable, TOOL, "--setup", cases.BUILD / "prologue-linux16.bin", *options,
               kernel, path]
    subprocess.run(command, check=True)
    return path
