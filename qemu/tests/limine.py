"""The Limine protocol's base requests, answered by the loader image to a kernel in the shape of
Limine's own template: its requests stand between marks, and one asks for another entry."""

import re
import struct
import time
from pathlib import Path
from typing import Callable

import cases
import machine
from cases import Case
from handoff_report import MIB
from iso import OVMF
from refusals import expect_fatal
from tests.pack import bzimage, packed
from tests.payload import loader

_KERNEL, _PIE = (cases.BUILD / f"payload-limine{pie}.elf" for pie in ("", "-pie"))
_LAST = 0xFFFFFFFF80000000
_USABLE, _RESERVED, _RECLAIMABLE, _KERNEL_OR_MODULE, _FRAMEBUFFER = 0, 1, 5, 6, 7
_REVISION = struct.pack("<QQ", 0xF9562B2D5C95A6C8, 0x6A7B384944536BDC)
_STACK = struct.pack("<QQ", 0x224EF0460A8E8926, 0xE1CB0FC25F46EA3D)
_HHDM = struct.pack("<QQ", 0x48DCF1CB8AD2B852, 0x63984E959A98244B)


class Told:
    """What the kernel was told, after what must hold each time was held to it."""

    def __init__(self, result: machine.Result, levels: int = 4, processors: int = 1):
        result.expect(machine.OK, "^where: right\r?$", "^revision: 0x0\r?$", "^loaded-by: 0x3\r?$",
                      "^registers: 0x0\r?$", "^return-address: 0x0\r?$", "^unknown: 0x0\r?$",
                      "^bootloader: Prologue\r?$", f"^paging: {levels - 4:#x}\r?$",
                      "^entry-answered: 0x1\r?$", "^magic: 0x464c457f\r?$", "^own: 0x1\r?$",
                      f"^processors: {processors:#x}\r?$", f"^came: {processors - 1:#x}\r?$")
        self.lines = re.findall(r"^([a-z-]+): (.*?)\r?$", result.serial, re.MULTILINE)
        self.memory = [(int(a, 16), int(b, 16), int(kind)) for a, b, kind in
                       (line.split(" ") for line in self.all("memory"))]
        starts = [start for start, _, _ in self.memory]
        assert starts == sorted(starts), "the map is not sorted"
        assert abs(self.number("time") - time.time()) < 2 * 60, self.number("time")
        ours = [(start, end) for start, end, kind in self.memory if kind == _KERNEL_OR_MODULE]
        assert any(start <= self.number("physical") < end for start, end in ours), ours
        assert self.number("virtual") % (2 * MIB) == self.number("physical") % (2 * MIB)

    def all(self, key: str) -> list:
        return [value for name, value in self.lines if name == key]

    def number(self, key: str) -> int:
        (value,) = self.all(key)
        return int(value, 16)


def boot(kernel: Path = _KERNEL, image: str = "prologue", append: str = "a b", levels: int = 4,
         cpus: int = 1, **options) -> Told:
    options.setdefault("memory", "256M")
    return Told(machine.run(machine.Boot(kernel=cases.BUILD / f"{image}.elf",
                                         initrd=[kernel, *options.pop("modules", ())],
                                         append=append, extra=["-smp", str(cpus)], **options)),
                levels, cpus)


def by_qemu() -> None:
    told = boot()
    assert told.all("cmdline") == ["a b"] and told.number("rsdp") != 0
    assert (told.number("virtual"), told.number("hhdm")) == (_LAST, 0xFFFF800000000000)
    assert not told.all("module") and not told.all("screen")
    assert told.number("file") == _KERNEL.stat().st_size
    assert [told.number(key) for key in ("firmware", "smbios", "efi-table", "efi-map")] == [0] * 4


def with_modules() -> None:
    files = [cases.scratch_file(b"x" * 5000 + b"y", "first"), cases.scratch_file(b"z", "second")]
    told = boot(image="prologue-multiboot1", modules=[f"{files[0]} of two", files[1]])
    assert told.all("module") == ["0x1389", "0x1"], told.lines
    assert told.all("bytes") == ["0x7879", "0x7a7a"], told.lines
    assert "of two" in told.all("string")[0], told.lines


def a_pie() -> None:
    assert boot(_PIE).number("virtual") >= _LAST


def at_random(kernel: Path) -> Callable[[], None]:
    def function() -> None:
        told = [boot(kernel, append="random") for _ in range(3)]
        for key in ("physical", "hhdm", *(["virtual"] if kernel == _PIE else [])):
            assert len({one.number(key) for one in told}) > 1, (key, told[0].lines)

    return function


def with_512_gib() -> None:
    told = boot(memory="512G", cpu="qemu64")
    assert max(end for _, end, kind in told.memory if kind == _USABLE) > 500 << 30


def with_a_screen() -> None:
    """UEFI's, through the stub; its memory is in the map once."""
    result = machine.run(machine.Boot(
        kernel=bzimage(packed("--cmdline", "a b", kernel=_KERNEL)), memory="256M", firmware=OVMF,
        timeout=60, extra=["-vga", "std"]))
    told = Told(result)
    assert told.number("firmware") == 2 and told.number("efi-map") > 20, told.lines
    assert told.number("efi-table") != 0 and told.number("smbios") != 0, told.lines
    assert told.number("screen") >= 640 and told.number("pixel") & 0xFFFFFF == 0x123456
    assert len([kind for _, _, kind in told.memory if kind == _FRAMEBUFFER]) == 1, told.memory


def with_levels(kernel: str, levels: int, **options) -> Case:
    return Case(f"limine: {levels} levels, {kernel}",
                lambda: boot(cases.BUILD / f"payload-limine-{kernel}.elf", levels=levels,
                             **options) and None)


def with_processors(cpus: int, **options) -> Case:
    """Each is sent to a function, and finds the kernel's tables and a stack of its own there."""
    words = [f"{key}={value}" for key, value in options.items()]
    return Case(" ".join(["limine:", str(cpus), "processors", *words]),
                lambda: boot(cpus=cpus, **options) and None)


def refused(name: str, message: str, change: Callable[[bytearray], object]) -> Case:
    def function() -> None:
        contents = bytearray(_KERNEL.read_bytes())
        change(contents)
        expect_fatal(machine.run(machine.Boot(
            kernel=loader(), initrd=[cases.scratch_file(bytes(contents))])), message)

    return Case(f"limine: refused, {name}", function)


def of_revision(number: int) -> Callable[[bytearray], object]:
    return lambda contents: struct.pack_into("<Q", contents, contents.index(_REVISION) + 16, number)


def asked_twice(contents: bytearray) -> None:
    at = contents.rindex(_HHDM)  # behind what is none, outside of the marks
    contents[at:at + 16] = _STACK


def a_large_stack(contents: bytearray) -> None:
    struct.pack_into("<Q", contents, contents.index(_STACK) + 32, 1 << 32)


CASES = [
    Case("limine: QEMU by PVH", by_qemu),
    Case("limine: two modules by Multiboot 1", with_modules),
    Case("limine: a PIE", a_pie),
    Case("limine: at random, linked at one address", at_random(_KERNEL)),
    Case("limine: at random, a PIE", at_random(_PIE)),
    Case("limine: 512 GiB", with_512_gib),
    Case("limine: UEFI, with a screen", with_a_screen),
    with_levels("best", 5, cpu="max"),
    with_levels("best", 4, cpu="max,la57=off"),
    with_levels("five", 5, cpu="max", cpus=4),
    with_processors(2),
    with_processors(8, append="random"),
    with_processors(64, cpu="qemu64"),
    refused("base revision 0", "payload: limine: base revision is not served (0, 3)",
            of_revision(0)),
    refused("a request twice", "payload: limine: a request that stands twice is not served "
            "(224ef0460a8e8926, e1cb0fc25f46ea3d)", asked_twice),
    refused("too large a stack", "payload: limine: a stack's bytes is not served "
            "(100000000, 1000000)", a_large_stack),
]
