"""Changes an ELF64's headers, notes and bytes: for images that are wrong in one way."""

import struct
from pathlib import Path
from typing import NamedTuple

import cases
from images import Image

_EHDR = {"ei_class": (4, "B"), "ei_data": (5, "B"), "e_type": (16, "H"), "e_machine": (18, "H"),
         "e_entry": (24, "Q"), "e_phoff": (32, "Q"), "e_shoff": (40, "Q"), "e_phentsize": (54, "H"),
         "e_phnum": (56, "H"), "e_shentsize": (58, "H"), "e_shnum": (60, "H")}
_PHDR = {"p_type": (0, "I"), "p_flags": (4, "I"), "p_offset": (8, "Q"), "p_vaddr": (16, "Q"),
         "p_paddr": (24, "Q"), "p_filesz": (32, "Q"), "p_memsz": (40, "Q"), "p_align": (48, "Q")}
_SHDR = {"sh_name": (0, "I"), "sh_type": (4, "I"), "sh_offset": (24, "Q"), "sh_size": (32, "Q")}
PHDR_BYTES = 56

PT_NULL, PT_LOAD, PT_NOTE = 0, 1, 4


class Note(NamedTuple):
    """Where it begins in the file, and where its descriptor does."""

    head: int
    desc: int
    owner: bytes
    kind: int


class Elf:
    """The bytes of an ELF64, to be changed and then saved under another name."""

    def __init__(self, path: Path):
        self.image = Image(path)
        self.bytes = bytearray(self.image.contents)

    def saved(self) -> Path:
        return cases.scratch_file(bytes(self.bytes), self.image.path.name)

    def get(self, at: int, kind: str = "I") -> int:
        return struct.unpack_from(f"<{kind}", self.bytes, at)[0]

    def put(self, at: int, value: int, kind: str = "I") -> None:
        struct.pack_into(f"<{kind}", self.bytes, at, value % (1 << 8 * struct.calcsize(kind)))

    def header(self, name: str) -> int:
        return self.get(*_EHDR[name])

    def set_header(self, **fields: int) -> "Elf":
        for name, value in fields.items():
            self.put(_EHDR[name][0], value, _EHDR[name][1])
        return self

    # ---- Program headers: by number ----

    def segment(self, index: int, name: str) -> int:
        offset, kind = _PHDR[name]
        return self.get(self._phdr(index) + offset, kind)

    def set_segment(self, index: int, **fields: int) -> "Elf":
        for name, value in fields.items():
            offset, kind = _PHDR[name]
            self.put(self._phdr(index) + offset, value, kind)
        return self

    def segments(self, kind: int) -> list:
        return [index for index in range(self.header("e_phnum"))
                if self.segment(index, "p_type") == kind]

    def swap_segments(self, one: int, other: int) -> "Elf":
        first, second = (slice(self._phdr(index), self._phdr(index) + PHDR_BYTES)
                         for index in (one, other))
        self.bytes[first], self.bytes[second] = self.bytes[second], self.bytes[first]
        return self

    def _phdr(self, index: int) -> int:
        return self.header("e_phoff") + index * self.header("e_phentsize")

    # ---- Sections: by number ----

    def set_section(self, index: int, **fields: int) -> "Elf":
        for name, value in fields.items():
            offset, kind = _SHDR[name]
            self.put(self.header("e_shoff") + index * self.header("e_shentsize") + offset, value,
                     kind)
        return self

    # ---- Notes, in the order of the PT_NOTEs ----

    def note(self, owner: str, kind: int) -> Note:
        (found,) = (note for note in self.notes()
                    if note.owner == owner.encode() and note.kind == kind)
        return found

    def notes(self) -> list:
        found = []
        for index in self.segments(PT_NOTE):
            at = self.segment(index, "p_offset")
            end = at + self.segment(index, "p_filesz")
            while at < end:
                name_bytes, desc_bytes, kind = struct.unpack_from("<III", self.bytes, at)
                owner = bytes(self.bytes[at + 12:at + 12 + name_bytes]).rstrip(b"\0")
                desc = at + 12 + _aligned(name_bytes)
                found.append(Note(at, desc, owner, kind))
                at = desc + _aligned(desc_bytes)
        return found

    # ---- Multiboot's headers ----

    def place(self, symbol: str) -> int:
        return self.image.file_offset(symbol)


def _aligned(value: int) -> int:
    return -(-value // 4) * 4
