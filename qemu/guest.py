#!/usr/bin/python3
"""Runs a guest under the SEV host, as `make guest` asks: GUEST= is a Linux bzImage, an ELF64 file
with a PVH note, or a flat firmware image. The guest's serial port and the host's words go to
standard output; the exit status tells how the run ended."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import machine

_BUILD = Path(os.environ.get("BUILD", "build"))
_SEV = ("none", "sev", "es", "snp")
_MIB = 1 << 20
_PAGE_TABLES = 64 * _MIB  # and the host itself

# SNP Linux refuses CPUID's leaf 0xd without XSAVES, which TCG lacks.
_CPU = {"snp": "max,phys-bits=52,-xsave"}
_DEFAULT_CPU = "max,phys-bits=52"


def main() -> int:
    guest = Path(setting("GUEST", "") or sys.exit("GUEST= names the guest's image"))
    with tempfile.TemporaryDirectory(prefix="guest-") as directory:
        command = command_line(guest, Path(directory))
        try:
            status = subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode
        except KeyboardInterrupt:
            return 130
    outcome = OUTCOMES.get(status, f"exit status {status:#x}")
    print(f"\nguest: {outcome}")
    return 0 if outcome == machine.OK else 1


# What the host writes to the exit device, as QEMU's status (qemu/sevhost/host/outcome.h).
OUTCOMES = {
    0x21: machine.OK,
    0x41: machine.FATAL,
    0x71: "reset",
    0x81: "refused",
    0xA1: "terminated",
    0xC1: "shutdown",
    0xE1: "halted",
}


def setting(name: str, default: str, allowed=None) -> str:
    value = os.environ.get(name) or default
    if allowed and value not in allowed:
        sys.exit(f"{name}={value} is not served: one of {', '.join(allowed)} is")
    return value


def command_line(guest: Path, directory: Path) -> list:
    sev = setting("SEV", "none", _SEV)
    memory = size(setting("MEM", "512M"))
    kind = image_kind(guest)
    modules = [module(directory, guest, kind, os.environ.get("CMDLINE", ""))]
    for name in ("initrd", "state"):
        if os.environ.get(name.upper()):
            modules.append(module(directory, Path(os.environ[name.upper()]), name, ""))
    words = [f"sev={sev}", f"mem={memory}", f"cbit={setting('CBIT', '51')}"]
    words += [f"{name.lower()}={os.environ[name]}"
              for name in ("HOSTILE", "TRACE", "ACCEPT") if os.environ.get(name)]
    copies = 1 if sev == "none" else 2
    files = sum(Path(name).stat().st_size for name in directory.iterdir())
    total = round_up(copies * memory + 2 * files + _PAGE_TABLES + memory // 128, 128 * _MIB)
    line = [os.environ.get("QEMU") or "qemu-system-x86_64"]
    line += ["-display", "none", "-no-reboot", "-nodefaults", "-accel", "tcg"]
    line += ["-cpu", setting("CPU", _CPU.get(sev, _DEFAULT_CPU))]
    line += ["-machine", "pc,memory-backend=memory", "-m", f"{total // _MIB}M"]
    line += ["-object", f"memory-backend-ram,id=memory,size={total // _MIB}M,reserve=off"]
    line += ["-chardev", "stdio,id=console,mux=on,signal=off"]
    line += ["-serial", "chardev:console"]
    line += ["-device", "isa-debugcon,iobase=0xe9,chardev=console"]
    line += ["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
    line += ["-kernel", str(_BUILD / "sevhost.elf"), "-append", " ".join(words)]
    return line + ["-initrd", ",".join(modules)]


def module(directory: Path, path: Path, kind: str, rest: str) -> str:
    """A module of the host: its string is the file, its kind, and what the guest is told. The
    file goes by a name without spaces and commas, and commas are doubled for QEMU."""
    link = directory / kind
    link.symlink_to(path.resolve())
    return f"{link} {kind} {rest}".strip().replace(",", ",,")


def image_kind(guest: Path) -> str:
    with guest.open("rb") as file:
        start = file.read(0x206)
    if start[:4] == b"\x7fELF":
        return "elf"
    return "bzimage" if start[0x202:0x206] == b"HdrS" else "flat"


def size(text: str) -> int:
    units = {"K": 10, "M": 20, "G": 30}
    unit = text[-1:].upper()
    return int(text[:-1]) << units[unit] if unit in units else int(text, 0)


def round_up(value: int, unit: int) -> int:
    return -(-value // unit) * unit


if __name__ == "__main__":
    sys.exit(main())
