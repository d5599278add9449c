"""prologue/multiboot.h: a kernel that was booted by PVH shows Multiboot information made of its
handoff, and a reader that knows the two specifications alone finds in it what QEMU was given."""

import re
import struct
from typing import Iterator, NamedTuple

import cases
import machine
from cases import Case
from machine import Boot

_AVAILABLE, _RESERVED = 1, 2
_OURS = 3  # PROLOGUE_MEMORY_PROLOGUE


class Info(NamedTuple):
    """What a Multiboot parser gets to know."""

    cmdline: bytes
    memory: list  # (start, end, type)
    modules: list  # (start, end, text)


class Said(NamedTuple):
    multiboot1: Info
    multiboot2: Info
    handoff: list  # (type, start, end)


def text_at(data: bytes, at: int) -> bytes:
    return data[at:data.index(b"\0", at)]


def read1(data: bytes, base: int) -> Info:
    """Multiboot 0.6.96, section 3.3; the bytes lie at `base`."""
    flags, cmdline, count, modules, map_bytes, memory = (
        struct.unpack_from("<I", data, at)[0] for at in (0, 16, 20, 24, 44, 48))
    assert flags & 0x4D == 0x4D, hex(flags)
    ranges, at = [], memory - base
    while at < memory - base + map_bytes:
        size, start, length, kind = struct.unpack_from("<IQQI", data, at)
        ranges.append((start, start + length, kind))
        at += size + 4
    entries = [struct.unpack_from("<III", data, modules - base + 16 * i) for i in range(count)]
    return Info(text_at(data, cmdline - base), ranges,
                [(start, end, text_at(data, text - base)) for start, end, text in entries])


def tags(data: bytes) -> Iterator[tuple]:
    at = 8
    while True:
        kind, size = struct.unpack_from("<II", data, at)
        yield kind, data[at:at + size]
        if kind == 0:
            return
        at += size + 7 & ~7


def read2(data: bytes) -> Info:
    """Multiboot 2.0, section 3.6."""
    assert struct.unpack_from("<I", data)[0] == len(data)
    found = list(tags(data))
    memory = next(tag for kind, tag in found if kind == 6)
    size = struct.unpack_from("<I", memory, 8)[0]
    ranges = [struct.unpack_from("<QQI", memory, at) for at in range(16, len(memory), size)]
    modules = [(*struct.unpack_from("<II", tag, 8), text_at(tag, 16))
               for kind, tag in found if kind == 3]
    cmdline = next(text_at(tag, 8) for kind, tag in found if kind == 1)
    return Info(cmdline, [(start, start + length, kind) for start, length, kind in ranges], modules)


def said(**options) -> Said:
    serial = machine.run(Boot(kernel=cases.BUILD / "own_parser.elf", **options)).expect(
        machine.OK).serial.replace("\r", "")
    base = int(re.search(r"^info: (\S+)$", serial, re.MULTILINE)[1], 16)
    first, second = (bytes.fromhex(re.search(rf"^{name}: (\w+)$", serial, re.MULTILINE)[1])
                     for name in ("multiboot1", "multiboot2"))
    handoff = re.findall(r"^type: (\S+)\nstart: (\S+)\nend: (\S+)$", serial, re.MULTILINE)
    return Said(read1(first, base), read2(second),
                [tuple(int(number, 16) for number in entry) for entry in handoff])


def both_say_what_qemu_gave() -> None:
    module = cases.scratch_file(b"x" * 5000)
    told = said(append="a=b c", initrd=(module,), memory="64M")
    assert told.multiboot1 == told.multiboot2
    info = told.multiboot1
    assert info.cmdline == b"a=b c"
    assert [end - start for start, end, _ in info.modules] == [5000], info.modules
    assert info.memory == sorted(info.memory)
    available = sum(end - start for start, end, kind in info.memory if kind == _AVAILABLE)
    assert 60 << 20 < available < 64 << 20, hex(available)


def what_prologue_holds_is_reserved() -> None:
    told = said(memory="64M")
    held = [(start, end) for kind, start, end in told.handoff if kind == _OURS]
    assert held
    for start, end in held:
        kinds = {kind for first, last, kind in told.multiboot2.memory
                 if first < end and start < last}
        assert kinds == {_RESERVED}, (hex(start), hex(end), kinds)


CASES = [
    Case("own parser: Multiboot information of both versions says what QEMU gave",
         both_say_what_qemu_gave),
    Case("own parser: what Prologue holds is reserved in it", what_prologue_holds_is_reserved),
]
