"""The change of paging's depth: in a 64-bit entry above 4 GiB, through conventional memory that is
borrowed and put back; and in a kernel that runs."""

import random
import re
import struct
from typing import List, Optional, Tuple

import cases
import machine
import modes
from any_loader import LINUX, Load, fed
from cases import Case, scratch_directory
from handoff_report import GIB, MIB, PAGE

RAM, RESERVED, NVS = 1, 2, 4
_CONVENTIONAL = (0x1000, 0x9F000)
_LEAST, _TOP = 0x20000, 0x9F000
_SMM_RELOCATION = 0x38000  # where QEMU's BIOS runs code, before any loader

# Conventional memory, and what a BIOS says of it: segment of the EBDA, KiB of base memory. Then the
# pages that must be used, or None where there are none.
_PLAIN = [(0, 0xA0000, RAM)]
_HOLES = [(0, 0x58000, RAM), (0x58000, 0x1000, NVS), (0x59000, 0x33000, RAM),
          (0x8C000, 0x13000, RESERVED)]
_PLACES = {
    "a PC's usual EBDA": ([(0, 0x9FC00, RAM), (0x9FC00, 0x400, RESERVED)], (0x9FC0, 639), 0x9D000),
    "a large EBDA": ([(0, 0x9D800, RAM), (0x9D800, 0x2800, RESERVED)], (0x9D80, 630), 0x9B000),
    "an EBDA that the map does not know": (_PLAIN, (0x9000, 639), 0x8E000),
    "base memory below the EBDA": (_PLAIN, (0x9D80, 512), 0x7E000),
    "no BIOS": (_PLAIN, (0, 0), 0x9D000),
    "words that cannot be": (_PLAIN, (0xFFFF, 0xFFFF), 0x9D000),
    "words below 128 KiB": (_PLAIN, (0x1FFF, 127), 0x9D000),
    "holes": (_HOLES, (0, 0), 0x8A000),
    "holes, the EBDA in the upper piece": (_HOLES, (0x5A00, 0), 0x56000),
    "the map upside down": (_HOLES[::-1], (0, 0), 0x8A000),
    "reserved within RAM": ([*_PLAIN, (0x9C800, 0x10, RESERVED)], (0, 0), 0x9D000),
    "reserved at the end": ([*_PLAIN, (0x9E800, 0x10, RESERVED)], (0, 0), 0x9C000),
    "the least there can be": ([(0, 0x22000, RAM)], (0, 0), 0x20000),
    "all below 128 KiB": ([(0, 0x21FFF, RAM)], (0, 0), None),
    "no conventional memory": ([], (0x9FC0, 639), None),
    "an EBDA at 128 KiB": (_PLAIN, (0x2000, 639), None),
    "no room below the EBDA": (_PLAIN, (0x2100, 639), None),
}

_KERNELS = {4: "low_memory-four", 5: "low_memory-five"}
_OTHER = {4: modes.LONG64_FIVE, 5: modes.LONG64}  # the mode whose depth is not the one wished for
_BASE = 5 * GIB + 0x3000


def boot(levels: int, memory: list, words: Tuple[int, int], info=lambda info: None,
         mode: Optional[str] = None, cpu: str = "max", base: int = _BASE, **options):
    """A boot that changes its depth, with conventional memory full of noise; and that noise, and
    the addresses of the code that ran there."""
    memory_map = [*memory, (MIB, 0xBFF00000, RAM), (4 * GIB, 3 * GIB, RAM)]
    load = Load(LINUX, kernel=_KERNELS[levels], mode=mode or _OTHER[levels], base=base,
                info_at=16 * MIB, memory_map=memory_map)
    start, end = _CONVENTIONAL
    noise = random.Random(levels).randbytes(end - start)
    damage = [(start, noise), (0x40E, struct.pack("<H", words[0])),
              (0x413, struct.pack("<H", words[1]))]
    trace = scratch_directory() / "trace"
    extra = ("-d", "exec,nochain", "-dfilter", f"{_LEAST:#x}+{_TOP - _LEAST:#x}", "-D", str(trace))
    fed_boot = fed(load, info, damage, cpu=cpu, memory="7G", extra=extra, **options)
    result = machine.run(fed_boot)
    return result, noise, _executed(machine.read_text(trace))


def _executed(trace: str) -> List[int]:
    """The pages of which something was executed."""
    found = re.findall(r"^Trace .*\[[0-9a-f]+/([0-9a-f]+)/", trace, re.MULTILINE)
    return sorted({int(pc, 16) & -PAGE for pc in found} - {_SMM_RELOCATION})


def _hash(page: bytes) -> int:
    value = 0xCBF29CE484222325
    for byte in page:
        value = (value ^ byte) * 0x100000001B3 % (1 << 64)
    return value


def expect_put_back(result: machine.Result, noise: bytes) -> None:
    """Every page that the kernel can see is as it was."""
    seen = re.findall(r"^page: 0x([0-9a-f]+) 0x([0-9a-f]+)\r?$", result.serial, re.MULTILINE)
    assert len(seen) > 16, result.serial[-300:]
    for at, value in seen:
        at, value = int(at, 16), int(value, 16)
        if at >= _CONVENTIONAL[1]:
            continue
        page = noise[at - _CONVENTIONAL[0]:][:PAGE]
        assert _hash(page) == value, f"the page at {at:#x} has changed"


def place(levels: int, name: str) -> Case:
    memory, words, pages = _PLACES[name]

    def function() -> None:
        result, noise, executed = boot(levels, memory, words)
        if pages is None:
            line = r"^prologue: fatal: entry: no two pages of RAM in 0x20000 to 0x9f000 to change "
            line += rf"paging's depth through: .*\({words[0]:x}, {words[1]:x}\)\r?$"
            result.expect(machine.FATAL, line)
            assert executed == [], [hex(page) for page in executed]
            return
        result.expect(machine.OK, f"^paging: {levels}\r?$")
        assert executed == [pages], [hex(page) for page in executed]
        if memory:
            expect_put_back(result, noise)

    return Case(f"depth: to {levels} levels, {name}", function)


def _efi_has_no_bios() -> None:
    """What looks like a BIOS's words is none of a BIOS."""
    result, noise, executed = boot(4, _PLAIN, (0x5000, 256),
                                   info=lambda info: info.set("efi_signature", b"EL64"))
    result.expect(machine.OK, "^paging: 4\r?$")
    assert executed == [0x9D000], executed
    expect_put_back(result, noise)


def _below_4_gib_nothing_is_borrowed(levels: int) -> None:
    result, noise, executed = boot(levels, _PLAIN, (0x9FC0, 639), base=0x345000)
    result.expect(machine.OK, f"^paging: {levels}\r?$")
    assert executed == [], executed
    expect_put_back(result, noise)


def _no_la57() -> None:
    result, _, executed = boot(5, _PLAIN, (0, 0), cpu="max,la57=off", mode=modes.LONG64)
    result.expect(machine.FATAL,
                  r"^prologue: fatal: entry: five levels of paging are wished for: this CPU has "
                  r"no LA57 \(5, 0\)\r?$")
    assert executed == []


def _in_a_kernel(levels: int) -> None:
    result = machine.run(machine.Boot(kernel=cases.BUILD / f"depth-{_WORDS[levels]}.elf"))
    there, back = 9 - levels, levels
    pcide_and_la57, la57 = 0x21000, 0x1000
    lines = [f"levels: {levels:#x}", "refused in odd pages: 0x2", "refused in high pages: 0x2"]
    for to, changed in ((there, pcide_and_la57), (back, la57), (there, pcide_and_la57)):
        lines += ["result: 0x0", f"levels: {to:#x}", "registers kept: 0x1", "state kept: 0x1",
                  f"cr4 changed: {changed:#x}", "cr3 as asked: 0x1"]
    lines += ["breakpoints: 0x3", "result: ok"]
    result.expect(machine.OK)
    seen = result.serial.replace("\r", "").splitlines()
    assert seen == lines, seen


def _in_a_kernel_without_la57() -> None:
    boot_without = machine.Boot(kernel=cases.BUILD / "depth-four.elf", cpu="max,la57=off")
    seen = machine.run(boot_without).expect(machine.OK).serial.replace("\r", "")
    assert seen.count("\nresult: 0x1\nlevels: 0x4\n") == 3, seen
    assert "cr4 changed: 0x0\n" in seen and "cr4 changed: 0x1" not in seen, seen


_WORDS = {4: "four", 5: "five"}

CASES = [
    *(place(levels, name) for name in _PLACES for levels in (4, 5)),
    Case("depth: EFI firmware has no BIOS's words", _efi_has_no_bios),
    Case("depth: to 4 levels, an image below 4 GiB borrows nothing",
         lambda: _below_4_gib_nothing_is_borrowed(4)),
    Case("depth: to 5 levels, an image below 4 GiB borrows nothing",
         lambda: _below_4_gib_nothing_is_borrowed(5)),
    Case("depth: a CPU without LA57 is refused", _no_la57),
    Case("depth: in a kernel, from 4 levels up, down and up", lambda: _in_a_kernel(4)),
    Case("depth: in a kernel, from 5 levels down, up and down", lambda: _in_a_kernel(5)),
    Case("depth: in a kernel, on a CPU without LA57", _in_a_kernel_without_la57),
]
