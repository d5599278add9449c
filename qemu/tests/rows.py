"""Rows of docs/your-kernel.md, "When it does not boot": who sees those words, and where things are
that kernels stumble over."""

import re
from pathlib import Path
from typing import Callable, List

import cases
import iso
import machine
import wrong_kernels
from cases import Case
from elf_edit import Elf
from images import Image
from linking import (
    CLANG,
    DEFAULT,
    GCC,
    GNU,
    INCLUDE,
    LIBRARY,
    LLD,
    OWN_SCRIPT,
    PIE_OBJECTS,
    PLAIN,
    SCRIPTS,
    compiled,
    link,
    own_script,
    run,
    script,
)
from machine import Boot

_PAGE = (cases.ROOT / "docs/your-kernel.md").read_text()
_ROWS = _PAGE[_PAGE.index("## When it does not boot"):]


def row(title: str, words: str, said: Callable[[], str]) -> Case:
    """The table's row has these words, in its first cell, and so does what is said."""
    def function() -> None:
        assert any(words in line.split(" | ")[0] for line in _ROWS.splitlines()), words
        output = said()
        assert _plain(words) in _plain(output), output
    return Case(f"rows: {title}", function)


def _plain(text: str) -> str:
    return re.sub(r"[`']|\.\.\.", "", text)


def linking_says(linker: str, *words, ld: Callable[[], Path] = lambda: DEFAULT, scripts=SCRIPTS,
                 inputs: Callable[[], List] = lambda: [*PIE_OBJECTS, LIBRARY]) -> Callable[[], str]:
    def say() -> str:
        result = run(linker, "-static", "-z", "max-page-size=4096", *words, *scripts, "-T", ld(),
                     "-o", cases.scratch_directory() / "kernel.elf", *inputs())
        assert result.returncode != 0, (linker, words)
        return result.stderr
    return say


def without(*parts: str) -> Callable[[], Path]:
    text = OWN_SCRIPT
    for part in parts:
        assert part in text, part
        text = text.replace(part, "", 1)
    return lambda: script(text)


def wrong_boot(rule: str, protocol: str = "") -> Callable[[], str]:
    def say() -> str:
        kernel = next(wrong for wrong in wrong_kernels.ALL if wrong.rule == rule).image()
        result = iso.run_iso(iso.grub_iso(kernel, protocol)) if protocol else machine.run(
            Boot(kernel=kernel, timeout=5))
        return result.serial + result.errors
    return say


_MAPS = '#include "prologue/wishes.h"\nPROLOGUE_WISH_DIRECT_MAP(0xffff900000000000);\n'


def library_first() -> List:
    return [LIBRARY, *PIE_OBJECTS, compiled(_MAPS, *GCC, INCLUDE, "-fno-pic")]


def binary_first() -> List:
    return ["-b", "binary", cases.scratch_file(b"data"), *PIE_OBJECTS, LIBRARY]


# ---- Where things are ----

_INITRD = b"x" * 5000
_MEMORY_END = 0x7FE0000  # of 128 MiB, without what QEMU's tables take


def lines(kernel: Path, key: str, **options) -> List[List[str]]:
    serial = machine.run(Boot(kernel=kernel, **options)).expect(machine.OK).serial
    return [line.split() for line in re.findall(rf"^{key}: (.*?)\r?$", serial, re.M)]


def an_initrd_is_where_the_page_says() -> None:
    """By PVH and Linux's protocol at the end of RAM; by Multiboot 1 right behind the image."""
    initrd = cases.scratch_file(_INITRD, "initrd")
    for name in ("demo.elf", "demo-every.bzImage"):
        ((_, start, count, *_),) = lines(cases.BUILD / name, "module", initrd=[initrd])
        assert int(count) == len(_INITRD), count
        assert 0 < _MEMORY_END - (int(start, 16) + len(_INITRD)) < 0x10000, (name, start)
    kernel = cases.BUILD / "demo-multiboot1.elf"
    ((_, start, *_),) = lines(kernel, "module", initrd=[initrd])
    assert 0 <= int(start, 16) - Image(kernel).end < 0x3000, start


def the_program_s_name_is_where_the_page_says() -> None:
    """Known loaders' is taken off; prologue_option does not mind one."""
    for name in ("demo.elf", "demo-multiboot1.elf", "demo-every.bzImage"):
        (words,) = lines(cases.BUILD / name, "cmdline", append="a b=c")
        assert words == ["a", "b=c"], (name, words)


def the_rsdp_is_a_copy() -> None:
    image = iso.grub_iso(cases.BUILD / "demo.elf", "multiboot2")
    serial = iso.run_iso(image).expect(machine.OK).serial
    rsdp = int(re.search(r"^rsdp: (\w+)", serial, re.M)[1], 16)
    types = [kind for start, end, kind in re.findall(r"^memory: (\w+) (\w+) (\w+)", serial, re.M)
             if int(start, 16) <= rsdp < int(end, 16)]
    assert types == ["prologue"], (hex(rsdp), types)


_HIGHEST = 24 + 12  # in Multiboot 2's header, behind the entry's tag: the relocation tag's second


_LARGE = """
#include <prologue/wishes.h>
PROLOGUE_WISH_RELOCATABLE;
__attribute__((used)) char large[32 << 20];
"""


def pinned_by_its_header() -> str:
    """A relocation tag that leaves one place alone, as other boot stubs have it."""
    large = compiled(_LARGE, *CLANG, *PLAIN, "-mcmodel=kernel", "-fno-pic")
    kernel = link(LLD, DEFAULT, [*PIE_OBJECTS, large], "--defsym=PROLOGUE_PHYSICAL=0x1000000")
    elf = Elf(kernel)
    wrong_kernels.multiboot2(_HIGHEST, Image(kernel).end)(elf)
    result = machine.run(Boot(iso=iso.grub_iso(elf.saved(), "multiboot2", platform=iso.EFI),
                              firmware=iso.OVMF, memory="256M", timeout=40))
    return result.serial + result.errors


CASES = [
    row("a script without the notes", "without PVH ELF Note", wrong_boot("pvh-note-no-segment")),
    row("a stub's Multiboot header", "give a 32bit one", wrong_boot("multiboot1-no-addresses")),
    row("headers too far", "no multiboot header found",
        wrong_boot("multiboot2-too-far", "multiboot2")),
    row("relocations", "ELF files with relocs are not supported yet",
        wrong_boot("relocation-sections", "multiboot2")),
    row("GNU ld -n", "undefined reference to __ehdr_start", linking_says(GNU, "-n", ld=own_script)),
    row("no SIZEOF_HEADERS", "undefined reference to __ehdr_start",
        linking_says(GNU, ld=without(" + SIZEOF_HEADERS"))),
    row("no -L, GNU ld", "cannot open linker script file prologue...",
        linking_says(GNU, ld=own_script, scripts=())),
    row("no -L, lld", "cannot find linker script prologue...",
        linking_says(LLD, ld=own_script, scripts=())),
    row("-T before -L, GNU ld", "cannot open linker script file prologue...",
        lambda: linking_says(GNU, "-T", own_script())()),
    row("the library first, GNU ld", "undefined reference to prologue_wished_maps",
        linking_says(GNU, inputs=library_first)),
    row("-b binary first, GNU ld", "undefined symbol prologue_pvh_start",
        linking_says(GNU, inputs=binary_first)),
    row("a script without its number, GNU ld", "undefined symbol PROLOGUE_PHYSICAL",
        linking_says(GNU, ld=lambda: script(OWN_SCRIPT.replace(
            "PROLOGUE_PHYSICAL = 0x100000;", "").replace("+ PROLOGUE_PHYSICAL", "+ 0x100000")))),
    Case("rows: an initrd is where the page says", an_initrd_is_where_the_page_says),
    Case("rows: the program's name before the command line",
         the_program_s_name_is_where_the_page_says),
    Case("rows: Multiboot 2's RSDP is a copy", the_rsdp_is_a_copy),
    row("GRUB on UEFI, a relocation tag for one place alone",
        "couldn't find suitable memory target", pinned_by_its_header),
]
