"""PE images that are each wrong in one way, as wrong_kernels.py has kernels."""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import cases
from wrong_kernels import Wrong

EFI = frozenset({"efi"})
_HEADER_AT, _SECTION_BYTES = 0x3C, 40
_OPTIONAL = 24  # from the header on
_SECTION_ADDRESS, _SECTION_FILE_BYTES, _SECTION_PLACE, _SECTION_RIGHTS = 12, 16, 20, 36
_WRITE, _EXECUTE = 0x80000000, 0x20000000
_CERTIFICATES = 112 + 4 * 8


def right() -> Path:
    return cases.BUILD / "demo-every.bzImage"


class Pe:
    """A file to be changed, field by field; fields are named by where they lie."""

    def __init__(self, path: Path):
        self.bytes = bytearray(path.read_bytes())
        self.header, = struct.unpack_from("<I", self.bytes, _HEADER_AT)
        count, = struct.unpack_from("<H", self.bytes, self.header + 6)
        optional, = struct.unpack_from("<H", self.bytes, self.header + 20)
        self._sections = {}
        for i in range(count):
            at = self.header + _OPTIONAL + optional + i * _SECTION_BYTES
            self._sections[bytes(self.bytes[at:at + 8]).rstrip(b"\0").decode()] = at

    def put(self, at: int, kind: str, value: int) -> None:
        struct.pack_into(kind, self.bytes, at, value)

    def optional(self, offset: int, kind: str, value: int) -> None:
        self.put(self.header + _OPTIONAL + offset, kind, value)

    def section(self, name: str, offset: int, value: int) -> None:
        self.put(self._sections[name] + offset, "<I", value)

    def section_field(self, name: str, offset: int) -> int:
        return struct.unpack_from("<I", self.bytes, self._sections[name] + offset)[0]

    def stub(self, offset: int, kind: str, value: int) -> None:
        self.put(self.section_field(".text", _SECTION_PLACE) + offset, kind, value)

    def rename(self, name: str, to: bytes) -> None:
        self.bytes[self._sections[name]:self._sections[name] + 8] = to.ljust(8, b"\0")

    def saved(self) -> Path:
        return cases.scratch_file(bytes(self.bytes), "kernel.efi")


@dataclass(frozen=True)
class WrongPe(Wrong):
    def image(self) -> Path:
        pe = Pe(self.base())
        self.edit(pe)
        return pe.saved()


def wrong(rule: str, edit: Callable[[Pe], object], severity: str = "error", also=()) -> WrongPe:
    return WrongPe(rule, EFI, right, edit, also, (), severity)


def cut(at: int) -> Callable[[Pe], None]:
    def edit(pe: Pe) -> None:
        del pe.bytes[at:]
    return edit


def rights(name: str, change: Callable[[int], int]) -> Callable[[Pe], None]:
    return lambda pe: pe.section(name, _SECTION_RIGHTS,
                                 change(pe.section_field(name, _SECTION_RIGHTS)))


def asked_of_others() -> WrongPe:
    others = ("qemu-pvh", "kexec-elf")
    return WrongPe("contract-not-carried", frozenset(others), right, lambda pe: None, (), others)


ALL = [
    asked_of_others(),
    wrong("pe-cut", cut(0x40)),
    wrong("pe-cut", cut(0x180)),
    wrong("pe-cut", cut(-1)),
    wrong("pe-cut", lambda pe: pe.section(".kernel", _SECTION_FILE_BYTES, 0xFFFFFE00)),
    wrong("pe-header", lambda pe: pe.put(pe.header, "<I", 0x454E)),
    wrong("pe-header", lambda pe: pe.put(pe.header + 20, "<H", 96)),
    wrong("pe-kind", lambda pe: pe.put(pe.header + 4, "<H", 0xAA64)),
    wrong("pe-kind", lambda pe: pe.optional(0, "<H", 0x10B)),
    wrong("pe-kind", lambda pe: pe.optional(68, "<H", 11)),
    wrong("pe-alignment", lambda pe: pe.optional(32, "<I", 0x1800)),
    wrong("pe-alignment", lambda pe: pe.optional(36, "<I", 0)),
    wrong("pe-alignment", lambda pe: pe.section(".kernel", _SECTION_ADDRESS, 0x10010),
          also=("pe-image-size", "pe-stub")),
    wrong("pe-headers-size", lambda pe: pe.optional(60, "<I", 0x100)),
    wrong("pe-headers-size", lambda pe: pe.optional(60, "<I", 0x10000000),
          also=("pe-sections-overlap",)),
    wrong("pe-image-size", lambda pe: pe.optional(56, "<I", 0x1000)),
    wrong("pe-sections-overlap", lambda pe: pe.section(".data", _SECTION_ADDRESS, 0x3000)),
    wrong("pe-sections-overlap", lambda pe: pe.section(".kernel", _SECTION_PLACE, 0x800)),
    wrong("pe-writable-executable", rights(".text", lambda old: old | _WRITE)),
    wrong("pe-entry", lambda pe: pe.optional(16, "<I", 0x1000)),
    wrong("pe-entry", lambda pe: pe.optional(16, "<I", 0xFFFFFFFF)),
    wrong("pe-entry", rights(".text", lambda old: old & ~_EXECUTE), also=("prologue-missing",)),
    wrong("pe-relocations", lambda pe: pe.put(pe.header + 22, "<H", 0x207)),
    wrong("pe-relocations", lambda pe: pe.optional(112 + 5 * 8, "<I", 0x40000000)),
    wrong("pe-certificates", lambda pe: pe.optional(_CERTIFICATES, "<Q", 8 << 32 | 4)),
    wrong("pe-certificates", lambda pe: pe.optional(_CERTIFICATES, "<Q", 8 << 32 | 0xFFFFFFF8)),
    wrong("pe-nx-compat", lambda pe: pe.optional(70, "<H", 0), "warning"),
    wrong("pe-sbat", lambda pe: pe.rename(".sbat", b".note"), "warning"),
    wrong("pe-stub", lambda pe: pe.stub(24, "<i", 0x7FFFFFFF)),
    wrong("pe-stub", lambda pe: pe.stub(24, "<i", -0x7FFFFFFF)),
    wrong("pe-stub", lambda pe: pe.stub(28, "<I", 0xFFFFFFFF)),
    wrong("pe-stub", lambda pe: pe.stub(32, "<Q", 0x100010)),
    wrong("pe-stub", lambda pe: pe.stub(40, "<Q", 0)),
    wrong("pe-stub", lambda pe: pe.stub(40, "<Q", 2**64 - 1)),
    wrong("pe-stub", lambda pe: pe.stub(48, "<I", 0xFFFFFFFF)),
    wrong("prologue-missing", lambda pe: pe.stub(0, "<I", 0)),
]
