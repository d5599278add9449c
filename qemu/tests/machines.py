"""Machines that QEMU can be besides a PC of its own kind, every CPU model that it has, and what
firmware hides of a CPU."""

from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Sequence

import cases
import cpu_models
import machine
from any_loader import LINUX, PVH, Load, fed
from cases import Case
from guests import expect_ram, expected_paging, ram_spans
from handoff_report import expect_report
from images import Image, patch
from misc_enable import LIMIT_CPUID, XD_DISABLE, Player
from modes import LONG64, PROTECTED32

_MODULE_BYTES = 5000
_PVH, _MULTIBOOT1, _LINUX = "demo-best.elf", "demo-best-multiboot1.elf", "demo-best-every.bzImage"
_LOADERS = {_PVH: "pvh", _MULTIBOOT1: "multiboot1", _LINUX: "linux"}


@dataclass(frozen=True)
class Board:
    """A setting of the machine. `ram` is what of it lies below 4 GiB and above, where that is not
    as on a PC; `rsdp` is whether PVH's kernel is told where ACPI's tables are."""

    name: str
    machine: str = "pc"
    memory: str = "256M"
    nodes: int = 1
    extra: Sequence[str] = ()
    ram: Optional[tuple] = None
    firmware: Optional[str] = None
    rsdp: bool = True


_HOTPLUG = ("-m", "slots=4,maxmem=8G", "-object",
            "memory-backend-ram,id=later,size=128M,reserve=off")
_GIB = 1 << 30

_BOARDS = [
    Board("microvm", "microvm"),
    Board("microvm of 4 GiB", "microvm", "4G", ram=(3 * _GIB, _GIB)),
    Board("microvm by qboot", "microvm", firmware="qboot.rom"),
    Board("microvm without ACPI, by qboot", "microvm,acpi=off", rsdp=False),
    Board("microvm without ACPI, by SeaBIOS", "microvm,acpi=off", firmware="bios-microvm.bin",
          rsdp=False),
    Board("isapc", "isapc", rsdp=False),
    Board("a PC without ACPI", "pc,acpi=off", rsdp=False),
    Board("q35 without SMM, HPET, PIT", "q35,smm=off,hpet=off,pit=off"),
    Board("two NUMA nodes", nodes=2),
    Board("four NUMA nodes, memory above 4 GiB", "q35", "8G", nodes=4),
    Board("maxmem and a DIMM", extra=[*_HOTPLUG, "-device", "pc-dimm,memdev=later"]),
    Board("maxmem and an NVDIMM", "q35,nvdimm=on", extra=[*_HOTPLUG, "-device",
                                                          "nvdimm,memdev=later"]),
    Board("an IOMMU of Intel's", "q35", extra=["-device", "intel-iommu"]),
    Board("an IOMMU of AMD's", "q35", extra=["-device", "amd-iommu"]),
]


def boots_on(board: Board, kernel: str) -> Case:
    """With a module, whose string QEMU has for Multiboot 1 only: its path."""

    def function() -> None:
        module = cases.scratch_file(bytes(_MODULE_BYTES), "module")
        result = machine.run(machine.Boot(
            kernel=cases.BUILD / kernel, append="a b=c", initrd=[module], memory=board.memory,
            nodes=board.nodes, machine=board.machine, extra=board.extra,
            firmware=board.firmware and Path(board.firmware)))
        string = str(module) if kernel == _MULTIBOOT1 else ""
        report = expect_report(
            result, (cases.BUILD / kernel).with_suffix(".elf"), loader=_LOADERS[kernel],
            cmdline="a b=c", modules=[(None, _MODULE_BYTES, string)],
            **expected_paging("demo-best", "max"))
        kind = board.machine.split(",", 1)[0]
        expect_ram(report, *(board.ram or ram_spans(kind, board.memory)))
        told = board.rsdp and kernel == _PVH
        assert (report.fields["rsdp"] != 0) == told, f"rsdp is {report.fields['rsdp']:#x}"

    return Case(f"machines: {board.name}, {_LOADERS[kernel]}", function)


def boots_on_cpu(model: str) -> Case:
    """What has long mode and NX boots, with what paging it has; what lacks one is told which."""

    def function() -> None:
        has = cpu_models.features()[model]
        result = machine.run(machine.Boot(kernel=cases.BUILD / _PVH, append="a b", cpu=model))
        if has["lm"] and has["nx"]:
            expect_report(result, cases.BUILD / _PVH, loader="pvh", cmdline="a b",
                          paging="5-level" if has["la57"] else "4-level",
                          page_size="1G" if has["pdpe1gb"] else "2M")
        else:
            lacks = (not has["lm"]) << 29 | (not has["nx"]) << 20
            result.expect(machine.FATAL, r"^prologue: fatal: cpu: (long mode or NX is missing "
                          rf"\(CPUID 80000001 EDX lacks {lacks:x}\)|no CPUID leaf 80000001 .*)\r?$")

    return Case(f"machines: CPU model {model}", function)


# --- IA32_MISC_ENABLE -------------------------------------------------------------------------

_OTHERS = 0x850089  # what stays as it was
_LACKS_NX = (r"^prologue: fatal: cpu: long mode or NX is missing "
             r"\(CPUID 80000001 EDX lacks 100000\)\r?$")
_INT_FF = b"\xcd\xff"  # two bytes that raise #GP, as RDMSR does where there is no such register


def hidden(name: str, bits: int, cpu: str, contract: str = PVH, mode: str = PROTECTED32,
           kernel: str = "demo-best", written: int = 1) -> Case:
    """It is cleared, and nothing else in the register; the kernel sees what the CPU has."""

    def function() -> None:
        load = Load(contract, kernel=kernel, mode=mode)
        player = Player(Image(load.path), _OTHERS | bits)
        result = player.run(fed(load, cpu=cpu))
        expect_report(result, load.path, loader=contract, entry_mode=mode,
                      **expected_paging(kernel.removesuffix("-every"), cpu))
        assert player.written == [_OTHERS] * written, f"written: {list(map(hex, player.written))}"

    return Case(f"machines: MSR 1A0 hides {name}", function)


def has_no_nx(name: str, cpu: str, damage: tuple = (), written: int = 0) -> Case:
    """The CPU tells of no NX whatever is written: the boot says so."""

    def function() -> None:
        path = cases.BUILD / "demo-best.elf"
        for where, code in damage:
            path = patch(path, where, code)
        player = Player(Image(path), _OTHERS | XD_DISABLE, fixed=True)
        result = player.run(machine.Boot(kernel=path, cpu=cpu))
        result.expect(machine.FATAL, _LACKS_NX)
        assert len(player.written) == written, f"written: {list(map(hex, player.written))}"

    return Case(f"machines: no NX, {name}", function)


_HIDDEN = [
    hidden("NX", XD_DISABLE, "Nehalem"),
    hidden("NX and leaves above 3", XD_DISABLE | LIMIT_CPUID, "Icelake-Server"),
    hidden("leaves above 3", LIMIT_CPUID, "Icelake-Server"),
    hidden("nothing that a CPU without LA57 has", LIMIT_CPUID, "Nehalem"),
    hidden("leaves above 3, from a kernel of four levels", LIMIT_CPUID, "Icelake-Server",
           kernel="demo", written=0),
    hidden("NX from a 64-bit entry", XD_DISABLE, "Nehalem", LINUX, LONG64, "demo-best-every"),
    hidden("leaves above 3 from a 64-bit entry", LIMIT_CPUID, "Icelake-Server", LINUX, LONG64,
           "demo-best-every"),
    has_no_nx("whatever is written", "Nehalem", written=1),
    has_no_nx("and AMD's have no such register", "EPYC"),
    has_no_nx("and a read of the register faults", "Nehalem", [("misc_enable_read", _INT_FF)]),
    has_no_nx("and a write of the register faults", "Nehalem", [("misc_enable_write", _INT_FF)]),
]

CASES = [
    *_HIDDEN,
    *(boots_on(board, _PVH) for board in _BOARDS),
    *(boots_on(board, _MULTIBOOT1) for board in _BOARDS if board.machine in ("microvm", "isapc")),
    *(boots_on(board, _LINUX) for board in _BOARDS if "microvm" in board.machine
      or board.machine == "isapc"),
    *map(boots_on_cpu, cpu_models.features()),
]
