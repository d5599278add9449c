#!/usr/bin/python3
"""Boots the demonstration kernel as `make run` asks, prints its report, and ends with status 0
if the boot ended well."""

import os
import sys

import cases
import iso
import machine
import sev_guest

_LOADERS = ("pvh", "multiboot1", "multiboot2")

# The demonstration kernel by its wish for paging: as many levels as there are, five, four.
_KERNELS = {"auto": "demo-best", "on": "demo-five", "off": "demo"}


def setting(name: str, default: str, allowed=None) -> str:
    value = os.environ.get(name) or default
    if allowed and value not in allowed:
        sys.exit(f"{name}={value} is not served: one of {', '.join(allowed)} is")
    return value


def boot() -> machine.Boot:
    loader = setting("LOADER", "pvh", _LOADERS)
    accel = setting("ACCEL", "tcg", ("tcg", "kvm"))
    kernel = cases.BUILD / (_KERNELS[setting("LA57", "auto", tuple(_KERNELS))] + (
        "-multiboot1" if loader == "multiboot1" else "") + ".elf")
    cmdline = os.environ.get("CMDLINE", "")
    initrd = os.environ.get("INITRD") or None
    common = {
        "memory": setting("MEM", "1G"),
        "cpu": setting("CPU", "max" if accel == "tcg" else "host"),
        "accel": accel,
        "timeout": 60,
    }
    if loader == "multiboot2":
        modules = [(initrd, initrd)] if initrd else []
        return machine.Boot(iso=iso.grub_iso(kernel, "multiboot2", cmdline, modules), **common)
    return machine.Boot(
        kernel=kernel, append=cmdline, initrd=[initrd] if initrd else [], **common)


def run_under_sev_host(sev: str) -> int:
    """The same kernel as a guest of the SEV host, which brings it by PVH."""
    setting("LOADER", "pvh", ("pvh",))
    kernel = cases.BUILD / f"{_KERNELS[setting('LA57', 'auto', tuple(_KERNELS))]}.elf"
    result = sev_guest.run(sev_guest.Run(
        kernel, sev=sev, cmdline=os.environ.get("CMDLINE", ""),
        initrd=os.environ.get("INITRD") or None, memory=setting("MEM", "512M"),
        c_bit=int(setting("CBIT", "51")), timeout=60))
    report = result.serial[max(result.serial.find("loader: "), 0):]
    if result.outcome == machine.OK:
        print(report.partition("sevhost: ")[0], end="")
        return 0
    print(report, end="")
    print(f"the boot did not end well: {result.outcome}", file=sys.stderr)
    return 1


def main() -> int:
    sev = setting("SEV", "none", ("none", "sev", "es", "snp"))
    if sev != "none":
        return run_under_sev_host(sev)
    result = machine.run(boot())
    # GRUB talks on the serial port too, before the kernel does.
    report = result.serial.replace("\r", "")
    start = report.find("loader: ")
    print(report[max(start, 0):], end="")
    if result.outcome == machine.OK:
        return 0
    print(result.errors, end="", file=sys.stderr)
    print(f"the boot did not end well: {result.outcome}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
