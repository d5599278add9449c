"""A wish takes effect or the link fails by name: whatever the order of objects and libraries, the
linker, the compiler, the language, and who optimises when."""

import functools
import re
import struct
from pathlib import Path
from typing import Dict, List, Sequence

from elftools.elf.elffile import ELFFile

import cases
import machine
from cases import Case
from images import Image
from linking import (
    CLANG,
    CLANGXX,
    GCC,
    GNU,
    INCLUDE,
    LIBRARY,
    LLD,
    SCRIPTS,
    compiled,
    do,
    run,
    script,
)
from machine import Boot

_MAIN = """
#include <prologue/handoff.h>
void kernel_main(const prologue_handoff *handoff) {
    unsigned char status = handoff->stack_top - handoff->stack_bottom == 0x40000 ? 0x10 : 0x20;
    for (;;)
        __asm__ volatile("outb %0, $0xf4" : : "a"(status));
}
"""

# Nothing in here is referred to by the kernel. Names of headers are macros now and then.
_WISHES = """
#define multiboot1 2
#include <prologue/wishes.h>
PROLOGUE_WISH_STACK(0x40000);
PROLOGUE_WISH_HEADERS(pvh, multiboot1, linux);
PROLOGUE_WISH_PAGING(PROLOGUE_PAGING_BEST);
PROLOGUE_WISH_DIRECT_MAP(0xffff900000000000);
PROLOGUE_WISH_IDENTITY_MAP(PROLOGUE_IDENTITY_1_GIB, PROLOGUE_FROM_PAGE_0);
PROLOGUE_WISH_WINDOW(0xffffffffc0000000, 0xfee00000, 0x1000, PROLOGUE_WINDOW_WRITE);
PROLOGUE_WISH_WINDOW(0xffffffffc0001000, 0xfee00000, 0x1000, PROLOGUE_WINDOW_READ);
PROLOGUE_WISH_SYMBOL_WINDOW(0xffffffffc0002000, 0xfee00000, bytes_seen, 0);
__asm__(".globl bytes_seen; bytes_seen = 0x1000");
PROLOGUE_WISH_RELOCATABLE;
PROLOGUE_WISH_WRITABLE_TEXT;
PROLOGUE_WISH_QEMU_EXIT;
PROLOGUE_WISH_SEV(PROLOGUE_SEV_NONE);
PROLOGUE_WISH_SNP_ACCEPT(0x1000000);
PROLOGUE_WISH_FRAMEBUFFER(1024, 768, 32);
"""
_VIDEO = (0x10007, (0, 1024, 768, 32))  # Multiboot 1's flags, and its fields behind the addresses
_HEADERS = {"pvh", "multiboot1", "linux"}
_VALUES = {
    "paging": (0, 4), "direct_map": (0xFFFF900000000000, 8), "identity_map": (1 << 30, 8),
    "relocatable": (1, 4), "writable_text": (1, 4), "qemu_exit": (1, 4),
}

_FLAGS = ["-O2", "-ffreestanding", "-fno-pic", "-fno-stack-protector", "-mcmodel=kernel",
          "-mno-red-zone", "-Wall", "-Wextra", "-Werror", INCLUDE]
_BY_GCC = [*GCC, "-flto", "-O2", "-fno-pic", "-mcmodel=kernel", "-mno-red-zone", "-nostdlib",
           "-Wl,--build-id=none"]

_GROUP, _END, _MAIN_O, _WISHES_O, _BOTH, _WISHES_A = "--start-group", "--end-group", *range(4)
ORDERS: Dict[str, Sequence] = {
    "objects, then the library": (_MAIN_O, _WISHES_O, LIBRARY),
    "the library first": (LIBRARY, _MAIN_O, _WISHES_O),
    "the library between": (_MAIN_O, LIBRARY, _WISHES_O),
    "a kernel that is a library": (_BOTH, LIBRARY),
    "a kernel that is a library, behind ours": (LIBRARY, _BOTH),
    "a group": (_GROUP, _BOTH, LIBRARY, _END),
    "a group, ours first": (_GROUP, LIBRARY, _BOTH, _END),
    "wishes in a library": (_MAIN_O, _WISHES_A, LIBRARY),
    "wishes in a library behind ours": (_MAIN_O, LIBRARY, _WISHES_A),
    "a kernel's library as a whole": ("--whole-archive", _BOTH, "--no-whole-archive", LIBRARY),
    "ours as a whole, defaults behind wishes": (
        _MAIN_O, _WISHES_O, "--whole-archive", LIBRARY, "--no-whole-archive"),
    "ours twice, first and last": (LIBRARY, _BOTH, LIBRARY),
}
# Where everything has to be found; elsewhere a link may fail, if it names the wish.
_MUST_LINK = [title for title in ORDERS if "first" not in title and "behind" not in title and
              "between" not in title]


def parts(compiler: Sequence, flags: Sequence, language: str) -> List[Path]:
    """main.o, wishes.o, and libraries of both and of the second."""
    main = [*compiler] if language == "c" else [word for word in GCC]
    objects = [compiled(_MAIN, *main, *_FLAGS, *flags * (language == "c"), name="main.c"),
               compiled(_WISHES, *compiler, *_FLAGS, *flags, name=f"wishes.{language}")]
    archiver = "gcc-ar" if compiler[0] == "gcc" else "llvm-ar"
    both, wishes = (cases.scratch_directory() / name for name in ("libkernel.a", "libwishes.a"))
    do(archiver, "rcs", both, *objects)
    do(archiver, "rcs", wishes, objects[1])
    return [*objects, both, wishes]


def command(linker: Sequence, kernel: Path, words: Sequence, flags: Sequence = (),
            ld: Path = Path("prologue.ld")) -> list:
    options = ["-m", "elf_x86_64", "-static", "-z",
               "max-page-size=4096", *flags, *SCRIPTS, "-T", ld]
    if linker == _BY_GCC:
        options = [f"-Wl,{word}" for word in ("-z,max-page-size=4096", *flags)]
        options += ["-static", *SCRIPTS, "-T", ld]
        words = [f"-Wl,{word}" if str(word).startswith("--") else word for word in words]
    return [*linker, *options, "-o", kernel, *words]


def expect_all_granted(kernel: Path, title: str) -> None:
    image = Image(kernel)
    symbols = image.symbols
    value = lambda at, count: int.from_bytes(
        image.contents[image.file_offset(at):][:count], "little")
    assert symbols["prologue_stack_top"] - symbols["prologue_stack_bottom"] == 0x40000, title
    assert symbols["prologue_stack_bottom"] - symbols["prologue_stack_guard"] == 4096, title
    for name, (due, count) in _VALUES.items():
        assert value(f"prologue_wish_{name}", count) == due, (title, name)
    assert value("prologue_window", 8) == 8, title
    windows = symbols["__stop_prologue_windows"] - symbols["__start_prologue_windows"]
    assert windows == 3 * 56, (title, windows)
    with open(kernel, "rb") as file:
        defined = {symbol.name for symbol in ELFFile(file).get_section_by_name(".symtab")
                   .iter_symbols() if symbol["st_shndx"] != "SHN_UNDEF"}
    names = ("pvh", "multiboot1", "multiboot2", "linux", "vmd", "freebsd")
    assert {name for name in names if f"prologue_{name}" in defined} == _HEADERS, title
    assert "prologue_sev32" not in defined, title
    header = image.contents[image.file_offset("prologue_multiboot1"):]
    words = struct.unpack_from("<12I", header)
    assert (words[1], words[8:]) == _VIDEO and sum(words[:3]) % (1 << 32) == 0, (title, words)


def every_order(linker: Sequence, compiler: Sequence, flags: Sequence, language: str) -> None:
    made = parts(compiler, flags, language)
    kept = None
    for title, order in ORDERS.items():
        for more in ([], ["--gc-sections"]):
            kernel = cases.scratch_directory() / "kernel.elf"
            words = [made[word] if isinstance(word, int) else word for word in order]
            result = run(*command(linker, kernel, words, more))
            if result.returncode == 0:
                expect_all_granted(kernel, title)
                kept = kernel
            else:
                assert title not in _MUST_LINK, (title, result.stderr)
                assert "PROLOGUE_WISH_" in result.stderr, (title, result.stderr)
    machine.run(Boot(kernel=kept)).expect(machine.OK)


def relocatable_links(linker: str) -> None:
    """`ld -r` of the kernel alone and with ours; of libraries, where it is told the names."""
    made = parts(CLANG, [], "c")
    names = cases.ROOT / "linker/prologue-wishes.ld"
    whole = cases.scratch_directory() / "whole.o"
    for words, last in (((_MAIN_O, _WISHES_O), [LIBRARY]), ((_MAIN_O, _WISHES_O, LIBRARY), []),
                        ((names, _BOTH, LIBRARY), []), ((_GROUP, _BOTH, LIBRARY, _END), [])):
        named = [made[word] if isinstance(word, int) else word for word in words]
        do(linker, "-m", "elf_x86_64", "-r", "-u", "prologue_start", "-o", whole, *named)
        kernel = whole.with_name("kernel.elf")
        result = run(*command([linker], kernel, [whole, *last]))
        if result.returncode == 0:
            expect_all_granted(kernel, str(words))
        else:
            assert _GROUP in words and "PROLOGUE_WISH_" in result.stderr, (words, result.stderr)


def lost_by_name(linker: str, spoil: str) -> None:
    """What takes a record from the link ends it."""
    made = parts(CLANG, [], "c")
    text = (cases.ROOT / "linker/prologue.ld").read_text()
    if spoil == "local":
        do("objcopy", "--localize-symbol=prologue_note_paging", made[_WISHES_O])
    else:
        text = text.replace("SECTIONS\n{", "SECTIONS\n{\n    /DISCARD/ : { *(.note*) }", 1)
    result = run(*command([linker], cases.scratch_directory() / "kernel.elf",
                          [made[_MAIN_O], made[_WISHES_O], LIBRARY], [], script(text)))
    assert result.returncode != 0 and re.search("prologue_note_|PROLOGUE_WISH_", result.stderr), (
        result.stderr)


def windows_alone(linker: str) -> None:
    """A file of a library that has windows, and nothing else that is wanted."""
    line = '#include <prologue/wishes.h>\n' + "".join(
        f"PROLOGUE_WISH_WINDOW({0xffffffffc0000000 + 4096 * i:#x}, 0xfee00000, 0x1000, 0);\n"
        for i in range(3))
    main = compiled(_MAIN, *CLANG, *_FLAGS)
    for compiler in (CLANG, GCC):
        library = cases.scratch_directory() / "libwindows.a"
        do("llvm-ar", "rcs", library, compiled(line, *compiler, *_FLAGS))
        kernel = library.with_name("kernel.elf")
        do(*command([linker], kernel, [main, library, LIBRARY]))
        symbols = Image(kernel).symbols
        bytes_ = symbols["__stop_prologue_windows"] - symbols["__start_prologue_windows"]
        assert bytes_ == 3 * 56, (compiler, bytes_)


def case(title: str, linker: Sequence, compiler: Sequence, flags: Sequence = (),
         language: str = "c") -> Case:
    name = "lld" if LLD in linker else "GNU ld"
    return Case(f"wish link: {title}, {name}",
                functools.partial(every_order, linker, compiler, list(flags), language))


CASES = [
    *(case(title, [linker], compiler, flags, language) for linker in (GNU, LLD)
      for title, compiler, flags, language in (
          ("C by gcc, as it comes", GCC, [], "c"),
          ("C11 by clang", CLANG, ["-std=c11"], "c"),
          ("C23 by gcc", GCC, ["-std=c2x"], "c"),
          ("C++ by g++", ["g++"], ["-std=c++20"], "cpp"),
          ("C++ by clang", CLANGXX, [], "cpp"))),
    case("gcc -flto", _BY_GCC, GCC, ["-flto"]),
    case("gcc -flto, fat", _BY_GCC, GCC, ["-flto", "-ffat-lto-objects"]),
    case("clang -flto", [LLD], CLANG, ["-flto"]),
    case("clang -flto=thin", [LLD], CLANG, ["-flto=thin"]),
    *(Case(f"wish link: {title}, {name}", functools.partial(function, linker, *more))
      for name, linker in (("lld", LLD), ("GNU ld", GNU))
      for title, function, *more in (
          ("ld -r", relocatable_links), ("windows in a library", windows_alone),
          ("a record made local", lost_by_name, "local"))),
    # lld 14 crashes at that.
    Case("wish link: a record discarded, GNU ld",
         functools.partial(lost_by_name, GNU, "discarded")),
]
