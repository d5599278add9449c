"""Memory that the contract says may be reused is reused (qemu/kernels/reuse.c), and nothing that
must last is lost: not the handoff, not the modules, not the exception report."""

import re

import cases
import machine
from any_loader import MULTIBOOT1, MULTIBOOT2, PVH
from cases import Case
from iso import grub_iso
from machine import Boot

_KERNELS = {PVH: "reuse", MULTIBOOT1: "reuse-multiboot1", MULTIBOOT2: "reuse"}
_PAGE = 4096


def _boot(loader: str, **options) -> Boot:
    kernel = cases.BUILD / f"{_KERNELS[loader]}.elf"
    modules = (cases.scratch_file(bytes(range(256)) * 99, "module"),)
    if loader == MULTIBOOT2:
        return Boot(iso=grub_iso(kernel, loader, "a command line", [(modules[0], "a module")]),
                    **options)
    return Boot(kernel=kernel, initrd=modules, append="a command line", **options)


def _is_reused(loader: str, **options) -> None:
    result = machine.run(_boot(loader, **options))
    wrong = re.search(r"^result: .*$", result.serial, re.MULTILINE)
    assert not wrong, wrong[0]
    result.expect(machine.FATAL, "^prologue: fatal: .*#UD")
    bytes_of = {name: int(value, 16)
                for name, value in re.findall(r"([a-z]+): (0x\w+)\r?$", result.serial,
                                              re.MULTILINE)}
    for name, least in (("usable", 60 << 20), ("loader", _PAGE), ("spare", _PAGE),
                        ("prologue", 4 * _PAGE)):
        assert bytes_of[name] >= least, (name, bytes_of)


CASES = [
    Case(f"reuse: free memory, the loader's and Prologue's, {loader}",
         lambda loader=loader: _is_reused(loader, memory="64M"))
    for loader in (PVH, MULTIBOOT1, MULTIBOOT2)
]
