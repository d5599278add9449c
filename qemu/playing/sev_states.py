"""First states of a guest that a kernel is entered with in 64-bit mode, as state files. All that
lies in memory for it lies where the SEV host's memory map calls it reserved."""

import struct
from pathlib import Path

import composers

_START_INFO, _BOOT_PARAMS, _CMDLINE = 0x96000, 0x90000, 0x98000
_MEMORY_MAP = 0x91000
_PML4, _PDPT, _PD, _GDT = 0x9C000, 0x9D000, 0x9E000, 0x9F000

_LONG_MODE = f"""
rsp 0
rflags 0x2
cr0 0x80000011
cr3 {_PML4:#x}|$cbit
cr4 0x20
efer 0x100
cs 0x18 code64 0xffffffff 0
ds 0x10 data32 0xffffffff 0
es 0x10 data32 0xffffffff 0
fs 0x10 data32 0xffffffff 0
gs 0x10 data32 0xffffffff 0
ss 0x10 data32 0xffffffff 0
ldtr 0 ldt 0xffff 0
tr 0 tss32 0xffff 0
gdtr 0x1f {_GDT:#x}
idtr 0xffff 0
at {_GDT:#x}
u64 0 0x00cf9b000000ffff 0x00cf93000000ffff 0x00af9b000000ffff
at {_PML4:#x}
u64 {_PDPT + 7:#x}|$cbit
at {_PDPT:#x}
u64 {_PD + 7:#x}|$cbit
at {_PD:#x}
table 512 0x87|$cbit 0x200000
"""


def pvh64(path: Path) -> Path:
    """In 64-bit mode by e_entry, RBX = the start info. RSI must point to something that the launch
    measured: for Linux's contract it is looked at."""
    registers = f"rip $entry&0x0fffffff\nrbx {_START_INFO:#x}\nrsi {_START_INFO:#x}"
    path.write_text(registers + _LONG_MODE)
    return path


def pvh64_many_ranges(path: Path, memory: int, pieces: int) -> Path:
    """The same, with a start info of its own: behind the first 32 MiB its map is in so many
    pieces, every other one of them reserved."""
    start, piece = 32 << 20, 0x3000
    ranges = [(0, 0x90000, 1), (0x90000, 0x10000, 2), (0x100000, start - 0x100000, 1)]
    ranges += [(start + i * piece, piece, 1 + i % 2) for i in range(pieces)]
    end = start + pieces * piece
    ranges.append((end, memory - end, 1))
    info = struct.pack("<4I4Q2I", 0x336EC578, 1, 0, 0, 0, _CMDLINE, 0, _MEMORY_MAP, len(ranges), 0)
    words = b"".join(struct.pack("<QQII", *entry, 0) for entry in ranges)
    assert len(words) <= _START_INFO - _MEMORY_MAP
    registers = f"rip $entry&0x0fffffff\nrbx {_BOOT_PARAMS:#x}\nrsi {_START_INFO:#x}"
    path.write_text(f"{registers}{_LONG_MODE}at {_BOOT_PARAMS:#x}\nu32 {_words(info)}\n"
                    f"at {_MEMORY_MAP:#x}\nu32 {_words(words)}\n")
    return path


def multiboot2_efi64(path: Path, entry: int) -> Path:
    """As GRUB enters on UEFI where a header asks for the boot services: on the firmware's tables."""
    tags = [composers.tag_efi_table(_BOOT_PARAMS), composers.Tag(18, [])]
    ((_, info),) = composers.multiboot2_info(_BOOT_PARAMS, tags).records
    registers = f"rip {entry:#x}\nrax {composers.MULTIBOOT2_MAGIC:#x}\nrbx {_BOOT_PARAMS:#x}"
    state = _LONG_MODE.replace("rsp 0", f"rsp {_PML4:#x}").replace("cr4 0x20", "cr4 0x620")
    path.write_text(f"{registers}{state}at {_BOOT_PARAMS:#x}\nu32 {_words(info)}\n")
    return path


def _words(data: bytes) -> str:
    return " ".join(f"{word:#x}" for word in struct.unpack(f"<{len(data) // 4}I", data))


def linux64(path: Path, memory: int) -> Path:
    """Linux's 64-bit entry, 0x200 behind the image's first byte. Without the blob of SNP's pages:
    the image clears its own .bss, where the SEV host has put them for an ELF file."""
    params = bytearray(0x400)
    ranges = [(0, 0x90000, 1), (0x90000, 0x10000, 2), (0x100000, memory - 0x100000, 1)]
    struct.pack_into("<B", params, 0x1E8, len(ranges))
    struct.pack_into("<4sH", params, 0x202, b"HdrS", 0x20F)
    struct.pack_into("<B", params, 0x201, 0x66)
    struct.pack_into("<I", params, 0x228, _CMDLINE)
    for i, entry in enumerate(ranges):
        struct.pack_into("<QQI", params, 0x2D0 + 20 * i, *entry)
    text = (f"rip 0x100200\nrsi {_BOOT_PARAMS:#x}{_LONG_MODE}at {_BOOT_PARAMS:#x}\n"
            f"u32 {_words(params)}\n")
    path.write_text(text)
    return path
