#!/usr/bin/python3
"""Boots the demonstration kernel as `make run` asks, prints its report, and ends with status 0
if the boot ended well."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Optional

import rooms  # noqa: F401, the harness's folders
import any_loader
import bsd_loaders
import cases
import feeding
import igvm_image
import iso
import machine
import modes
import sev_guest
from any_loader import LINUX, Load, Placed
from guests import ram_spans
from images import Image

_VMD = {"vmd": bsd_loaders.PAGING_OFF, "vmd-compat": bsd_loaders.COMPATIBILITY,
        "vmd-paged": bsd_loaders.PAGED}
_FED = (*_VMD, "freebsd")
_LINUX64, _UEFI, _IGVM = "linux64", "efi", "igvm"
_LOADERS = ("pvh", "multiboot1", "multiboot2", "multiboot2-efi", "linux32", _LINUX64, _UEFI, _IGVM,
            *_FED)
_MODULE_AT = 0x1000000
_MOST_CPUS = 64  # as the kernel has room for
# What the SEV host starts with FIRMWARE=ovmf: it loads nothing but what the hashes name.
_MEASURED_FIRMWARE = cases.BUILD / "debian/sid/OVMF.amdsev.fd"

# The demonstration kernel by its wish for paging: as many levels as there are, five, four.
_KERNELS = {"auto": "demo-best", "on": "demo-five", "off": "demo"}


def setting(name: str, default: str, allowed=None) -> str:
    value = os.environ.get(name) or default
    if allowed and value not in allowed:
        sys.exit(f"{name}={value} is not served: one of {', '.join(allowed)} is")
    return value


def demo() -> str:
    """By the depth of paging, and whether there are others for it to start."""
    several = "-cpus" if os.environ.get("CPUS") else ""
    return _KERNELS[setting("LA57", "auto", tuple(_KERNELS))] + several


def cpus() -> int:
    count = os.environ.get("CPUS") or "1"
    if not count.isdecimal() or not 1 <= int(count) <= _MOST_CPUS:
        sys.exit(f"CPUS={count} is not served: 1 to {_MOST_CPUS} are")
    return int(count)


def kernel_of(loader: str) -> Path:
    """The demonstration kernel, with the headers that the loader wants."""
    carries = {"multiboot1": "-multiboot1",
               **dict.fromkeys((*_FED, _LINUX64, "linux32", _UEFI), "-every")}.get(loader, "")
    return cases.BUILD / f"{demo()}{carries}.elf"


def boot() -> machine.Boot:
    loader = setting("LOADER", "pvh", _LOADERS)
    own_firmware = "ovmf" if loader == _UEFI else "none"
    setting("FIRMWARE", own_firmware, (own_firmware,))
    accel = setting("ACCEL", "tcg", ("tcg", "kvm"))
    kernel = kernel_of(loader)
    if loader in ("linux32", _UEFI):
        kernel = kernel.with_suffix(".bzImage")
    cmdline = os.environ.get("CMDLINE", "")
    initrd = os.environ.get("INITRD") or None
    common = {
        "memory": setting("MEM", "1G"),
        "cpu": setting("CPU", "max" if accel == "tcg" else "host"),
        "accel": accel,
        "extra": ["-smp", str(cpus())],
        "timeout": 60,
    }
    if loader.startswith("multiboot2"):
        modules = [(initrd, initrd)] if initrd else []
        efi = {"platform": iso.EFI} if loader == "multiboot2-efi" else {}
        return machine.Boot(iso=iso.grub_iso(kernel, "multiboot2", cmdline, modules, **efi),
                            firmware=iso.OVMF if efi else None, **common)
    if loader == _LINUX64:
        return any_loader.fed(linux64(kernel, common["memory"], cmdline, initrd), **common)
    if loader in _FED:
        played = fed(loader, Image(kernel), common["memory"], cmdline, initrd)
        return feeding.feed(*played, **common)
    if loader == _UEFI:
        common["firmware"] = iso.OVMF
        common["extra"] += ["-vga", "std"]
    return machine.Boot(
        kernel=kernel, append=cmdline, initrd=[initrd] if initrd else [], **common)


def fed(loader: str, image: Image, memory: str, cmdline: str, initrd: str) -> tuple:
    """What OpenBSD's or FreeBSD's loader would leave: the feeder plays it."""
    ram = ram_of_pc(memory)
    if loader in _VMD:
        return bsd_loaders.vmd(image, _VMD[loader], ram)
    modules = modules_of(initrd, initrd)
    return bsd_loaders.userboot(image, ram, modules, cmdline=cmdline)[:2]


def linux64(kernel: Path, memory: str, cmdline: str, initrd: str) -> Load:
    """As kexec enters: in 64-bit mode, four levels on."""
    return Load(LINUX, mode=modes.LONG64, kernel=kernel.stem, memory_map=ram_of_pc(memory),
                cmdline=cmdline, modules=modules_of(initrd))


def ram_of_pc(memory: str) -> list:
    low, high = ram_spans("pc", memory)
    ram = [(0, 636 << 10, 1), (1 << 20, low - (1 << 20), 1)]
    return ram + [(1 << 32, high, 1)] * bool(high)


def modules_of(initrd: str, string: Optional[str] = None) -> list:
    return [Placed(_MODULE_AT, Path(initrd).read_bytes(), string)] if initrd else []


def guest_by_pvh() -> dict:
    setting("LOADER", "pvh", ("pvh",))
    setting("FIRMWARE", "none", ("none",))
    return {"image": cases.BUILD / f"{demo()}.elf"}


def guest_by_firmware() -> dict:
    setting("LOADER", _UEFI, (_UEFI,))
    if not _MEASURED_FIRMWARE.exists():
        sys.exit(f"{_MEASURED_FIRMWARE} is not there: make debian-guests fetches it")
    kernel = cases.BUILD / f"{demo()}-every.bzImage"
    return {"image": _MEASURED_FIRMWARE, "kernel": kernel}


def guest_by_igvm() -> dict:
    """Command line and initrd are the file's: the host's own are nobody's."""
    setting("FIRMWARE", "none", ("none",))
    kernel = cases.BUILD / f"{demo()}-every.elf"
    initrd = os.environ.get("INITRD")
    return {"image": igvm_image.igvm(kernel, "--cmdline", os.environ.get("CMDLINE", ""),
                                     *(["--initrd", initrd] if initrd else []))}


def run_under_sev_host(sev: str) -> int:
    """The same kernel as a guest of the SEV host, which brings it by PVH, in an IGVM file, or by a
    firmware."""
    if os.environ.get("LOADER") == _IGVM:
        images = guest_by_igvm()
    else:
        images = guest_by_firmware() if os.environ.get("FIRMWARE") == "ovmf" else guest_by_pvh()
    result = sev_guest.run(sev_guest.Run(
        **images, sev=sev, cmdline=os.environ.get("CMDLINE", ""),
        initrd=os.environ.get("INITRD") or None, memory=setting("MEM", "512M"),
        c_bit=int(setting("CBIT", "51")), cpus=cpus(), timeout=60))
    report = result.serial[max(result.serial.find("loader: "), 0):]
    if result.outcome == machine.OK:
        print(report.partition("sevhost: ")[0], end="")
        return 0
    print(report, end="")
    print(f"the boot did not end well: {result.outcome}", file=sys.stderr)
    return 1


def draw(asked: machine.Boot, picture: str) -> int:
    """The same boot once more, for prologue-picture to stop."""
    _, *words = machine.command(asked, Path(os.devnull), Path(os.devnull))
    kernel = kernel_of(setting("LOADER", "pvh"))
    return subprocess.run([sys.executable, cases.ROOT / "linker/prologue-picture", "-o", picture,
                           "--seconds", "600", kernel, "--", *words],
                          check=False, stdout=subprocess.DEVNULL).returncode


def main() -> int:
    sev, picture = setting("SEV", "none", ("none", "sev", "es", "snp")), os.environ.get("PICTURE")
    if sev != "none" or os.environ.get("LOADER") == _IGVM:
        if picture:
            sys.exit("PICTURE= is not served of a guest of the SEV host: its memory is not QEMU's "
                     "to read")
        return run_under_sev_host(sev)
    asked = boot()
    result = machine.run(asked)
    # GRUB talks on the serial port too, before the kernel does.
    report = result.serial.replace("\r", "")
    start = report.find("loader: ")
    print(report[max(start, 0):], end="")
    if result.outcome == machine.OK:
        return draw(asked, picture) if picture else 0
    print(result.errors, end="", file=sys.stderr)
    print(f"the boot did not end well: {result.outcome}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
