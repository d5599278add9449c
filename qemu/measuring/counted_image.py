"""An image whose instructions are counted: what is where, in the file and in the guest, and as much
of an instruction as the figures need."""

import bisect
import struct
from typing import NamedTuple, Optional

from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile

BZIMAGE_LOAD_ADDRESS = 0x100000
MAX_INSTRUCTION_BYTES = 15


class CountError(Exception):
    """The question cannot be asked: bad image, unknown symbol, QEMU refuses."""


class Segment(NamedTuple):
    paddr: int
    vaddr: int
    size: int    # in memory
    data: bytes  # in the file; shorter where the rest is zeroes


class Label(NamedTuple):
    address: int
    size: int
    name: str


class Image:
    """A kernel's file. Its code runs at physical addresses, then at virtual ones,
    and perhaps in `windows`: where physical memory is seen from those bases on."""

    def __init__(self, path, windows=()):
        self._windows = (0, *windows)
        with open(path, "rb") as file:
            magic = file.read(4)
            if magic == b"\x7fELF":
                elf = ELFFile(file)
                self.segments = elf_segments(elf)
                self._values, self._labels = elf_symbols(elf)
            else:
                self.segments = [bzimage_segment(path)]
                self._values, self._labels = {}, []

    def ranges(self):
        """(start, size) of all places where the image's code can run."""
        return sorted({(base, segment.size) for segment in self.segments
                       for base in self._bases(segment)})

    def _bases(self, segment):
        return [segment.vaddr, *(window + segment.paddr for window in self._windows)]

    def link_address(self, pc):
        """The address that the linker knows the byte at `pc` by, or None."""
        for segment in self.segments:
            for base in self._bases(segment):
                if base <= pc < base + segment.size:
                    return pc - base + segment.vaddr
        return None

    def code_at(self, pc):
        """The file's bytes of the instruction at `pc`; empty if it has none."""
        for segment in self.segments:
            for base in self._bases(segment):
                if base <= pc < base + len(segment.data):
                    return segment.data[pc - base:pc - base + MAX_INSTRUCTION_BYTES]
        return b""

    def run_addresses(self, place):
        """Where `place` runs: a number as it is, a symbol at both its addresses."""
        try:
            return {int(place, 0)}
        except ValueError:
            pass
        if place not in self._values:
            raise CountError(f"no symbol {place!r} in the image")
        value = self._values[place]
        physical = {value - segment.vaddr + segment.paddr for segment in self.segments
                    if segment.vaddr <= value < segment.vaddr + segment.size}
        return {value} | physical

    def _label_before(self, pc):
        address = self.link_address(pc)
        if address is None:
            return None
        index = bisect.bisect_right(self._labels, address, key=lambda label: label.address)
        return self._labels[index - 1] if index else None

    def function_at(self, pc):
        label = self._label_before(pc)
        return label.name if label else "?"

    def functions(self, part):
        """(start, size) of each whose name has `part` in it."""
        return [(label.address, label.size) for label in self._labels
                if label.size and part in label.name]

    def describe(self, pc):
        """The place of `pc` as "function+0x12"."""
        label = self._label_before(pc)
        return f"{label.name}+{self.link_address(pc) - label.address:#x}" if label else "?"


def elf_segments(elf):
    return [Segment(s["p_paddr"], s["p_vaddr"], s["p_memsz"], s.data())
            for s in elf.iter_segments("PT_LOAD") if s["p_memsz"]]


def elf_symbols(elf):
    """Every symbol's value by name, and the functions in address order."""
    values, labels = {}, []
    table = elf.get_section_by_name(".symtab")
    code = {i for i, section in enumerate(elf.iter_sections())
            if section["sh_flags"] & SH_FLAGS.SHF_EXECINSTR}
    for symbol in table.iter_symbols() if table else ():
        if symbol["st_shndx"] == "SHN_UNDEF" or not symbol.name:
            continue
        values[symbol.name] = symbol["st_value"]
        if symbol["st_shndx"] in code and symbol["st_info"]["type"] in ("STT_FUNC", "STT_NOTYPE"):
            labels.append(Label(symbol["st_value"], symbol["st_size"], symbol.name))
    return values, outermost(labels)


def outermost(labels):
    """The labels in address order, without those inside a function or on another."""
    kept, end = [], 0
    for label in sorted(labels, key=lambda label: (label.address, -label.size, label.name)):
        if label.address >= end:
            kept.append(label)
            end = label.address + max(label.size, 1)
    return kept


def bzimage_segment(path):
    """The protected-mode part (Linux Documentation/arch/x86/boot.rst)."""
    with open(path, "rb") as file:
        image = file.read()
    if image[0x202:0x206] != b"HdrS":
        raise CountError(f"{path}: neither an ELF nor a bzImage")
    setup_sectors = image[0x1F1] or 4
    init_size, = struct.unpack_from("<I", image, 0x260)
    code = image[(setup_sectors + 1) * 512:]
    return Segment(BZIMAGE_LOAD_ADDRESS, BZIMAGE_LOAD_ADDRESS, max(init_size, len(code)), code)


# --- Instructions -------------------------------------------------------------

LEGACY_PREFIXES = b"\x66\x67\x2e\x36\x3e\x26\x64\x65\xf0\xf2\xf3"
REX_PREFIXES = range(0x40, 0x50)
STRING_OPCODES = b"\x6c\x6d\x6e\x6f\xa4\xa5\xa6\xa7\xaa\xab\xac\xad\xae\xaf"
KIND_OF_OPCODE = {**dict.fromkeys(b"\xe4\xe5\xec\xed\x6c\x6d", "port_in"),
                  **dict.fromkeys(b"\xe6\xe7\xee\xef\x6e\x6f", "port_out")}
KIND_OF_0F_OPCODE = {0xA2: "cpuid", 0x32: "rdmsr", 0x30: "wrmsr"}
IMMEDIATE_PORT_OPCODES = b"\xe4\xe5\xe6\xe7"


class Instruction(NamedTuple):
    kind: Optional[str] = None   # the field of Figures that counts it, if any
    port: Optional[int] = None   # the immediate one
    repeats: bool = False        # a string instruction with a REP prefix
    count_mask: int = 0          # the part of RCX that a REP counts in
    known: bool = True           # False: its bytes are not in the image's file


def decode(code, is_64bit):
    """The Instruction that starts `code`."""
    prefixes = code[:len(code) - len(code.lstrip(LEGACY_PREFIXES))]
    rest = code[len(prefixes):]
    if is_64bit and rest and rest[0] in REX_PREFIXES:
        rest = rest[1:]
    if not rest:
        return Instruction(known=False)
    opcode, operand = rest[0], rest[1] if len(rest) > 1 else None
    if opcode == 0x0F:
        return Instruction(kind=KIND_OF_0F_OPCODE.get(operand))
    # CX alone changes where it counts, so that the mask of ECX serves it too.
    wide_count = is_64bit and b"\x67" not in prefixes
    return Instruction(
        kind=KIND_OF_OPCODE.get(opcode),
        port=operand if opcode in IMMEDIATE_PORT_OPCODES else None,
        repeats=opcode in STRING_OPCODES and (b"\xf3" in prefixes or b"\xf2" in prefixes),
        count_mask=(1 << 64) - 1 if wide_count else (1 << 32) - 1)
