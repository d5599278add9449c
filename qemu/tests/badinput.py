"""Every error of boot/errors.h that a loader or a CPU can cause: each ends the boot with its own
line and its numbers, on the serial port and on the debug port, and never in silence."""

import re
from dataclasses import replace
from typing import Sequence, Tuple

import cases
import e820
import machine
from any_loader import (
    CONTRACTS,
    MULTIBOOT1,
    MULTIBOOT2,
    PC_128M,
    PVH,
    Load,
    Placed,
    fed,
    registers,
)
from cases import Case
from handoff_report import GIB, MIB, PAGE
from images import Image, patch
from refusals import EXPECTED, FATAL, TIB, TIMEOUT, fatal_case, wrong


_MODULE = Placed(0x300000, b"x" * 5000, "one two")
_LOADS = {c: Load(c, modules=(_MODULE,), cmdline="a b") for c in CONTRACTS}

# What each contract's structures can get wrong.

_UNKNOWN = "entry: no contract is known by magic"
_P, _M1, _M2 = (_LOADS[c] for c in CONTRACTS)
_UNREACHED = "cannot be reached before the kernel's tables stand"
_ON_IMAGE = "lies on the kernel image (<image> to <image end>)"
_NO_MAP = "pvh: start info of version"
_NO_RAM = "memory: 10000 free bytes below 4 GiB are wanted, the largest piece has"
_TOO_HIGH = "lies beyond all physical memory"
_NO_MAP1 = "no memory map, or none in it"
_HUGE = "z" * 70000
_UNENDED = "does not end within 10000 bytes"

_PVH = [
    wrong("wrong magic", _P, f"{_UNKNOWN} 12345678 (information at <info>)",
          {"magic": 0x12345678}),
    wrong("start info where nothing is", _P, f"{_UNKNOWN} 0 (information at e0000000)",
          ebx=0xE0000000),
    wrong("version 0, and no Xen", _P, "pvh: start info of version 0 has no memory map: CPUID "
          "knows of no Xen to be asked (0, 0)", {"version": 0}),
    wrong("text over the start info", _P, "entry: text stands where a start info should, as with "
          "QEMU's PVH loader, which writes a command line of 4128 bytes and more over it: text, "
          "address (61206120, <info>)", {"magic": 0x61206120}),
    wrong("no entries", _P, f"{_NO_MAP} 1 has no memory map (0 entries at <memmap[0].addr>)",
          {"memmap_entries": 0}),
    wrong("no map", _P, f"{_NO_MAP} 1 has no memory map (6 entries at 0)", {"memmap_paddr": 0}),
    wrong("map count lies", _P, "pvh memory map has ffffffff entries, more than 100000",
          {"memmap_entries": 0xFFFFFFFF}),
    wrong("map out of reach", _P, f"pvh memory map: 90 bytes at 200000000000 {_UNREACHED}",
          {"memmap_paddr": 1 << 45}),
    wrong("more GiBs than 2 MiB pages reach", _P,
          f"pvh command line: 10 bytes at 140000000 {_UNREACHED}",
          {"memmap_paddr": GIB - 8, "modlist_paddr": 3 * GIB - 8, "cmdline_paddr": 5 * GIB},
          cpu="qemu64"),
    wrong("map wraps", _P, f"pvh memory map: 90 bytes at fffffffffffffff8 {_UNREACHED}",
          {"memmap_paddr": -8}),
    wrong("module count lies", _P, "pvh module list has ffffffff entries, more than 1000",
          {"nr_modules": 0xFFFFFFFF}),
    wrong("module list out of reach", _P,
          f"pvh module list: 20 bytes at 4000000000000 {_UNREACHED}", {"modlist_paddr": 1 << 50}),
    wrong("module too high", _P, f"pvh: module at 4000000000000000 of 1388 bytes {_TOO_HIGH}",
          {"modlist[0].paddr": 1 << 62}),
    wrong("module wraps", _P, f"pvh: module at fffffffffffff000 of 1388 bytes {_TOO_HIGH}",
          {"modlist[0].paddr": -PAGE}),
    wrong("module is endless", _P, f"pvh: module at 300000 of ffffffffffffffff bytes {_TOO_HIGH}",
          {"modlist[0].size": -1}),
    wrong("module on the image", _P, f"module: 101000 to 102388 {_ON_IMAGE}",
          {"modlist[0].paddr": 0x101000}),
    wrong("command line out of reach", _P,
          f"pvh command line: 10 bytes at 200000000000 {_UNREACHED}", {"cmdline_paddr": 1 << 45}),
    wrong("command line at the last byte", _P,
          f"pvh command line: 10 bytes at fffffffffffffff0 {_UNREACHED}", {"cmdline_paddr": -1}),
    wrong("command line on the image", _P, f"information: 100007 to 101000 {_ON_IMAGE}",
          {"cmdline_paddr": 0x100007}),
    wrong("command line without an end", replace(_P, cmdline=_HUGE, info_at=8 * MIB),
          f"pvh command line: the string at <cmdline> {_UNENDED}"),
]

_MULTIBOOT1 = [
    wrong("no map", _M1, f"multiboot1: information at <info> has flags c: {_NO_MAP1}",
          {"flags": 0xC}),
    wrong("empty map", _M1, f"multiboot1: information at <info> has flags 4c: {_NO_MAP1}",
          {"mmap_length": 0}),
    wrong("entry too small", _M1,
          "multiboot1: memory map entry at <mmap[2].size> claims 13 bytes, has 60",
          {"mmap[2].size": 19}),
    wrong("entry of no size", _M1,
          "multiboot1: memory map entry at <mmap[2].size> claims 0 bytes, has 60",
          {"mmap[2].size": 0}),
    wrong("entry too large", _M1,
          "multiboot1: memory map entry at <mmap[5].size> claims ffffffff bytes, has 18",
          {"mmap[5].size": -1}),
    wrong("map ends inside an entry", _M1,
          "multiboot1: memory map entry at <mmap[1].size> claims 0 bytes, has 3",
          {"mmap_length": 27}),
    wrong("module count lies", _M1,
          "multiboot1 module list has 5000000 entries, more than 1000", {"mods_count": 0x5000000}),
    wrong("module backwards", _M1, "multiboot1: a module ends (2fffff) before it starts (300000)",
          {"mods[0].mod_end": 0x2FFFFF}),
    wrong("module on the image", _M1, f"module: fffff to 100001 {_ON_IMAGE}",
          {"mods[0].mod_start": 0xFFFFF, "mods[0].mod_end": 0x100001}),
    wrong("command line without an end", replace(_M1, cmdline=_HUGE, info_at=8 * MIB),
          f"multiboot1 command line: the string at <cmdline_text> {_UNENDED}"),
]

# Its tag can be cut short: what then begins is a tag as well, and ends where it did.
_TAG_IN_A_STRING = Placed(0x300000, b"x", bytes([77, 0, 0, 0, 16, 0, 0, 0]))

_MULTIBOOT2 = [
    wrong("size 0", _M2, "multiboot2: information at <info> claims 0 bytes", {"total_size": 0}),
    wrong("size below the least", _M2, "multiboot2: information at <info> claims f bytes",
          {"total_size": 15}),
    wrong("size lies", _M2, "multiboot2: information at <info> claims ffffffff bytes",
          {"total_size": -1}),
    wrong("size runs over the image", _M2, f"information: <info> to 420000 {_ON_IMAGE}",
          {"total_size": 4 * MIB}),
    wrong("tag of no size", _M2, "multiboot2: tag 6 at <tags[0].type> claims 0 bytes, needs 8",
          {"tags[0].size": 0}),
    wrong("tag too small for a tag", _M2,
          "multiboot2: tag 1 at <tags[1].type> claims 7 bytes, needs 8", {"tags[1].size": 7}),
    wrong("tag too small for its kind", _M2,
          "multiboot2: tag 6 at <tags[0].type> claims f bytes, needs 10", {"tags[0].size": 15}),
    wrong("module tag too small", replace(_M2, modules=(_TAG_IN_A_STRING,)),
          "multiboot2: tag 3 at <tags[2].type> claims f bytes, needs 10", {"tags[2].size": 15}),
    wrong("tag past the end", _M2,
          "multiboot2: tag 6 at <tags[0].type> claims ffffffff bytes, but d0 are left",
          {"tags[0].size": -1}),
    wrong("no end tag", _M2, "multiboot2: no end tag before <info end>, where the information ends",
          {"tags[3].type": 77}),
    wrong("no map", _M2, "multiboot2: no memory map (tag 6) in the information at <info>",
          {"tags[0].type": 77}),
    wrong("entries too small", _M2,
          "multiboot2: memory map tag at <tags[0].type> has entries of 13 bytes",
          {"tags[0].entry_size": 19}),
    wrong("entries of no size", _M2,
          "multiboot2: memory map tag at <tags[0].type> has entries of 0 bytes",
          {"tags[0].entry_size": 0}),
    wrong("entries larger than the tag", _M2,
          "multiboot2: no memory map (tag 6) in the information at <info>",
          {"tags[0].entry_size": 0xFFFF}),
    wrong("EFI boot services", _M2,
          "multiboot2: EFI boot services are still running (tag 18 at <tags[1].type>)",
          {"tags[1].type": 18}),
    wrong("module backwards", _M2, "multiboot2: a module ends (0) before it starts (300000)",
          {"tags[2].mod_end": 0}),
    wrong("module on the image", _M2, f"module: fff00 to 101001 {_ON_IMAGE}",
          {"tags[2].mod_start": 0xFFF00, "tags[2].mod_end": 0x101001}),
]

# What no contract can mend: memory.


_TEN_THOUSAND = [(2 * GIB + i * 2 * PAGE, PAGE, e820.RESERVED) for i in range(10000)]


def memory(name: str, memory_map: list, message: str, cpu: str = "max", contract=PVH) -> Case:
    return wrong(name, Load(contract, memory_map=memory_map), message, cpu=cpu)


def little_ram(free: int, others: Sequence = ()) -> list:
    """So much beside the image, which takes the first 192 KiB and not all of them."""
    used = (0x100000, 0x30000, e820.RESERVED)
    return [(0, 0x9F000, e820.RAM), used, (0x130000, free, e820.RAM), *others]


_MEMORY = [
    *(memory("no RAM", [(0, 4 * GIB, e820.RESERVED)], f"{_NO_RAM} 0", contract=c)
      for c in CONTRACTS),
    memory("RAM below 1 MiB only", [(0, 0xA0000, e820.RAM)], f"{_NO_RAM} 0"),
    memory("RAM above 4 GiB only", [(4 * GIB, GIB, e820.RAM)], f"{_NO_RAM} 0"),
    memory("60 KiB of RAM", little_ram(0xF000), f"{_NO_RAM} f000"),
    memory("RAM that is all reserved too", [*PC_128M, (0, 2 * GIB, e820.BAD)], f"{_NO_RAM} 0"),
    memory("more ranges than RAM holds", little_ram(0x40000, _TEN_THOUSAND),
           "memory: a map of so many ranges takes <*> free bytes below 4 GiB"),
    memory("more RAM than there are tables for", little_ram(0x40000, [(4 * GIB, GIB << 9, 1)]),
           "paging: no memory is left for tables that map ffff800100000000 to 100000000 "
           "(8000000000 bytes)", "qemu64"),
    *(wrong("a module above the physical width", _P,
            f"memory map: what lies at {1 << bits:x} to {(1 << bits) + 2 * PAGE:x} is in use; the "
            f"CPU addresses less than {1 << bits:x}", {"modlist[0].paddr": 1 << bits}, cpu=cpu)
      for bits, cpu in ((40, "max"), (36, "max,phys-bits=36"))),
]

# What the image can be: damaged in memory, or linked in a way that cannot be met.

_PHOFF, _PHENTSIZE, _PHNUM = 32, 54, 56  # in the ELF header
_FLAGS, _VADDR, _PADDR, _MEMSZ = 4, 16, 24, 40  # in a program header
_HEADERS, _HEADER_BYTES = 64, 56
_NOT_OURS = "image: the ELF header at <image> is not that of this kernel"


def header(index: int, field: int) -> int:
    """Where in the image a field of a program header lies."""
    return _HEADERS + index * _HEADER_BYTES + field


def u16(value: int) -> bytes:
    return value.to_bytes(2, "little")


def u64(value: int) -> bytes:
    return (value % 2**64).to_bytes(8, "little")


def image(name: str, damage: Sequence[Tuple[int, bytes]], message: str, cpu: str = "max") -> Case:
    return wrong(name, Load(PVH), message, damage=damage, cpu=cpu)


def on_both(name: str, damage: list, message: str) -> list:
    """On a CPU with 1 GiB pages, and on one whose early tables are built in 32-bit mode."""
    return [image(name, damage, message, cpu) for cpu in ("max", "qemu64")]


_TYPES_GONE = [(header(i, 0), bytes(4)) for i in range(4)]

_IMAGE = [
    *on_both("ELF magic damaged", [(0, b"\x7fELG")], _NOT_OURS),
    *on_both("e_phentsize damaged", [(_PHENTSIZE, u16(32))], _NOT_OURS),
    *on_both("e_phoff far away", [(_PHOFF, u64(1 << 62))], _NOT_OURS),
    *on_both("no program headers", [(_PHNUM, u16(0))], _NOT_OURS),
    *on_both("more program headers than a page holds", [(_PHNUM, u16(0xFFFF))], _NOT_OURS),
    *on_both("nothing to load", _TYPES_GONE, _NOT_OURS),
    *on_both("a segment writable and executable", [(header(1, _FLAGS), b"\7")],
             "image: segment 1 (<segment 1>) is writable and executable"),
    *on_both("code in a segment that is not executable", [(header(0, _FLAGS), b"\4")],
             "image: segment 0 (<segment 0>) has this code, and is not executable"),
    *on_both("the stack in a segment that is not writable", [(header(3, _FLAGS), b"\4")],
             "image: segment 3 (<segment 3>) has the stack, and is not writable"),
    *on_both("segments out of order",
             [(header(2, _VADDR), u64(0xFFFFFFFF80100000) + u64(0x100000))],
             "image: segment 2 (ffffffff80100000) begins before the one before it ends "
             "(<segment 2>)"),
    image("a segment that wraps", [(header(1, _MEMSZ), u64(TIB))],
          "image: segment 1 (<segment 1>, 10000000000 bytes) is not page-aligned, or wraps"),
    image("an image too high for 2 MiB pages", [(header(3, _MEMSZ + 5), b"\1")],
          "paging: the image ends at <image end and 1 TiB>: too high for early tables of 2 MiB "
          "pages", "qemu64"),
    *on_both("a segment apart from the others", [(header(1, _PADDR), u64(0x200000))],
             "image: segment 1 (<segment 1> at 200000) is not at the first segment's offset"),
    *on_both("linked into the direct map",
             [(header(0, _VADDR), u64(0xFFFF800000100000))],
             "image: segment 0 (ffff800000100000) lies in the direct map"),
    *on_both("linked where no address is",
             [(header(0, _VADDR), u64(0x900000000000))],
             "image: segment 0 (900000000000) is no address with 4 levels of paging"),
]

# What the CPU can lack, and what the entry can be handed.


def lacking(cpu: str, message: str, kernel: str = "demo") -> Case:
    """By QEMU's PVH loader."""

    def run() -> Tuple[machine.Result, str]:
        path = cases.BUILD / f"{kernel}.elf"
        return machine.run(machine.Boot(kernel=path, cpu=cpu, timeout=TIMEOUT)), message

    return fatal_case(f"cpu: {kernel} on {cpu}", message, run)


def bad_wish(cpu: str, wish: int) -> Case:
    """Of a kernel that was linked with a number which means nothing."""

    def run() -> Tuple[machine.Result, str]:
        path = cases.BUILD / "demo.elf"
        kernel = patch(path, "prologue_wish_paging", wish.to_bytes(4, "little"))
        return machine.run(machine.Boot(kernel=kernel, cpu=cpu)), message

    message = f"wish: paging {wish} is none of 0 (best), 4 and 5"
    return fatal_case(f"cpu: a wish for {wish} levels on {cpu}", message, run)


_LACKS = "cpu: long mode or NX is missing (CPUID 80000001 EDX lacks"
_NO_LEAF = "cpu: no CPUID leaf 80000001 (the highest is"
_NO_LA57 = "wish: paging with 5 levels: this CPU has no LA57"

_CPU = [
    lacking("qemu32", f"{_LACKS} 20100000)"),
    lacking("qemu32", f"{_LACKS} 20100000)", "demo-five"),
    lacking("coreduo", f"{_LACKS} 20000000)", "demo-best"),
    lacking("max,lm=off", f"{_LACKS} 20000000)"),
    lacking("max,nx=off", f"{_LACKS} 100000)"),
    lacking("pentium", f"{_NO_LEAF} 543): no long mode"),  # and no CMOV, no SSE
    lacking("486", f"{_NO_LEAF} <*>): no long mode"),
    lacking("max,la57=off", _NO_LA57, "demo-five"),
    lacking("qemu64", _NO_LA57, "demo-five"),
    lacking("EPYC", _NO_LA57, "demo-five"),
    bad_wish("max", 3),
    bad_wish("qemu64", 6),
]

_LEFT_OUT = "entry: magic 2badb002 is of a contract that this kernel does not carry"

_MOVED = "image: linked for 100000, loaded at <image>: no wish to be relocatable"

_ENTRY = [
    wrong("EAX says nothing", _M1, f"{_UNKNOWN} 12345678 (information at <info>)", eax=0x12345678),
    wrong("EAX says nothing", _M2, f"{_UNKNOWN} 0 (information at <info>)", eax=0),
    wrong("EAX and EBX say nothing", _M2, f"{_UNKNOWN} 0 (information at fffffff0)", eax=0,
          ebx=0xFFFFFFF0),
    *(wrong("an image that was moved, and is fixed", replace(load, kernel="c_kernel-wishes",
                                                             base=base), _MOVED)
      for load, base in ((_P, 0x345000), (_M2, 0x3000000))),
    wrong("magic of a contract left out", replace(_M1, kernel="demo"), _LEFT_OUT),
    wrong("no information", _M1, f"multiboot1: information at 4000000 has flags 0: {_NO_MAP1}",
          ebx=0x4000000),
    wrong("no information", _M2, "multiboot2: information at 4000000 claims 0 bytes",
          ebx=0x4000000),
]


def pvh_magic_in_eax() -> Tuple[machine.Result, str]:
    """Which is no contract's: PVH's magic is the first word of the start info, and here it is not.
    """
    image, load = Image(_P.path), _P
    entry = registers(load, eip=image.physical(image.entry), eax=0x336EC578)
    boot = fed(load, lambda info: info.set("magic", 0x12345678), entry=entry, timeout=TIMEOUT)
    return (machine.run(boot),
            f"pvh: start info at {load.info_at:x} says magic 12345678, not 336ec578")


def no_information(contract: str, ebx: int, what: str) -> Case:
    """A good magic, and no RAM behind EBX: whatever is said, it must not be silence."""

    def function() -> None:
        load = _LOADS[contract]
        boot = fed(load, entry=registers(load, ebx=ebx), timeout=TIMEOUT)
        machine.run(boot).expect(machine.FATAL, f"^{FATAL}")

    return Case(f"badinput: {contract}: information {what}, at {ebx:#x}", function)


# Raised by what no loader and no CPU under TCG can do: an SEV guest, a fault in a fault's report
# (qemu/tests/exceptions*.py), a map that outgrows its own estimate, a kernel that returns, tables
# that meet a larger page; by UEFI's stub (hosttests/efi_*, qemu/tests/uefi.py); by a bzImage
# that is moved (qemu/tests/linux.py); by an IGVM file's host (qemu/tests/sev/igvm.py); and by
# wishes, of which qemu/tests/wishes.py tries all.
_NOT_HERE = {"sev", "nested_fault", "too_many_ranges", "kernel_returned", "map_conflict", "wish",
             "efi", "efi_place", "moved", "igvm_info"}


def every_error_has_a_boot() -> None:
    source = (cases.ROOT / "boot" / "errors.h").read_text()
    sentences = dict(re.findall(r'X\((\w+),\s*"([^"]*)"\)', source))
    assert len(sentences) > 30, "boot/errors.h is not what it was"
    missing = [name for name, text in sentences.items() if not raised(text)]
    untested = sorted(set(missing) - _NOT_HERE)
    assert not untested, f"no boot raises {', '.join(untested)}"


def raised(sentence: str) -> bool:
    patterns = {"s": ".+", "x": r"(?:<[^>]+>|[0-9a-f]+)", "u": "[0-9]+"}
    parts = re.split(r"%([sxu])", sentence)
    pattern = "".join(patterns[p] if i % 2 else re.escape(p) for i, p in enumerate(parts))
    return any(re.fullmatch(pattern, message) for message in EXPECTED)


CASES = [
    *_PVH,
    *_MULTIBOOT1,
    *_MULTIBOOT2,
    *_MEMORY,
    *_IMAGE,
    *_CPU,
    *_ENTRY,
    fatal_case("pvh: its magic in EAX only",
               "pvh: start info at <info> says magic 12345678, not 336ec578", pvh_magic_in_eax),
    no_information(MULTIBOOT1, 0xE0000000, "where nothing is"),
    no_information(MULTIBOOT1, 0xF0000, "in ROM"),
    no_information(MULTIBOOT2, 0x7FFFFFF8 + 8, "behind RAM"),
    Case("badinput: every error has a boot", every_error_has_a_boot),
]
