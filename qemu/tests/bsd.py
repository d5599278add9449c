"""OpenBSD vmd's and FreeBSD userboot's contracts: each state that these loaders leave, exactly;
what they say; and what they could get wrong. The feeder plays them."""

import subprocess
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Callable

from elftools.elf.elffile import ELFFile

import bsd_loaders
import cases
import feeding
import machine
import modes
import state_report
from any_loader import FREEBSD, PC_128M, VMD, Load, Placed, expect_exactly, fed
from bsd_composers import Console
from cases import Case
from guests import expected_paging
from handoff_report import MIB, Range, expect_memory, expect_report
from images import Image
from memory_model import expected_map
from refusals import wrong

_KERNELS = {4: "demo-every", 5: "demo-five-every", 0: "demo-best-every"}
_MAC = bytes.fromhex("fee1bad12301")

# OpenBSD vmd.


def vmd(state: str, cpu: str = "max", levels: int = 4) -> Case:
    def function() -> None:
        path = Load(VMD, kernel=_KERNELS[levels]).path
        image = Image(path)
        boot = feeding.feed(*bsd_loaders.vmd(image, state, mac=_MAC, howto=2, device=0xA0000400),
                            cpu=cpu)
        report = expect_report(
            machine.run(boot), path, loader="vmd", cmdline="", modules=[], load_base=MIB,
            entry_mode=bsd_loaders.VMD_MODES[state], howto="0x2", boot_device="0xa0000400",
            console="0x800 port 0x3f8 9600 0", mac="0xfe 0xe1 0xba 0xd1 0x23 0x1",
            **expected_paging("demo", cpu, levels))
        expect_memory(report, expected_map(bsd_loaders.RAM_128M, [
            Range(MIB, image.end, "kernel"),
            Range(image.end, image.end + len(bsd_loaders.VMD_SYMBOLS), "loader"),
            Range(bsd_loaders.VMD_LIST, bsd_loaders.VMD_LIST + 1, "loader"),
            Range(bsd_loaders.VMD_STACK, bsd_loaders.VMD_STACK + 1, "loader")]))

    return Case(f"bsd: vmd, {state}, on {cpu}, wish {levels}", function)


def vmd_console(console: Console, line: str) -> Case:
    def function() -> None:
        path = Load(VMD).path
        boot = feeding.feed(*bsd_loaders.vmd(Image(path), console=console))
        report = expect_report(machine.run(boot), path, loader="vmd", console=line)
        assert "mac" not in report.fields and "howto" not in report.fields

    return Case(f"bsd: vmd, {console}", function)


# FreeBSD userboot.

_MODULES = (Placed(0x300000, b"m" * 5000, "/boot/kernel/a.ko"),
            Placed(0x302000, b"n" * 0x1000, "/boot/b"))
_ENVIRONMENT = ("console=comconsole", "boot_verbose=", "x=a b")


def freebsd(cpu: str = "max", levels: int = 4) -> Case:
    def function() -> None:
        path = Load(FREEBSD, kernel=_KERNELS[levels]).path
        image = Image(path)
        records, registers, end = bsd_loaders.userboot(
            image, modules=_MODULES, cmdline="-v verbose", environment=_ENVIRONMENT, howto=0x800)
        result = machine.run(feeding.feed(records, registers, cpu=cpu))
        report = expect_report(
            result, path, loader="freebsd", cmdline="-v verbose", load_base=MIB,
            howto="0x80000800",
            modules=[(m.start, len(m.contents), m.cmdline) for m in _MODULES],
            **expected_paging("demo", cpu, levels))
        assert tuple(report.environment) == _ENVIRONMENT, report.environment
        expect_memory(report, expected_map(bsd_loaders.RAM_128M, [
            Range(MIB, image.end, "kernel"),
            Range(image.end, end, "loader"),
            Range(bsd_loaders.USERBOOT_STACK, bsd_loaders.USERBOOT_STACK_END, "loader"),
            *(Range(m.start, m.end, "module") for m in _MODULES)]))

    return Case(f"bsd: freebsd, userboot's state, on {cpu}, wish {levels}", function)


# Userboot enters ELF32 files so, and puts their segments where p_vaddr's lower 24 bits say.


def elf32(kernel: Path) -> tuple:
    """How the tool ended, and the file that it made."""
    made = cases.scratch_directory() / "elf32"
    return subprocess.run([cases.ROOT / "linker/prologue-elf32", kernel, made],
                          capture_output=True, text=True), made


def elf32_as_userboot_loads_it() -> None:
    image = Image(Load(FREEBSD).path)
    result, made = elf32(image.path)
    assert result.returncode == 0, result.stderr
    with open(made, "rb") as stream:
        elf = ELFFile(stream)
        assert (elf.elfclass, elf["e_machine"], elf["e_type"]) == (32, "EM_386", "ET_EXEC")
        loads = [(s["p_vaddr"] & 0xFFFFFF, s.data(), s["p_memsz"], s["p_paddr"])
                 for s in elf.iter_segments("PT_LOAD")]
        entry = elf["e_entry"] & 0xFFFFFF
    assert [(at, size, at) for at, _, size, at in loads] == [
        (s.paddr, s.memsz, s.paddr) for s in image.segments]
    records, registers, _ = bsd_loaders.userboot(image)
    records = records[len(image.records()):]
    records += [(at, data) for at, data, _, _ in loads if data]
    boot = feeding.feed(records, replace(registers, eip=entry))
    expect_report(machine.run(boot), image.path, loader="freebsd", load_base=MIB,
                  howto="0x80000000")


def elf32_refuses() -> None:
    for kernel, words in (("state-elsewhere.elf", ""), ("state-across.elf", "would put what"),
                          ("feeder.elf", "no 64-bit"), ("no-such.elf", "No such file")):
        result, made = elf32(cases.BUILD / kernel)
        assert result.returncode == bool(words) and words in result.stderr, (kernel, result.stderr)
        assert bool(words) != made.exists()


# What a kernel was promised, whatever else the CPU holds.

_DIRECTION, _ALIGNMENT_CHECK, _NESTED = 1 << 10, 1 << 18, 1 << 14
_UNKIND = {
    "as its loader leaves the CPU": {},
    "flags that no loader should leave": {
        "eflags": feeding.EFLAGS_ONE | _DIRECTION | _ALIGNMENT_CHECK | _NESTED},
    "the GDT gone": {"gdt_gone": True},
    "nonsense in all registers": {name: 0xDEADBEEF for name in
                                  ("eax", "ebx", "ecx", "edx", "esi", "edi", "ebp")},
}


def promised(name: str, entered: Callable[[Image], tuple], title: str) -> Case:
    def function() -> None:
        records, registers = entered(Image(cases.BUILD / "state-every.elf"))[:2]
        boot = feeding.feed(records, replace(registers, **_UNKIND[title]))
        state_report.expect_good(state_report.read(machine.run(boot).expect(machine.OK)))

    return Case(f"bsd: {name}, {title}", function)


_ENTERED = {f"vmd, {state}": partial(bsd_loaders.vmd, state=state)
            for state in bsd_loaders.VMD_STATES}
_ENTERED["userboot"] = bsd_loaders.userboot

# Both, elsewhere than their loaders would be.


def anywhere(contract: str, mode: str, **others) -> Case:
    load = Load(contract, mode=mode, **others)

    def function() -> None:
        result = machine.run(fed(load, cpu="max"))
        expect_exactly(load, result, **expected_paging("demo", "max", 4))

    return Case(f"bsd: {contract} in {mode}, image at {load.base:#x}", function)


_ANY = {"cmdline": "a b", "modules": (Placed(0x4000123, b"x" * 5000, "/boot/x"),)}

# What they could get wrong.

_VMD = Load(VMD)
_BSD = Load(FREEBSD, modules=_MODULES, cmdline="-v")
_UNKNOWN = "entry: no contract is known by magic 0"
_SHORT = "vmd: a boot argument is too short, or longer than the list"
_NO_RECORDS = "freebsd: the list of records cannot be between these addresses"
_REACH = "cannot be reached before the kernel's tables stand"

_BAD_VMD = [
    wrong("another return address", _VMD, f"{_UNKNOWN} (information at 0)", {"return_address": 5}),
    wrong("another version", _VMD, f"{_UNKNOWN} (information at 0)", {"apiver": 0x0D}),
    wrong("no list", _VMD, f"{_UNKNOWN} (information at 0)", {"list": 0}),
    wrong("a list of nothing", _VMD, f"{_UNKNOWN} (information at 0)", {"length": 11}),
    wrong("a stack where nothing can be", _VMD, f"{_UNKNOWN} (information at 0)",
          esp=0xFFFFFFF0),
    wrong("the list's length lies", _VMD,
          "vmd: the boot arguments are too long (<args[0].type>, ffffffff)",
          {"length": 0xFFFFFFFF}),
    wrong("a list behind 4 GiB", _VMD, f"{_SHORT} (fffffffc, 0)", {"list": 0xFFFFFFFC}),
    wrong("an argument without its header", _VMD, f"{_SHORT} (<args[0].type>, b)",
          {"args[0].size": 11}),
    wrong("an argument longer than the list", _VMD, f"{_SHORT} (<args[0].type>, 1000)",
          {"args[0].size": 0x1000}),
    wrong("a map that ends at once", _VMD,
          "vmd: the boot arguments have no memory map (<args[0].type>, 98)", {"mem[0].type": 0}),
    wrong("a list that ends at once", _VMD,
          "vmd: the boot arguments have no memory map (<args[0].type>, 98)",
          {"args[0].type": 0xFFFFFFFF}),
    wrong("a kernel's end behind all RAM", _VMD,
          "memory: 10000 free bytes below 4 GiB are wanted, the largest piece has 0",
          {"end": 0xFFFFFFFF}),
]

_BAD_FREEBSD = [
    wrong("no return address", _BSD, f"{_UNKNOWN} (information at 0)", {"return_address": 0}),
    wrong("no bootinfo", _BSD, f"{_UNKNOWN} (information at 0)", {"howto": 0}),
    wrong("words that are not 0", _BSD, f"{_UNKNOWN} (information at 0)", {"zero2": 1}),
    wrong("a bootinfo of version 2", _BSD, f"{_UNKNOWN} (information at 0)", {"bi.version": 2}),
    wrong("an older bootinfo", _BSD, f"{_UNKNOWN} (information at 0)", {"bi.size": 72}),
    wrong("no records", _BSD, f"{_NO_RECORDS} (0, <*>)", {"bi.modulep": 0}),
    wrong("records behind the kernel's end", _BSD, f"{_NO_RECORDS} (7000000, <*>)",
          {"bi.modulep": 0x7000000}),
    wrong("a kernel's end that lies", _BSD, f"{_NO_RECORDS} (<*>, ffffffff)",
          {"bi.kernend": 0xFFFFFFFF}),
    wrong("a record longer than the list", _BSD,
          "freebsd: a record is longer than the list (<file[0].type.kind>, ffffffff)",
          {"file[0].type.bytes": 0xFFFFFFFF}),
    wrong("a list that does not end", _BSD,
          "freebsd: the list of records does not end before the kernel's end (21000, 21000)",
          {"end.kind": 0x10, "end.bytes": 0x21000 - _BSD.information().address("end.data")}),
    wrong("a map of parts", _BSD,
          "freebsd: the memory map is not of whole ranges (<file[0].smap.data>, 77)",
          {"file[0].smap.bytes": 119}),
    wrong("no map", _BSD, "freebsd: the kernel's records have no memory map (<*>, 21000)",
          {"file[0].smap.kind": 0x9002}),
    wrong("a module's size of two bytes", _BSD,
          "freebsd: a record is too short for a number (<file[1].size.data>, 2)",
          {"file[1].size.bytes": 2}),
    wrong("a module behind all memory", _BSD,
          "freebsd: module at 300000 of ffffffffffffffff bytes lies beyond all physical memory",
          {"file[1].size.data": -1}),
    wrong("a module on the image", _BSD, "module: 100800 to 101b88 lies on the kernel image "
          "(<image> to <image end>)", {"file[1].address.data": 0x100800}),
]

CASES = [
    *(vmd(state, cpu) for state in bsd_loaders.VMD_STATES for cpu in ("max", "qemu64")),
    *(vmd(state, "max", levels) for state in bsd_loaders.VMD_STATES for levels in (5, 0)),
    vmd_console(Console(old=True), "0x800 port 0x3f8 9600 0"),
    vmd_console(Console(0x801, 115200, 0x2F8, 1843200), "0x801 port 0x2f8 115200 1843200"),
    vmd_console(Console(0x800, 9600, 0x1FEDC0000, in_memory=True),
                "0x800 memory 0x1fedc0000 9600 0"),
    *(freebsd(cpu, levels) for cpu, levels in (("max", 4), ("max", 5), ("max", 0), ("qemu64", 4))),
    *(anywhere(VMD, mode, base=base, memory_map=PC_128M)
      for mode in modes.MODES_32 for base in (MIB, 0x345000)),
    *(anywhere(FREEBSD, mode, base=base, **_ANY)
      for mode in modes.MODES_32 for base in (MIB, 0x345000)),
    Case("bsd: an ELF32 as userboot loads it", elf32_as_userboot_loads_it),
    Case("bsd: what cannot be an ELF32", elf32_refuses),
    *(promised(name, entered, title) for name, entered in _ENTERED.items() for title in _UNKIND),
    *_BAD_VMD,
    *_BAD_FREEBSD,
]
