#!/usr/bin/python3
"""Runs a guest under the SEV host, as `make guest` asks: GUEST= is a Linux bzImage, an ELF64 file
with a PVH note, an IGVM file, or a flat firmware image. The guest's serial port and the host's
words go to standard output; the exit status tells how the run ended."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Optional

import rooms  # noqa: F401, the harness's folders
import kernel_hashes
import machine

_BUILD = Path(os.environ.get("BUILD", "build"))
_SEV = ("none", "sev", "es", "snp")
_LIST = "list"  # of HOSTILE=: print the behaviours
_INTERRUPTED = 130  # as a shell says it of SIGINT
_STATES = Path(__file__).resolve().parent / "sevhost/states"
_MIB = 1 << 20
_PAGE_TABLES = 64 * _MIB  # and the host itself
_KEPT = 72 * _MIB  # by a sweep, of what a try may write

_CPU = "max,phys-bits=52"


def main() -> int:
    if os.environ.get("HOSTILE") == _LIST:
        return 0 if run(machine_line(128 * _MIB, ["hostile=list"])) == machine.OK else 1
    guest = existing(setting("GUEST", "") or sys.exit("GUEST= names the guest's image"))
    with tempfile.TemporaryDirectory(prefix="guest-") as directory:
        outcome = run(command_line(guest, Path(directory)))
    if outcome is None:
        return _INTERRUPTED
    print(f"\nguest: {outcome}")
    return 0 if outcome == machine.OK else 1


def run(command: list) -> Optional[str]:
    """How the host says that it ended; None where the user ended it."""
    try:
        status = subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode
    except KeyboardInterrupt:
        return None
    except FileNotFoundError:
        sys.exit(f"{command[0]} is not there: `make setup` installs it")
    return OUTCOMES.get(status, f"exit status {status:#x}")


# What the host writes to the exit device, as QEMU's status (qemu/sevhost/host/outcome.h).
OUTCOMES = {
    0x21: machine.OK,
    0x41: machine.FATAL,
    0x71: "reset",
    0x81: "refused",
    0x91: "ran host's code",
    0xA1: "terminated",
    0xC1: "shutdown",
    0xD1: "denied",
    0xE1: "halted",
}


def setting(name: str, default: str, allowed=None) -> str:
    value = os.environ.get(name) or default
    if allowed and value not in allowed:
        sys.exit(f"{name}={value} is not served: one of {', '.join(allowed)} is")
    return value


def existing(name) -> Path:
    if not Path(name).is_file():
        sys.exit(f"there is no file {name}")
    return Path(name)


def command_line(guest: Path, directory: Path) -> list:
    sev = setting("SEV", "none", _SEV)
    memory = size(setting("MEM", "512M"))
    kind = image_kind(guest)
    modules = [module(directory, guest, kind, os.environ.get("CMDLINE", ""))]
    if os.environ.get("INITRD"):
        modules.append(module(directory, existing(os.environ["INITRD"]), "initrd", ""))
    if os.environ.get("STATE"):
        modules += state_modules(directory, state_file(os.environ["STATE"]))
    if os.environ.get("KERNEL"):
        modules += kernel_modules(directory, kind)
    high = size(setting("HIGH", "0"))
    words = [f"sev={sev}", f"mem={memory}", f"cbit={setting('CBIT', '51')}"]
    words += [f"{name.lower()}={os.environ[name]}"
              for name in ("HOST", "HOSTILE", "TRACE", "ACCEPT", "RMP", "SEED", "INTERCEPT",
                           "INJECTION", "CANARY", "STACKS", "SWEEP", "FROM", "STRIDE", "CPUS",
                           "SCHEDULE")
              if os.environ.get(name)]
    words += [f"high={high}"] if high else []
    copies = 1 if sev == "none" else 2
    files = sum(Path(name).stat().st_size for name in directory.iterdir())
    kept = _KEPT if os.environ.get("SWEEP") else 0
    total = round_up(copies * (memory + high) + 2 * files + _PAGE_TABLES + kept +
                     (memory + high) // 128, 128 * _MIB)
    disk = os.environ.get("DISK")
    drive = ["-cdrom", str(existing(disk))] if disk else []
    return machine_line(total, words) + drive + ["-initrd", ",".join(modules)]


def kernel_modules(directory: Path, kind: str) -> list:
    """What the firmware finds by fw_cfg, and its hashes for a firmware that wants them."""
    if kind != "flat":
        sys.exit("KERNEL= is for a firmware to start: GUEST= is none")
    cmdline = os.environ.get("CMDLINE", "")
    kernel = existing(os.environ["KERNEL"])
    initrd = os.environ.get("INITRD")
    hashes = directory / "hashes.bin"
    if os.environ.get("HASHES"):
        hashes.write_bytes(existing(os.environ["HASHES"]).read_bytes())
    else:
        hashes.write_bytes(kernel_hashes.table(
            kernel.read_bytes(), Path(initrd).read_bytes() if initrd else b"", cmdline))
    return [module(directory, kernel, "kernel", cmdline), module(directory, hashes, "hashes", "")]


def machine_line(memory: int, words: list) -> list:
    """QEMU with that much memory, and the host with these words on its command line."""
    line = [os.environ.get("QEMU") or "qemu-system-x86_64"]
    line += ["-display", "none", "-no-reboot", "-nodefaults", *processors()]
    line += ["-cpu", setting("CPU", default_cpu())]
    line += ["-machine", "pc,memory-backend=memory", "-m", f"{memory // _MIB}M"]
    line += ["-object", f"memory-backend-ram,id=memory,size={memory // _MIB}M,reserve=off"]
    line += ["-chardev", "stdio,id=console,mux=on,signal=off"]
    line += ["-serial", "chardev:console"]
    line += ["-device", "isa-debugcon,iobase=0xea,chardev=console"]
    line += ["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
    return line + ["-kernel", str(_BUILD / "sevhost.elf"), "-append", " ".join(words)]


def processors() -> list:
    """One thread runs all of them, in turns, by a clock that counts their instructions: so a run
    is the same each time."""
    count = os.environ.get("CPUS") or "1"
    if not count.isdecimal():
        sys.exit(f"CPUS={count} is no number")
    if count == "1":
        return ["-accel", "tcg"]
    return ["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off", "-smp", count]


def module(directory: Path, path: Path, kind: str, rest: str, link_name: str = "") -> str:
    """A module of the host: its string is the file, its kind, and what the guest is told. The
    file goes by a name without spaces and commas, and commas are doubled for QEMU."""
    link = directory / (link_name or kind)
    link.symlink_to(path.resolve())
    return f"{link} {kind} {rest}".strip().replace(",", ",,")


def state_file(name: str) -> Path:
    """A file, or one of those that come with the host, by its name alone."""
    known = _STATES / f"{name}.state"
    return known if known.exists() else existing(name)


def state_modules(directory: Path, state: Path) -> list:
    """The state file, and the files that its lines `file NAME` place."""
    names = re.findall(r"^\s*file\s+(\S+)", state.read_text(), re.MULTILINE)
    return [module(directory, state, "state", ""),
            *(module(directory, existing(state.parent / name), "file", name, f"file{i}")
              for i, name in enumerate(dict.fromkeys(names)))]


def default_cpu() -> str:
    """SNP Linux refuses CPUID's leaf 0xd without XSAVES, which TCG lacks; and TCG intercepts XSETBV
    only where a CPU does not have it."""
    without_xsave = (os.environ.get("SEV") == "snp"
                     or "xsetbv" in os.environ.get("INTERCEPT", "").split(","))
    return _CPU + ",-xsave" if without_xsave else _CPU


def image_kind(guest: Path) -> str:
    with guest.open("rb") as file:
        start = file.read(0x206)
    if start[:4] == b"\x7fELF":
        return "elf"
    if start[:4] == b"IGVM":
        return "igvm"
    return "bzimage" if start[0x202:0x206] == b"HdrS" else "flat"


def size(text: str) -> int:
    units = {"K": 10, "M": 20, "G": 30}
    unit = text[-1:].upper()
    try:
        return int(text[:-1]) << units[unit] if unit in units else int(text, 0)
    except ValueError:
        sys.exit(f"MEM={text} is no size: a number, and K, M or G")


def round_up(value: int, unit: int) -> int:
    return -(-value // unit) * unit


if __name__ == "__main__":
    sys.exit(main())
