"""State files: a guest is entered as the file says, by its own account and by the host's. The file
is read here once more, by the sentences of its own comments, and not as the host reads it."""

import re
from functools import partial
from pathlib import Path

from elftools.elf.elffile import ELFFile

import bsd_loaders
import cases
import sev_guest
from cases import Case
from images import Image
from sev_guest import Run

_STATES = cases.ROOT / "qemu/sevhost/states"
_GUEST = cases.BUILD / "guests/state32.elf"
_MEMORY = 32 << 20
_C_BIT = 51
_LMA, _SVME, _MCE = 0x400, 0x1000, 0x40
_CR0_ET = 0x10

# What the guest marks first, in this order (qemu/sevhost/guests/state.S).
_REGISTERS = ("rax rcx rdx rbx rsp rbp rsi rdi rflags cr0 cr3 cr4 efer cs ds es fs gs ss ldtr tr "
              "gdtr-limit gdtr idtr-limit idtr").split()
_SEGMENTS = ("cs", "ds", "es", "fs", "gs", "ss", "ldtr", "tr")
_TABLES = ("gdtr", "idtr")
_RANGES = 0x600  # where the guest is told what memory it shall mark
_MOST_WORDS = 48  # of a range
_SIZES = {"u8": 1, "u16": 2, "u32": 4, "u64": 8}

# Attributes of a segment as its descriptor has them: type, S, DPL, P; then AVL, L, D, G.
_KINDS = {"code32": 0xc9b, "data32": 0xc93, "tss32": 0x08b, "ldt": 0x082}


class _State:
    """A state file: registers, segments, and memory, byte by byte."""

    def __init__(self, path: Path, encrypted: bool):
        self.names = {"$memory": _MEMORY, "$cbit": 1 << _C_BIT if encrypted else 0, **_ends()}
        self.registers, self.segments, self.memory = {}, {}, {}
        self.at = 0
        for line in path.read_text().splitlines():
            words = line.split("#")[0].split()
            if words[:1] == ["text"]:
                self._place(line.split(" ", 1)[1].encode() + b"\0")
            elif words:
                self._take(words[0], words[1:])

    def _take(self, name: str, values: list) -> None:
        if name in _SEGMENTS:
            selector, kind, limit, base = values
            self.registers[name] = int(selector, 0)
            self.segments[name] = (self._value(base), self._value(limit), _KINDS[kind])
        elif name in _TABLES:
            self.registers[f"{name}-limit"], self.registers[name] = map(self._value, values)
        elif name == "at":
            self.at = self._value(values[0])
        elif name in _SIZES:
            for value in values:
                self._place_value(self._value(value), name)
        elif name in ("table", "table32"):
            count, first, step = map(self._value, values)
            for i in range(count):
                self._place_value(first + i * step, "u32" if name == "table32" else "u64")
        else:
            self.registers[name] = self._value(values[0])

    def _value(self, text: str) -> int:
        """From left to right, as the files' `$end+0xfff&0xfffff000`."""
        total = 0
        for sign, term in re.findall(r"([-+&|/]?)([$\w]+)", text):
            number = self.names[term] if term in self.names else int(term, 0)
            total = {"": total + number, "+": total + number, "-": total - number,
                     "&": total & number, "|": total | number,
                     "/": total // (number or 1)}[sign]
        return total

    def _place_value(self, value: int, size: str) -> None:
        self._place(value.to_bytes(_SIZES[size], "little"))

    def _place(self, data: bytes) -> None:
        self.memory.update(enumerate(data, self.at))
        self.at += len(data)

    def word(self, address: int) -> int:
        """The 32 bits there, which what is placed ends in, or lies around; the rest is 0."""
        return int.from_bytes((self.memory.get(address + i, 0) for i in range(4)), "little")

    def ranges(self) -> list:
        """Where the file places memory: address and number of words, not all of a long table."""
        found = []
        for address in sorted({address & -4 for address in self.memory}):
            if found and address == found[-1][0] + 4 * found[-1][1]:
                found[-1][1] += 1
            else:
                found.append([address, 1])
        return [(address, min(count, _MOST_WORDS)) for address, count in found]


def _ends() -> dict:
    with _GUEST.open("rb") as file:
        elf = ELFFile(file)
        end = max(segment["p_paddr"] + segment["p_memsz"] for segment in elf.iter_segments()
                  if segment["p_type"] == "PT_LOAD")
        return {"$entry": elf["e_entry"], "$end": end}


def _with_ranges(path: Path, ranges: list) -> Path:
    words = " ".join(f"{address:#x} {count}" for address, count in ranges)
    text = f"{path.read_text()}\nat {_RANGES:#x}\nu32 {words} 0 0\n"
    return cases.scratch_file(text.encode(), path.name)


def _enters(name: str, sev: str, host: str) -> None:
    path = _STATES / f"{name}.state"
    state = _State(path, sev != "none")
    ranges = state.ranges()
    result = sev_guest.run(Run(_GUEST, sev=sev, host=host, c_bit=_C_BIT, memory=str(_MEMORY),
                               state=_with_ranges(path, ranges)))
    assert result.outcome == sev_guest.HALTED, result.outcome
    marks = [int(word, 16) for word in result.lines(r"^sevhost: marker 0x([0-9a-f]+):")]
    _compare_registers(state, dict(zip(_REGISTERS, marks)), _HOSTS_OWN[sev, host])
    _compare_memory(state, ranges, marks[len(_REGISTERS):])
    _compare_segments(state, result)


# What the host sets in the registers, whatever the file says.
_HOSTS_OWN = {("none", "kvm"): {}, ("es", "kvm"): {"efer": _SVME, "cr4": _MCE},
              ("es", "vmm"): {"efer": _SVME}}


def _compare_registers(state: _State, found: dict, hosts: dict) -> None:
    for name in _REGISTERS:
        expected = state.registers.get(name, 0) & 0xffffffff | hosts.get(name, 0)
        if name == "efer" and state.registers["cr0"] >> 31 and expected & 0x100:
            expected |= _LMA
        if name == "cr0":
            expected |= _CR0_ET  # which no processor lets go
        assert found[name] == expected, f"{name} is {found[name]:#x}, not {expected:#x}"


def _compare_memory(state: _State, ranges: list, found: list) -> None:
    found = iter(found)
    for address, count in ranges:
        for word in range(address, address + 4 * count, 4):
            value = next(found)
            placed = state.word(word)
            assert value == placed or _is_used_entry(value, placed), \
                f"at {word:#x} is {value:#x}, not {placed:#x}"


def _is_used_entry(found: int, placed: int) -> bool:
    """An entry of the page tables in use has its accessed and dirty bits set."""
    return found & ~0x60 == placed and bool(placed & 1)


def _compare_segments(state: _State, result) -> None:
    for name, expected in state.segments.items():
        told = re.search(rf"^  {name} \S+ base (\S+) limit (\S+) attributes (\S+)$", result.serial,
                         re.MULTILINE)
        assert told, f"the report has no {name}"
        found = tuple(int(value, 16) for value in told.groups())
        assert found == expected, f"{name} is {found}, not {expected}"


# The feeder's account of the same states.
_FED = {
    **{name: partial(bsd_loaders.vmd, state=state) for name, state in (
        ("vmd", bsd_loaders.LEFT_OVER), ("vmd-compat", bsd_loaders.COMPATIBILITY),
        ("vmd-paged", bsd_loaders.PAGED))},
    "freebsd": bsd_loaders.userboot,
}


def _agrees_with_the_feeder(name: str) -> None:
    state = _State(_STATES / f"{name}.state", encrypted=False)
    fed = _FED[name](Image(cases.BUILD / "demo-every.elf"))[1]
    expected = {"rsp": fed.esp, "rflags": fed.eflags, "cr0": fed.cr0, "cr3": fed.cr3,
                "cr4": fed.cr4, "efer": fed.efer | (_LMA if fed.efer else 0), "cs": fed.cs,
                "ds": fed.data, "es": fed.data, "ss": fed.data, "tr": fed.tr,
                "gdtr": fed.gdt_base, "gdtr-limit": fed.gdt_limit}
    for register, value in expected.items():
        found = state.registers[register]
        assert found == value, f"{register} is {found:#x}, and {value:#x} with the feeder"


CASES = [
    *(Case(f"sev states: {name} is what the feeder leaves",
           lambda name=name: _agrees_with_the_feeder(name)) for name in _FED),
    *(Case(f"sev states: {path.stem} is entered as it says, {sev.upper()}, {host}",
           lambda path=path, sev=sev, host=host: _enters(path.stem, sev, host))
      for path in sorted(_STATES.glob("*.state")) for sev, host in _HOSTS_OWN),
]
