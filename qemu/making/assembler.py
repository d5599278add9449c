"""Machine code from a few lines of AT&T assembly."""

import functools
import os
import subprocess

import cases

_CLANG = os.environ.get("CLANG", "clang")


@functools.lru_cache(maxsize=None)
def assemble(source: str, bits: int) -> bytes:
    """The bytes of code that stands alone; `bits` is 32 or 64. Statements end in `;` or a line."""
    directory = cases.scratch_directory()
    target = {32: "i386", 64: "x86_64"}[bits]
    subprocess.run(
        [_CLANG, f"--target={target}-none-elf", "-c", "-x", "assembler", "-", "-o", "code.o"],
        cwd=directory,
        input=source + "\n",
        text=True,
        check=True,
    )
    subprocess.run(
        ["llvm-objcopy", "-O", "binary", "-j", ".text", "code.o", "code.bin"],
        cwd=directory,
        check=True,
    )
    return (directory / "code.bin").read_bytes()
