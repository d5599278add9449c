"""What is promised about the handoff's ABI: a kernel that was compiled against the first header
boots, and finds all that this header says where it says it."""

import re
from typing import Sequence

import cases
import machine
from cases import Case
from iso import grub_iso, run_iso
from machine import Boot

_KERNEL = cases.BUILD / "first_header.elf"
_MODULE = b"the module's bytes"
_FIRST_BYTES = 288  # of the structure
_PAGE = 4096
_PVH, _MULTIBOOT2 = 1, 3
_USABLE, _MODULE_TYPE, _IMAGE = 1, 4, 9


class Told:
    """What the kernel printed."""

    def __init__(self, result: machine.Result):
        self.serial = result.expect(machine.OK).serial.replace("\r", "")

    def number(self, name: str) -> int:
        return self.numbers(name)[0]

    def numbers(self, name: str) -> list:
        return [int(number, 16) for number in
                re.findall(rf"^{name}: 0x(\w+)$", self.serial, re.MULTILINE)]

    def texts(self, name: str) -> list:
        return re.findall(rf"^{name}: (.*)$", self.serial, re.MULTILINE)

    def ranges(self, kind: int) -> list:
        return [(start, end) for start, end, other in
                zip(self.numbers("range"), self.numbers("end"), self.numbers("type"))
                if other == kind]


def expect_first(told: Told, loader: int, cmdline: str, modules: Sequence[tuple]) -> None:
    assert told.number("magic") == int.from_bytes(b"Prologue", "little")
    assert told.number("version") >= 1 and told.number("size") >= _FIRST_BYTES
    assert told.number("loader") == loader and told.number("entry mode") == 1
    assert told.number("levels") == 4 and told.number("loader info") != 0
    assert told.texts("cmdline") == [cmdline], told.texts("cmdline")
    assert list(zip(told.texts("module"), told.texts("module text"))) == list(modules)
    assert told.number("rsdp") != 0
    assert told.number("page size") in (2 << 20, 1 << 30)
    assert told.number("framebuffer") == told.number("sev status") == 0
    expect_memory(told)
    expect_processor(told)


def expect_memory(told: Told) -> None:
    starts, ends = told.numbers("range"), told.numbers("end")
    assert starts == sorted(starts) and all(end <= after for end, after in zip(ends, starts[1:]))
    assert not any(edge % _PAGE for edge in starts + ends)
    assert sum(end - start for start, end in told.ranges(_USABLE)) > 100 << 20
    assert len(told.ranges(_MODULE_TYPE)) == 1
    image = told.number("load base"), told.number("load end")
    assert any(start <= image[0] and image[1] <= end for start, end in told.ranges(_IMAGE)), image
    assert told.number("direct map") == 0xFFFF800000000000
    assert 128 << 20 <= told.number("direct map bytes")
    assert 128 << 20 <= told.number("identity bytes")
    assert image[0] <= told.number("spare start") <= told.number("spare end") <= image[1]


def expect_processor(told: Told) -> None:
    here = told.number("here") - told.number("kernel offset") & (1 << 64) - 1
    assert told.number("load base") <= here < told.number("load end"), hex(here)
    assert told.number("page tables") == told.number("cr3")
    assert told.number("stack bottom") < told.number("stack") < told.number("stack top")
    assert told.number("tsc") != 0


def by_pvh() -> None:
    module = cases.scratch_file(_MODULE)
    told = Told(machine.run(Boot(kernel=_KERNEL, append="a=b c", initrd=(module,), memory="128M")))
    expect_first(told, _PVH, "a=b c", [(_MODULE.decode(), "")])


def by_grub() -> None:
    module = cases.scratch_file(_MODULE)
    told = Told(run_iso(grub_iso(_KERNEL, "multiboot2", "a=b c", [(module, "text of it")])))
    expect_first(told, _MULTIBOOT2, "a=b c", [(_MODULE.decode(), "text of it")])


CASES = [
    Case("abi: a kernel of the first header boots by PVH", by_pvh),
    Case("abi: a kernel of the first header boots by GRUB's Multiboot 2", by_grub),
]
