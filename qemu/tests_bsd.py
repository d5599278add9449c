"""OpenBSD vmd's and FreeBSD userboot's contracts: each state that these loaders leave, exactly;
what they say; and what they could get wrong. The feeder plays them."""

import struct
from dataclasses import replace

import bsd_composers
import feeding
import machine
import modes
from any_loader import FREEBSD, PC_128M, VMD, Load, Placed, expect_exactly, fed
from bsd_composers import Console
from cases import Case
from composers import Module
from feeding import CR0_ET, CR0_PE, Registers
from guests import expected_paging
from handoff_report import MIB, PAGE, Range, expect_memory, expect_report
from images import Image
from memory_model import expected_map
from tests_badinput import wrong

_KERNELS = {4: "demo-every", 5: "demo-five-every", 0: "demo-best-every"}
_CR0_NE, _CR0_PG = 1 << 5, 1 << 31
_PSE, _PAE, _LME = 1 << 4, 1 << 5, 1 << 8

# vmd's guests, and bhyve's: RAM only, and nothing of a firmware's.
_RAM = ((0, 636 << 10, 1), (MIB, 127 * MIB, 1))
_SYMBOLS = 0x3456 # bytes that vmd puts behind .bss
_MAC = bytes.fromhex("fee1bad12301")

# OpenBSD vmd.

_LIST, _STACK, _GDT, _PML4, _PML3, _PML2 = 0x2000, 0xFFDC, 0x10000, 0x11000, 0x12000, 0x13000


def _words(at: int, words: list, kind: str = "Q") -> tuple:
    return at, struct.pack(f"<{len(words)}{kind}", *words)


_PAGE_TABLES = [_words(_PML4, [_PML3 | 3]), _words(_PML3, [_PML2 | 7]),
                _words(_PML2, [i << 21 | 0x87 for i in range(512)])]
_PAGE_DIRECTORY = [_words(_PML3, [i << 22 | 0x83 for i in range(1024)], "I")]

# What vmd has left a CPU in: control registers and tables.
_STATES = {
    "paging off": ({}, []),
    "paging off, CR3 and CR4 left over": ({"cr3": _PML3, "cr4": _PSE}, _PAGE_DIRECTORY),
    "compatibility mode": ({"cr0": CR0_PE | CR0_ET | _CR0_PG, "cr3": _PML4, "cr4": _PAE | _PSE,
                            "efer": _LME}, _PAGE_TABLES),
    "4 MiB paging": ({"cr0": CR0_PE | CR0_ET | _CR0_PG, "cr3": _PML3, "cr4": _PSE},
                     _PAGE_DIRECTORY),
}
_REPORTED = {"compatibility mode": "compat32", "4 MiB paging": "paged32"}


def vmd_records(image: Image, state: str, **said) -> tuple:
    """Everything that vmd has in memory at its jump, and the registers."""
    changes, tables = _STATES[state]
    stack = bsd_composers.vmd_info(_STACK, kernel_end=image.end + _SYMBOLS, list_at=_LIST, **said)
    listed = {key: said[key] for key in ("memory_map", "console", "mac") if key in said}
    arguments = bsd_composers.vmd_list(_LIST, **listed)
    gdt = feeding.gdt_record(_GDT, [feeding.FLAT_CODE32, feeding.FLAT_DATA, feeding.FLAT_CODE64])
    symbols = (image.end, b"s" * _SYMBOLS)
    registers = Registers(eip=image.entry & 0x0FFFFFFF, esp=_STACK, gdt_base=_GDT,
                          gdt_limit=0xFFFF, **changes)
    records = [*image.records(), *stack.records, *arguments.records, gdt, symbols, *tables]
    return records, registers


def vmd_load(image: Image) -> tuple:
    """What vmd leaves today, for any kernel that carries its contract."""
    return vmd_records(image, "paging off", memory_map=_RAM)


def vmd(state: str, cpu: str = "max", levels: int = 4) -> Case:
    def function() -> None:
        path = Load(VMD, kernel=_KERNELS[levels]).path
        image = Image(path)
        boot = feeding.feed(
            *vmd_records(image, state, memory_map=_RAM, console=Console(), mac=_MAC, howto=2,
                         device=0xA0000400), cpu=cpu)
        report = expect_report(
            machine.run(boot), path, loader="vmd", cmdline="", modules=[], load_base=MIB,
            entry_mode=_REPORTED.get(state, "protected32"), howto="0x2", boot_device="0xa0000400",
            console="0x800 port 0x3f8 9600 0", mac="0xfe 0xe1 0xba 0xd1 0x23 0x1",
            **expected_paging("demo", cpu, levels))
        expect_memory(report, expected_map(_RAM, [
            Range(MIB, image.end, "kernel"),
            Range(image.end, image.end + _SYMBOLS, "loader"),
            Range(_LIST, _LIST + 1, "loader"), Range(_STACK, _STACK + 1, "loader")]))

    return Case(f"bsd: vmd, {state}, on {cpu}, wish {levels}", function)


def vmd_console(console: Console, line: str) -> Case:
    def function() -> None:
        path = Load(VMD).path
        boot = feeding.feed(*vmd_records(Image(path), "paging off", memory_map=_RAM,
                                         console=console))
        report = expect_report(machine.run(boot), path, loader="vmd", console=line)
        assert "mac" not in report.fields and "howto" not in report.fields

    return Case(f"bsd: vmd, {console}", function)


# FreeBSD userboot.

_BSD_STACK, _BSD_GDT, _BSD_TSS = 0x1FDC, 0x3000, 0x4000
_TSS_DESCRIPTOR = 0x0000890040000067 # 104 bytes at 0x4000, available
_FREEBSD_MODULES = (Placed(0x300000, b"m" * 5000, "/boot/kernel/a.ko"),
                    Placed(0x302000, b"n" * 0x1000, "/boot/b"))
_ENVIRONMENT = ("console=comconsole", "boot_verbose=", "x=a b")


def freebsd_records(image: Image) -> tuple:
    """Everything that userboot has in memory at its jump, the registers, and the files' end."""
    said = {"memory_map": _RAM, "modules": [m.described() for m in _FREEBSD_MODULES],
            "cmdline": "-v verbose", "environment": _ENVIRONMENT, "howto": 0x800,
            "kernel": Module(MIB, image.end - MIB)}
    files_at = _FREEBSD_MODULES[-1].end
    stack = bsd_composers.freebsd_info(_BSD_STACK, files_at=files_at, **said)
    files = bsd_composers.freebsd_files(files_at, **said)
    gdt = feeding.gdt_record(_BSD_GDT, [feeding.FLAT_CODE32, feeding.FLAT_DATA, _TSS_DESCRIPTOR])
    registers = Registers(eip=image.entry & 0xFFFFFF, esp=_BSD_STACK, cr0=CR0_PE | _CR0_NE,
                          gdt_base=_BSD_GDT, gdt_limit=31, tr=0x18)
    records = [*image.records(), *stack.records, *files.records, gdt, (_BSD_TSS, bytes(104))]
    records += [(m.start, m.contents) for m in _FREEBSD_MODULES]
    return records, registers, files.end


def freebsd_load(image: Image) -> tuple:
    return freebsd_records(image)[:2]


def freebsd(cpu: str = "max", levels: int = 4) -> Case:
    def function() -> None:
        path = Load(FREEBSD, kernel=_KERNELS[levels]).path
        image = Image(path)
        records, registers, end = freebsd_records(image)
        result = machine.run(feeding.feed(records, registers, cpu=cpu))
        report = expect_report(
            result, path, loader="freebsd", cmdline="-v verbose", load_base=MIB,
            howto="0x80000800",
            modules=[(m.start, len(m.contents), m.cmdline) for m in _FREEBSD_MODULES],
            **expected_paging("demo", cpu, levels))
        assert tuple(report.environment) == _ENVIRONMENT, report.environment
        expect_memory(report, expected_map(_RAM, [
            Range(MIB, image.end, "kernel"),
            Range(image.end, end, "loader"),
            Range(_BSD_STACK, 0x2100, "loader"),
            *(Range(m.start, m.end, "module") for m in _FREEBSD_MODULES)]))

    return Case(f"bsd: freebsd, userboot's state, on {cpu}, wish {levels}", function)


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
_BSD = Load(FREEBSD, modules=_FREEBSD_MODULES, cmdline="-v")
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
    wrong("a console without an address", _VMD,
          "vmd: a boot argument is too short for its type (<args[0].type>, 5)",
          {"args[0].type": 5, "args[0].size": 27}),
    wrong("a MAC of five bytes", _VMD,
          "vmd: a boot argument is too short for its type (<args[0].type>, 7)",
          {"args[0].type": 7, "args[0].size": 17}),
    wrong("a map that ends at once", _VMD,
          "vmd: the boot arguments have no memory map (<args[0].type>, 98)", {"mem[0].type": 0}),
    wrong("a list that ends at once", _VMD,
          "vmd: the boot arguments have no memory map (<args[0].type>, 98)",
          {"args[0].type": 0xFFFFFFFF}),
    wrong("RAM that wraps", _VMD, "memory map: range at fffffffffffff000 of 2000 bytes wraps",
          {"mem[0].addr": -PAGE, "mem[0].size": 2 * PAGE}),
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
    wrong("an environment that does not end", replace(_BSD, info_at=0x400000),
          "freebsd environment: the string at 500000 does not end within 10000 bytes",
          {"bi.envp": 0x500000}, damage=[(0x400000, b"e" * 70000)]),
]

CASES = [
    *(vmd(state, cpu) for state in _STATES for cpu in ("max", "qemu64")),
    *(vmd(state, "max", levels) for state in _STATES for levels in (5, 0)),
    vmd_console(Console(old=True), "0x800 port 0x3f8 9600 0"),
    vmd_console(Console(0x801, 115200, 0x2F8, 1843200), "0x801 port 0x2f8 115200 1843200"),
    vmd_console(Console(0x800, 9600, 0x1FEDC0000, in_memory=True),
                "0x800 memory 0x1fedc0000 9600 0"),
    *(freebsd(cpu, levels) for cpu, levels in (("max", 4), ("max", 5), ("max", 0), ("qemu64", 4))),
    *(anywhere(VMD, mode, base=base, memory_map=PC_128M)
      for mode in modes.MODES_32 for base in (MIB, 0x345000)),
    *(anywhere(FREEBSD, mode, base=base, **_ANY)
      for mode in modes.MODES_32 for base in (MIB, 0x345000)),
    *_BAD_VMD,
    *_BAD_FREEBSD,
]
