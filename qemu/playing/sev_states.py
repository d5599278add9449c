"""First states of a guest that a kernel is entered with in 64-bit mode, as state files. All that
lies in memory for it lies where the SEV host's memory map calls it reserved."""

import struct
from pathlib import Path

import composers

_START_INFO, _BOOT_PARAMS, _CMDLINE = 0x96000, 0x90000, 0x98000
_LONG_MEMORY_MAP, _EFI_MAP = 24 << 20, 0x94000
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


def pvh_many_ranges(path: Path, memory: int, pieces: int, *apart: int) -> Path:
    """In 32-bit mode by e_entry, with a start info of its own, whose map lies in usable memory,
    but for those of its pages that are said to be reserved: behind the first 32 MiB it is in so
    many pieces, every other one of them reserved."""
    start, piece = 32 << 20, 0x2000
    ranges = [(0, 0x90000, 1), (0x90000, 0x10000, 2), (0x100000, start - 0x100000, 1)]
    ranges += [(_LONG_MEMORY_MAP + (page << 12), 0x1000, 2) for page in apart]
    ranges += [(start + i * piece, piece, 1 + i % 2) for i in range(pieces)]
    end = start + pieces * piece
    ranges.append((end, memory - end, 1))
    info = struct.pack("<4I4Q2I", 0x336EC578, 1, 0, 0, 0, _CMDLINE, 0, _LONG_MEMORY_MAP,
                       len(ranges), 0)
    words = b"".join(struct.pack("<QQII", *entry, 0) for entry in ranges)
    (path.parent / "map.bin").write_bytes(words)
    path.write_text(f"rip $entry&0x0fffffff\nrbx {_BOOT_PARAMS:#x}\n"
                    f"at {_BOOT_PARAMS:#x}\nu32 {_words(info)}\n"
                    f"at {_LONG_MEMORY_MAP:#x}\nfile map.bin\n")
    return path


def multiboot2_efi64(path: Path, entry: int) -> Path:
    """As GRUB enters on UEFI where a header asks for the boot services: on the firmware's
    tables."""
    tags = [composers.tag_efi_table(_BOOT_PARAMS), composers.Tag(18, [])]
    ((_, info),) = composers.multiboot2_info(_BOOT_PARAMS, tags).records
    registers = f"rip {entry:#x}\nrax {composers.MULTIBOOT2_MAGIC:#x}\nrbx {_BOOT_PARAMS:#x}"
    state = _LONG_MODE.replace("rsp 0", f"rsp {_PML4:#x}").replace("cr4 0x20", "cr4 0x620")
    path.write_text(f"{registers}{state}at {_BOOT_PARAMS:#x}\nu32 {_words(info)}\n")
    return path


# A firmware's leavings, in memory that its map calls conventional: so it has validated that, and
# the loader's map says that it is usable. Behind that lies what nobody has accepted.
FIRMWARES = (0x1000000, 0x1400000)
SYSTEM_TABLE, _TABLES, BLOB = 0x1002010, 0x1003008, 0x1004004
FIRMWARES_TABLES = (SYSTEM_TABLE, _TABLES, BLOB)
SECRETS_PAGE, CPUID_PAGE = 0x1005000, 0x1006000
_CC_GUID = bytes.fromhex("5f1f7b0626cfc544855493d777912d42")
_CPUID_PAGE_LEAVES = {  # leaf: EAX, EBX, ECX, EDX
    0: (0xD, 0x68747541, 0x444D4163, 0x69746E65), 1: (0x800F12, 0x800, 0x40000000, 0x178BFBFF),
    7: (0, 0, 0, 0), 0x80000000: (0x8000001F, 0, 0, 0), 0x80000001: (0, 0, 0, 0x2C100800),
    0x80000008: (0x3034, 0, 0, 0),
}


def _cpuid_page(c_bit: int) -> bytes:
    leaves = dict(_CPUID_PAGE_LEAVES) | {0x8000001F: (0xF, c_bit, 0, 0)}
    return struct.pack("<IIQ", len(leaves), 0, 0) + b"".join(
        struct.pack("<IIQQIIIIQ", leaf, 0, 0, 0, *registers, 0)
        for leaf, registers in leaves.items())


def _pieces(pieces: dict) -> str:
    return "".join(f"at {at:#x}\nu32 {_words(data + bytes(-len(data) % 4))}\n"
                   for at, data in pieces.items())


def _firmware(c_bit: int) -> str:
    """All of it, from the system table to the two pages."""
    start, end = FIRMWARES
    blob = struct.pack("<4sHHQIIQII", b"AMDE", 1, 0, SECRETS_PAGE, 0x1000, 0, CPUID_PAGE, 0x1000, 0)
    tables = bytes(16) + struct.pack("<Q", 0x1234) + _CC_GUID + struct.pack("<Q", BLOB)
    system_table = b"IBI SYST" + bytes(96) + struct.pack("<QQ", 2, _TABLES)
    return (f"at {start:#x}\ntable {(end - start) // 8} 0 0\n" + _pieces(
        {SYSTEM_TABLE: system_table, _TABLES: tables, BLOB: blob,
         SECRETS_PAGE: struct.pack("<I", 2), CPUID_PAGE: _cpuid_page(c_bit)}))


def _maps(memory: int, unaccepted: int) -> tuple:
    """As the loader states them: the e820, and UEFI's."""
    start, end = FIRMWARES
    e820 = [(0, 0xA0000, 2), (start, end - start, 1), (end, memory - end, 2)]
    efi = [(start, (end - start) >> 12, 7), (end, (memory - end) >> 12, unaccepted)]
    return e820, efi


def multiboot2_firmware(path: Path, memory: int, c_bit: int, unaccepted: int = 15) -> Path:
    """As GRUB enters on UEFI, in 32-bit mode, behind ExitBootServices."""
    e820, efi = _maps(memory, unaccepted)
    tags = [composers.tag_cmdline("by a firmware"), composers.tag_memory_map(e820),
            composers.tag_efi_table(SYSTEM_TABLE), composers.tag_efi_memory_map(efi)]
    ((_, info),) = composers.multiboot2_info(_BOOT_PARAMS, tags).records
    path.write_text(f"rip $entry&0x0fffffff\nrax {composers.MULTIBOOT2_MAGIC:#x}\n"
                    f"rbx {_BOOT_PARAMS:#x}\n{_firmware(c_bit)}" + _pieces({_BOOT_PARAMS: info}))
    return path


def multiboot2_hosts_firmware(path: Path, memory: int, cpuid_page: int = CPUID_PAGE,
                              secrets_page: int = SECRETS_PAGE) -> Path:
    """The same, but blob and pages are the host's own, for it to lie about."""
    rest = multiboot2_firmware(path, memory, 51).read_text()
    path.write_text(f"cpuid-page {cpuid_page:#x}\nsecrets-page {secrets_page:#x}\n"
                    f"blob {BLOB:#x}\n{rest}")
    return path


def linux64_firmware(path: Path, memory: int, c_bit: int, unaccepted: int = 15) -> Path:
    """As GRUB enters by Linux's protocol, in 64-bit mode."""
    e820, efi = _maps(memory, unaccepted)
    params = bytearray(0x1000)
    struct.pack_into("<4s5I", params, 0x1C0, b"EL64", SYSTEM_TABLE, 48, 1, _EFI_MAP, 48 * len(efi))
    struct.pack_into("<B", params, 0x1E8, len(e820))
    struct.pack_into("<4sH", params, 0x202, b"HdrS", 0x20F)
    struct.pack_into("<B", params, 0x201, 0x66)
    struct.pack_into("<I", params, 0x228, _CMDLINE)
    for i, entry in enumerate(e820):
        struct.pack_into("<QQI", params, 0x2D0 + 20 * i, *entry)
    descriptors = b"".join(struct.pack("<IIQQQQQ", kind, 0, start, 0, pages, 0, 0)
                           for start, pages, kind in efi)
    path.write_text(f"rip 0x100200\nrsi {_BOOT_PARAMS:#x}{_LONG_MODE}{_firmware(c_bit)}" + _pieces(
        {_BOOT_PARAMS: bytes(params), _EFI_MAP: descriptors, _CMDLINE: b"by a firmware\0"}))
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
