"""Bootable ISOs with GRUB, for a BIOS or for UEFI, in front of a kernel."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Iterable, Optional, Tuple

import cases
import machine

_GRUB = Path("/usr/lib/grub")
BIOS, EFI = "i386-pc", "x86_64-efi"  # as GRUB names its platforms
OVMF = Path("/usr/share/ovmf/OVMF.fd")
_GRUB_MODULES = "linux chain multiboot multiboot2 serial terminal echo iorw normal"

# Only reached when GRUB cannot boot the kernel: ends the VM with a status that is none of ours.
_GIVE_UP = "echo the loader gave up\noutb 0xf4 0x40\n"
LOADER_GAVE_UP = "exit status 0x81"


def grub_iso(
    kernel: Path,
    protocol: str,
    cmdline: str = "",
    modules: Iterable[Tuple[Path, str]] = (),
    platform: str = BIOS,
    before: Optional[Path] = None,
    video: bool = False,
) -> Path:
    """Makes an ISO that boots `kernel` at once through `protocol`, "multiboot", "multiboot2" or,
    with a bzImage, "linux" and, on UEFI, "chainloader".

    `modules` are (file, string) pairs. Strings are GRUB script: quotes, `$` and `;` mean there
    what they mean in a shell. `before` is an EFI program that runs first, and comes back. With
    `video` GRUB can set a mode for a kernel that wants one.
    """
    tree = cases.scratch_directory()
    module = {"multiboot": "module", "multiboot2": "module2", "linux": "initrd"}.get(protocol)
    lines = [f"{protocol} /kernel {cmdline}"]
    if video:
        lines.insert(0, "insmod all_video")
    if before:
        shutil.copy(before, tree / "before.efi")
        lines[:0] = ["chainloader /before.efi", "boot"]
    shutil.copy(kernel, tree / "kernel")
    for index, (path, string) in enumerate(modules):
        shutil.copy(path, tree / f"module{index}")
        lines.append(f"{module} /module{index} {string}")
    (tree / "boot" / "grub").mkdir(parents=True)
    (tree / "boot" / "grub" / "grub.cfg").write_text(_config(lines))
    return _make(tree, platform, _GRUB_MODULES + " all_video" * video)


def grub_starts_by_efi() -> bool:
    """Whether `linux` on UEFI lets the firmware start the file, as from GRUB 2.12 on (Debian 13);
    older ones enter it in 32-bit mode."""
    return grub_version() >= (2, 12)


def grub_version() -> tuple:
    said = subprocess.run(["grub-mkrescue", "--version"],
                          check=True, capture_output=True, text=True)
    return tuple(map(int, re.search(r"(\d+)\.(\d+)", said.stdout).groups()))


def run_iso(iso: Path, **options) -> machine.Result:
    """Boots an ISO in QEMU; options as for machine.Boot."""
    return machine.run(machine.Boot(iso=iso, **options))


def _config(lines: list) -> str:
    console = "serial --unit=0 --speed=115200\nterminal_input serial\nterminal_output serial\n"
    return console + "\n".join(lines) + "\nboot\n" + _GIVE_UP


def _make(tree: Path, platform: str, modules: str) -> Path:
    iso = cases.scratch_directory() / "boot.iso"
    subprocess.run(
        ["grub-mkrescue", "-d", _GRUB / platform, f"--install-modules={modules}"]
        + ["--locales=", "--themes=", "--fonts=", "-o", iso, tree],
        check=True,
        capture_output=True,
    )
    return iso
