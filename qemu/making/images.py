"""Reads, moves and patches ELF64 kernel images."""

import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import List, NamedTuple, Optional, Tuple, Union

from elftools.elf.elffile import ELFFile

import cases

Record = Tuple[int, bytes]  # physical address, what belongs there
Where = Union[str, int]     # a symbol, or a virtual address

_PVH_OWNER = b"Xen"
_PVH_ENTRY = 18
_PHDR_PADDR = 24  # offset of p_paddr in an Elf64_Phdr

_MULTIBOOT2_TAGS = 16  # behind the header's fixed part

_MULTIBOOT1_MAGIC = 0x1BADB002
_MULTIBOOT1_SEARCH = 8192
_MULTIBOOT1_ADDRESSES = range(12, 32, 4)  # header_addr, load_addr, load_end, bss_end, entry
_MULTIBOOT1_HAS_ADDRESSES = 1 << 16


@dataclass(frozen=True)
class Segment:
    """A PT_LOAD: `data` is its file part, zeros follow up to `memsz` bytes; `flags` are p_flags."""

    paddr: int
    vaddr: int
    offset: int
    data: bytes
    memsz: int
    flags: int


class _Field(NamedTuple):
    """An integer in the file."""

    offset: int
    bytes: int


class Image:
    """An ELF64 file. Addresses are as linked unless a `base` is given: the physical address that
    the lowest p_paddr is moved to, all segments keeping their distances."""

    def __init__(self, path: Path):
        self.path = cases.made(Path(path))
        self.contents = self.path.read_bytes()
        with open(self.path, "rb") as stream:
            elf = ELFFile(stream)
            assert elf.elfclass == 64, f"{path} is not an ELF64"
            self.entry = elf["e_entry"]
            self.segments = [_load(s) for s in elf.iter_segments("PT_LOAD")]
            self.symbols = _symbols(elf)
            self.paddr_fields = _paddr_fields(elf)
            self.pvh_entry_field = _pvh_entry_field(elf, self.contents)
        self.base = min(s.paddr for s in self.segments)
        self.end = max(s.paddr + s.memsz for s in self.segments)

    def relocate(self, base: int) -> List[Segment]:
        """The segments, moved."""
        return [replace(s, paddr=s.paddr + base - self.base) for s in self.segments]

    def records(self, base: Optional[int] = None, bss: Optional[int] = None) -> List[Record]:
        """What a loader puts into memory: the segments' data and, where `bss` is given, BSS filled
        with that byte."""
        moved = self.relocate(self._base(base))
        records = [(s.paddr, s.data) for s in moved if s.data]
        if bss is not None:
            tails = [(s.paddr + len(s.data), s.memsz - len(s.data)) for s in moved]
            records += [(at, bytes([bss]) * count) for at, count in tails if count]
        return records

    def virtual(self, where: Where) -> int:
        return self.symbols[where] if isinstance(where, str) else where

    def physical(self, where: Where, base: Optional[int] = None) -> int:
        vaddr = self.virtual(where)
        segment = self._segment(vaddr)
        return vaddr - segment.vaddr + segment.paddr + self._base(base) - self.base

    def file_offset(self, where: Where) -> int:
        vaddr = self.virtual(where)
        segment = self._segment(vaddr)
        assert vaddr - segment.vaddr < len(segment.data), f"{where} is in BSS, not in the file"
        return vaddr - segment.vaddr + segment.offset

    def find(self, after: Where, code: bytes) -> int:
        """The virtual address of the first such machine code behind a symbol or address."""
        start = self.file_offset(after)
        return self.virtual(after) + self.contents.index(code, start) - start

    def pvh_entry(self, base: Optional[int] = None) -> int:
        """The physical entry that the PVH note names."""
        assert self.pvh_entry_field, f"{self.path} has no PVH note"
        return self.read(self.pvh_entry_field) + self._base(base) - self.base

    def read(self, field: _Field) -> int:
        return int.from_bytes(self.contents[field.offset : field.offset + field.bytes], "little")

    def _base(self, base: Optional[int]) -> int:
        return self.base if base is None else base

    def _segment(self, vaddr: int) -> Segment:
        for segment in self.segments:
            if segment.vaddr <= vaddr < segment.vaddr + segment.memsz:
                return segment
        raise KeyError(f"{vaddr:#x} is in no segment of {self.path}")


def symbols(path: Path) -> dict:
    """The addresses of an ELF's symbols by name, in 32 bits or 64."""
    with open(path, "rb") as stream:
        return _symbols(ELFFile(stream))


def mangled(symbols_: dict, *names: str) -> str:
    """The only symbol of a C++ function of this name, its class or namespace before it."""
    fragment = "".join(f"{len(name)}{name}" for name in names) + "E"
    (found,) = (symbol for symbol in symbols_ if fragment in symbol)
    return found


def multiboot2_tag(image: Image, kind: int) -> int:
    """The virtual address of the first tag of that type in the Multiboot 2 header."""
    header = image.virtual("prologue_multiboot2")
    at = start = image.file_offset(header)
    at += _MULTIBOOT2_TAGS
    while (tag := struct.unpack_from("<HHI", image.contents, at))[0] != kind:
        assert tag[0] != 0, f"the Multiboot 2 header has no tag {kind}"
        at += _round_up(tag[2], 8)
    return header + at - start


def patch(path: Path, where: Where, replacement: bytes) -> Path:
    """A copy of an ELF with its bytes at a symbol or virtual address overwritten."""
    image = Image(path)
    return _copy(image, [(image.file_offset(where), replacement)])


def rebased(path: Path, base: int) -> Path:
    """A copy of an ELF that asks to be loaded at `base`, for loaders that do as it asks: p_paddr
    of every program header, the PVH note's entry and the address fields of a Multiboot 1 header
    move by the same distance. e_entry stays."""
    image = Image(path)
    fields = list(image.paddr_fields) + _multiboot1_fields(image)
    if image.pvh_entry_field:
        fields.append(image.pvh_entry_field)
    moved = [(f, image.read(f) + base - image.base) for f in fields]
    return _copy(image, [(f.offset, value.to_bytes(f.bytes, "little")) for f, value in moved])


def _copy(image: Image, edits: List[Tuple[int, bytes]]) -> Path:
    contents = bytearray(image.contents)
    for offset, replacement in edits:
        assert offset + len(replacement) <= len(contents)
        contents[offset : offset + len(replacement)] = replacement
    return cases.scratch_file(bytes(contents), image.path.name)


def _load(segment) -> Segment:
    return Segment(
        paddr=segment["p_paddr"],
        vaddr=segment["p_vaddr"],
        offset=segment["p_offset"],
        data=segment.data(),
        memsz=segment["p_memsz"],
        flags=segment["p_flags"],
    )


def _symbols(elf: ELFFile) -> dict:
    table = elf.get_section_by_name(".symtab")
    return {s.name: s["st_value"] for s in table.iter_symbols() if s.name} if table else {}


def _paddr_fields(elf: ELFFile) -> List[_Field]:
    """Where each program header that describes memory has its p_paddr."""
    start, stride = elf["e_phoff"], elf["e_phentsize"]
    return [
        _Field(start + index * stride + _PHDR_PADDR, 8)
        for index, segment in enumerate(elf.iter_segments())
        if segment["p_type"] != "PT_GNU_STACK"
    ]


def _pvh_entry_field(elf: ELFFile, contents: bytes) -> Optional[_Field]:
    for segment in elf.iter_segments("PT_NOTE"):
        at, end = segment["p_offset"], segment["p_offset"] + segment["p_filesz"]
        while at < end:
            namesz, descsz, kind = struct.unpack_from("<III", contents, at)
            desc = at + 12 + _round_up(namesz, 4)
            owner = contents[at + 12 : at + 12 + namesz].rstrip(b"\0")
            if owner == _PVH_OWNER and kind == _PVH_ENTRY:
                return _Field(desc, descsz)
            at = desc + _round_up(descsz, 4)
    return None


def _multiboot1_fields(image: Image) -> List[_Field]:
    """The header's address fields that are used: load_end and bss_end may be 0."""
    for at in range(0, min(_MULTIBOOT1_SEARCH, len(image.contents)) - 32, 4):
        magic, flags, checksum = struct.unpack_from("<III", image.contents, at)
        if magic == _MULTIBOOT1_MAGIC and (magic + flags + checksum) % 2**32 == 0:
            if not flags & _MULTIBOOT1_HAS_ADDRESSES:
                return []
            fields = [_Field(at + offset, 4) for offset in _MULTIBOOT1_ADDRESSES]
            return [f for f in fields if image.read(f)]
    return []


def _round_up(value: int, alignment: int) -> int:
    return -(-value // alignment) * alignment
