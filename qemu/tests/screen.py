"""A wish for a screen, by each loader that can set one: the template `screen` draws on it, and what
is seen is read."""

import functools
import re
import shutil
import threading
from pathlib import Path
from typing import Callable, Sequence, Tuple

import cases
import machine
import screen_text
import screendump
from cases import Case
from iso import EFI, OVMF, grub_iso
from staging import Build, built, run, staged

_TIMEOUT = 60
_SIZE = (1024, 768)
_WISH = "PROLOGUE_WISH_FRAMEBUFFER(1024, 768, 32);"
_BUILDS = [
    Build("screen", "make", "gcc and GNU ld", ("kernel.elf",)),
    Build("screen", "make", "clang and lld",
          ("kernel.elf", "CC=clang --target=x86_64-none-elf", "LD=ld.lld")),
]
_STD = ("-vga", "std")
_lock = threading.RLock()


@functools.lru_cache(maxsize=None)
def _elf(build: Build) -> Path:
    return built(build)


def elf(build: Build = _BUILDS[0]) -> Path:
    with _lock:
        return _elf(build)


def efi(kernel: Path, *options: str) -> Path:
    made = cases.scratch_directory() / "kernel.efi"
    run(staged() / "bin/prologue-bzimage", *options, kernel, made, cwd=made.parent)
    return made


@functools.lru_cache(maxsize=None)
def _wishing(wish: str) -> Path:
    source = cases.scratch_directory() / "screen"
    shutil.copytree(staged() / "share/prologue/templates/screen", source)
    text = (source / "kernel.c").read_text()
    assert _WISH in text
    (source / "kernel.c").write_text(text.replace(_WISH, wish))
    run("make", "kernel.elf", cwd=source, PKG_CONFIG_PATH=str(staged() / "lib/pkgconfig"))
    return source / "kernel.elf"


def wishing(wish: str) -> Path:
    """The template with another wish, or none."""
    with _lock:
        return _wishing(wish)


# --- What is seen -----------------------------------------------------------------------------


def expect_shown(seen: Tuple[str, screendump.Picture], size: Tuple[int, int] = _SIZE,
                 bits: int = 32) -> None:
    serial, picture = seen
    width, height = size
    said = re.search(r"framebuffer: (0x\w+) (\d+) (\d+) (\d+) (\d+)\r?$", serial, re.M)
    assert said and int(said[1], 16) != 0, serial
    assert tuple(map(int, said.group(2, 3, 5))) == (width, height, bits), said[0]
    assert (picture.width, picture.height) == size, (picture.width, picture.height)
    assert {picture.at(x, y) for x in (0, width - 1) for y in (0, height // 2, height - 1)} == \
        {_of_depth((255, 255, 255), bits)}, \
        [(x, y, picture.at(x, y)) for x in (0, width - 1) for y in (0, height // 2, height - 1)]
    bar = height // 12
    for place, colour in enumerate(((255, 0, 0), (0, 255, 0), (0, 0, 255)), 1):
        for x in (bar, width // 2, width - bar - 1):
            assert picture.at(x, place * bar) == _of_depth(colour, bits), (x, place, colour)
    if bits == 32:
        text = screen_text.lines(picture, bar, 5 * bar, 4)
        assert text[:3] == ["HELLO, SCREEN.", "",
                            f"{width} BY {height} PIXELS OF {bits} BITS"], text
        assert re.fullmatch(r"FREE: \d+ MIB", text[3]), text


def _of_depth(colour: Tuple[int, int, int], bits: int) -> Tuple[int, int, int]:
    """As QEMU shows it, whose 16 bits have five for red and blue, and six for green."""
    kept = (5, 6, 5) if bits == 16 else (8, 8, 8)
    return tuple((part >> 8 - most << 8 - most) | (part >> most if most < 8 else 0)
                 for part, most in zip(colour, kept))


_NONE = "0x0 0 0 0 0"
# What GRUB says all the same: text, and a mode of VGA's without a look at whether there is one.
_TEXT, _GRUB_NONE = "0xb8000 80 25 160 16", "0xa0000 640 480 80 1"


def expect_none(seen: tuple, said: str) -> None:
    serial, _ = seen
    assert re.search(rf"framebuffer: {said}\r?$", serial, re.M), serial
    assert "there is no screen, or none of direct colours" in serial


# --- By whom it is set --------------------------------------------------------------------------


def start(boot: machine.Boot) -> tuple:
    return screendump.shown(boot, "result: ok")


def grub(protocol: str, kernel: Path, platform: str = "i386-pc",
         vga: Sequence[str] = _STD) -> tuple:
    iso = grub_iso(kernel, protocol, platform=platform, video=True)
    firmware = OVMF if platform == EFI else None
    return start(machine.Boot(iso=iso, firmware=firmware, memory="256M", timeout=_TIMEOUT,
                              extra=vga))


def ovmf(kernel: Path, vga: Sequence[str] = _STD) -> tuple:
    return start(machine.Boot(kernel=efi(kernel), append="", firmware=OVMF, memory="256M",
                              timeout=_TIMEOUT, extra=vga))


def bios(kernel: Path, cmdline: str = "", vga: Sequence[str] = _STD, **options) -> tuple:
    return start(machine.Boot(kernel=kernel, append=cmdline, extra=vga, **options))


def shows(name: str, see: Callable[[], tuple], **expected) -> Case:
    return Case(f"screen: {name}", lambda: expect_shown(see(), **expected))


def shows_none(name: str, see: Callable[[], tuple], said: str = _NONE) -> Case:
    return Case(f"screen: {name}", lambda: expect_none(see(), said))


def of(width: int, height: int, bits: int) -> Path:
    return wishing(f"PROLOGUE_WISH_FRAMEBUFFER({width}, {height}, {bits});")


def without() -> Path:
    return wishing("")


def costs_nothing_unasked() -> None:
    """Without the wish no header says a word, and the 16-bit code has no code for it."""
    plain, wished = without(), elf()
    assert b"\x02\xb0\xad\x1b\x03\0\1\0" in plain.read_bytes()[:8192], "Multiboot 1's flags"
    assert b"\x02\xb0\xad\x1b\x07\0\1\0" in wished.read_bytes()[:8192], "Multiboot 1's flags"
    real_mode = (staged() / "share/prologue/prologue-linux16.bin").read_bytes()
    code = int.from_bytes(real_mode[0x1EE:0x1F0], "little")
    assert 0x300 < code < len(real_mode) - 0x100, code
    assert real_mode[code:] in efi(wished, "--no-efi").read_bytes()
    assert real_mode[code:] not in efi(plain, "--no-efi").read_bytes()


CASES = [
    Case("screen: a kernel without the wish pays nothing", costs_nothing_unasked),
    shows("Multiboot 1 by GRUB", lambda: grub("multiboot", elf())),
    shows("Multiboot 2 by GRUB", lambda: grub("multiboot2", elf(_BUILDS[1]))),
    shows("Multiboot 2 by GRUB, 640 by 480", lambda: grub("multiboot2", of(640, 480, 32)),
          size=(640, 480)),
    shows("Multiboot 2 by GRUB on OVMF", lambda: grub("multiboot2", elf(), EFI)),
    shows_none("Multiboot 1 by GRUB, no screen", lambda: grub("multiboot", elf(), vga=()),
               _GRUB_NONE),
    shows_none("Multiboot 2 by GRUB, no screen", lambda: grub("multiboot2", elf(), vga=()),
               _GRUB_NONE),
    shows_none("Multiboot 2 by GRUB, no wish", lambda: grub("multiboot2", without()), _TEXT),
    shows("UEFI", lambda: ovmf(elf())),
    shows("UEFI, 800 by 600", lambda: ovmf(of(800, 600, 0)), size=(800, 600)),
    shows("UEFI, 16 bits, which it has not", lambda: ovmf(of(640, 480, 16)), size=(640, 480)),
    shows_none("UEFI, no screen", lambda: ovmf(elf(), vga=())),
    shows("a BIOS", lambda: bios(efi(elf()))),
    shows("a BIOS, 800 by 600 of 16 bits", lambda: bios(efi(of(800, 600, 16), "--no-efi")),
          size=(800, 600), bits=16),
    shows("a BIOS, as it likes", lambda: bios(efi(of(0, 0, 0)))),
    shows("a BIOS, vga=", lambda: bios(efi(elf()), "vga=0x340"), size=(320, 200)),
    shows_none("a BIOS, vga= for text", lambda: bios(efi(elf()), "vga=0x301")),
    shows_none("a BIOS, a size that there is not", lambda: bios(efi(of(1111, 777, 32)))),
    shows_none("a BIOS, no screen", lambda: bios(efi(elf()), vga=())),
    shows_none("a BIOS, no wish", lambda: bios(efi(without()))),
    shows_none("PVH", lambda: bios(elf())),
]
