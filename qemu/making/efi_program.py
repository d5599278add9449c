"""EFI programs of the tests' own, compiled where they are wanted."""

import os
import subprocess
from pathlib import Path

import cases


def efi_program(source: str, *defines: str) -> Path:
    """One of qemu/kernels, with these macros."""
    directory = cases.scratch_directory()
    compiler = (os.environ.get("CLANGXX") or "clang++") if source.endswith(".cpp") else (
        os.environ.get("CLANG") or "clang")
    standard = ["-std=c++20", "-fno-exceptions", "-fno-rtti"] * source.endswith(".cpp")
    for command in (
            [compiler, "--target=x86_64-unknown-windows", *standard, "-ffreestanding",
             "-mno-red-zone", "-O1", "-Wall", "-Wextra", "-Werror",
             f"-I{cases.ROOT / 'arch/x86/efi'}", *(f"-D{define}" for define in defines), "-c",
             "-o", "code.obj", cases.ROOT / "qemu/kernels" / source],
            ["lld-link", "-subsystem:efi_application", "-entry:efi_main", "-nodefaultlib",
             "-out:program.efi", "code.obj"]):
        subprocess.run(command, cwd=directory, check=True)
    return directory / "program.efi"
