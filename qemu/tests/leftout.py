"""What a kernel can boot without: where a loader gets it wrong the boot goes on, and the handoff
says so. And what the handoff points to can be read, whatever the loader calls that memory."""

import struct
from dataclasses import replace
from typing import Callable, Optional, Sequence, Tuple

import e820
import machine
from any_loader import (
    CONTRACTS,
    FREEBSD,
    LINUX,
    PC_128M,
    PVH,
    VMD,
    Load,
    Placed,
    expect_exactly,
    fed,
)
from cases import Case
from composers import (
    Layout,
    Tag,
    raw,
    tag_efi_memory_map,
    tag_efi_table,
    tag_rsdp,
    u8,
    u16,
    u32,
    u64,
)
from guests import expected_paging
from handoff_report import MIB, PAGE

# The bits of prologue/handoff.h.
_STRING, _RANGE, _RAM, _FRAMEBUFFER, _RSDP, _SYMBOLS, _EFI, _ARGUMENT = (1 << b for b in range(8))

_MODULE = Placed(0x300000, b"x" * 5000, "one two")


def boots(name: str, load: Load, left_out: int, change: Callable[[Layout], object] = lambda i: None,
          believed: Optional[Load] = None, cpu: str = "max",
          damage: Sequence[Tuple[int, bytes]] = (), **expected) -> Case:
    """The report is that of `believed`, and of what was left out."""

    def function() -> None:
        result = machine.run(fed(load, change, damage, cpu=cpu))
        kernel = load.path.stem.removesuffix("-every").removesuffix("-multiboot1")
        report = expect_exactly(believed or load, result,
                                **expected_paging(kernel, cpu.split(",")[0]), **expected)
        assert report.fields.get("left-out", 0) == left_out, report.fields

    return Case(f"leftout: {name}, {load.contract} on {cpu}", function)


def without_string(load: Load) -> Load:
    return replace(load, modules=tuple(replace(m, cmdline=None) for m in load.modules))


_P, _M1, _M2 = (Load(c, modules=(_MODULE,), cmdline="a b") for c in CONTRACTS)
# Out of reach; on the image; and where nothing is, which reads as zero: an empty string.
_NOWHERE = ((0xFFFFFFFFFFFFFFFF, _STRING), (1 << 63, _STRING), (1 << 50, _STRING),
            (0x100010, _STRING), (200 << 30, 0), (0xE0000000, 0))
_STRINGS = [
    *(boots(f"a module's string at {at:#x}", _P, left_out,
            lambda info, at=at: info.set("modlist[0].cmdline_paddr", at), without_string(_P), cpu)
      for at, left_out in _NOWHERE for cpu in ("max", "qemu64")),
    boots("a module's string on the image", _M1, _STRING,
          lambda info: info.set("mods[0].string", 0x100010), without_string(_M1)),
]

_WRAPS = ((-PAGE % 2**64, 2 * PAGE, 2), (MIB, 2**64 - 1, 2), (MIB, 2**64 - 1, e820.RAM),
          (PAGE, 2**64 - PAGE + 1, 5))
_ALL = (*CONTRACTS, LINUX, VMD, FREEBSD)
_RANGES = [
    *(boots(f"a range that wraps at {wraps[0]:#x} of type {wraps[2]}",
            Load(contract, memory_map=[*PC_128M, wraps]), _RANGE, believed=Load(contract))
      for wraps in _WRAPS for contract in _ALL),
    *(boots(f"RAM at {ram[0]:#x}, which this CPU cannot address",
            Load(contract, memory_map=[*PC_128M, ram]), _RAM,
            believed=Load(contract, memory_map=[*PC_128M, *kept]), cpu=cpu)
      for cpu, ram, kept in (
          ("max", (1 << 40, PAGE, e820.RAM), ()),
          ("max,phys-bits=36", (1 << 36, PAGE, e820.RAM), ()),
          ("max,phys-bits=36", (1 << 44, 1 << 30, e820.NVS), ()),
          ("max,phys-bits=37", ((1 << 37) - MIB, 2 * MIB, e820.RAM),
           (((1 << 37) - MIB, MIB, e820.RAM),)))
      for contract in (_ALL if kept else (PVH,))),
]

_FB = [u64("framebuffer_addr", 0xFD000000), u32("framebuffer_pitch", 4096),
       u32("framebuffer_width", 1024), u32("framebuffer_height", 768), u8("framebuffer_bpp", 32),
       u8("framebuffer_type", 1)]
_COLOURS = raw("color_info", bytes((16, 8, 8, 8, 0, 8)))
_OPTIONAL = (
    ("a framebuffer by the specification's table", Tag(8, [*_FB, u8("reserved"), _COLOURS]), 0),
    ("a framebuffer without its colours", Tag(8, [*_FB, u16("reserved")]), _FRAMEBUFFER),
    ("a framebuffer without its kind", Tag(8, _FB[:-1]), _FRAMEBUFFER),
    ("an empty framebuffer tag", Tag(8, []), _FRAMEBUFFER),
    ("half an RSDP", tag_rsdp(bytes(20))._replace(fields=[raw("rsdp", bytes(19))]), _RSDP),
    ("a newer RSDP that is an older one", Tag(15, [raw("rsdp", bytes(20))]), _RSDP),
    ("no table of symbols", Tag(9, []), _SYMBOLS),
    ("symbols in entries of no size", Tag(9, [u32("n", 5), u32("size", 0), u32("i", 0)]), _SYMBOLS),
    ("half a pointer to EFI", tag_efi_table(0)._replace(fields=[u32("pointer", 1)]), _EFI),
    ("EFI descriptors that are too small", tag_efi_memory_map([(MIB, 1, 7)], 39 + 1)._replace(
        fields=[u32("descr_size", 39), u32("descr_vers", 1), raw("all", bytes(39))]), _EFI),
    ("an EFI map without its head", Tag(17, []), _EFI),
)
_TAGS = [
    *(boots(name, replace(_M2, tags=(tag,)), bit) for name, tag, bit in _OPTIONAL),
    *(boots(f"an end tag of {size} bytes", _M2, 0,
            lambda info, size=size: info.set("tags[3].size", size)) for size in (0, 7, 0xFFFFFFFF)),
]


def _in(kind: int, contract: str) -> Load:
    """An initrd in what the map calls something else."""
    return Load(contract, memory_map=[*PC_128M[:3], (MIB, 2 * MIB, 1), (3 * MIB, MIB, kind),
                                      (4 * MIB, 0x7BE0000, 1), *PC_128M[4:]],
                modules=(Placed(0x310123, b"x" * 5000, None if contract == LINUX else "initrd"),))


_MODULES = [boots(f"a module in memory of type {kind}", _in(kind, contract), 0)
            for kind in (e820.RESERVED, e820.NVS, e820.BAD, 12)
            for contract in (*CONTRACTS, LINUX, FREEBSD)]

_EFI_MAP = struct.pack("<4sIIIII", b"EL64", 0, 39, 1, 0x30000, 39)
_LINUX = [boots("EFI descriptors that are too small", Load(LINUX, cmdline="a"), _EFI,
                lambda info: info.set("efi_signature", _EFI_MAP))]

_FREEBSD = [boots("an environment that does not end", Load(FREEBSD, cmdline="a"), _ARGUMENT,
                  lambda info: info.set("bi.envp", 0x500000), damage=((0x500000, b"e" * 70000),))]

CASES = [*_STRINGS, *_RANGES, *_TAGS, *_MODULES, *_LINUX, *_FREEBSD]
