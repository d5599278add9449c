"""Every contract in every mode that a loader may leave: the same handoff, but for the mode."""

from dataclasses import replace

import e820
import machine
import modes
from any_loader import (
    LINUX,
    MULTIBOOT1,
    MULTIBOOT2,
    PVH,
    Load,
    Placed,
    expect_exactly,
    fed,
    registers,
)
from cases import Case
from guests import expected_paging
from handoff_report import GIB, MIB
from images import Image

CONTRACTS = (PVH, MULTIBOOT1, MULTIBOOT2, LINUX)
MODES = (*modes.MODES_32, *modes.MODES_64)
_KERNELS = {4: "demo-every", 5: "demo-five-every", 0: "demo-best-every"}


def boot_load(load: Load, cpu: str, **options) -> None:
    wish = next(levels for levels, name in _KERNELS.items() if name == load.kernel)
    result = machine.run(fed(load, cpu=cpu, **options))
    expect_exactly(load, result, **expected_paging("demo", cpu, wish))


def entered(contract: str, mode: str, cpu: str = "max", levels: int = 4, base: int = MIB,
            **others) -> Case:
    load = Load(contract, kernel=_KERNELS[levels], base=base, mode=mode, cmdline="a b",
                modules=(Placed(0x4000123, b"x" * 5000),), **others)
    if contract == MULTIBOOT1 or contract == MULTIBOOT2:
        load = replace(load, modules=(Placed(0x4000123, b"x" * 5000, "one"),))
    memory = "128M" if base < 128 * MIB else "6G"
    if memory == "6G":
        load = replace(load, memory_map=e820.simple(3 * GIB, 3 * GIB))
    name = f"modes: {contract} in {mode}, wish {levels} on {cpu}, image at {base:#x}"
    return Case(name, lambda: boot_load(load, cpu, memory=memory))


def linux_by_e_entry(mode: str) -> Case:
    """As loaders of an ELF enter Linux: known by boot_params alone."""

    def function() -> None:
        load = Load(LINUX, kernel="demo-every", mode=mode, cmdline="a b")
        image = Image(load.path)
        boot = fed(load, entry=registers(load, eip=image.physical(image.entry)))
        expect_exactly(load, machine.run(boot), **expected_paging("demo", "max", 4))

    return Case(f"modes: linux by e_entry in {mode}", function)


CASES = [
    *map(linux_by_e_entry, MODES[:-1]),
    *(entered(c, mode) for c in CONTRACTS for mode in modes.MODES_32),
    *(entered(c, modes.LONG64) for c in CONTRACTS),
]
