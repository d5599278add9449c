"""Good manners in a link: what kernels' builds do to what they link, and that the kernel then still
finds the state that it was promised. The script is docs/kernel-contract.md's."""

import functools
import os
import re
from pathlib import Path
from typing import Callable, List, Optional, Tuple

from elftools.elf.elffile import ELFFile

import bsd_loaders
import cases
import doc_pages
import feeding
import iso
import machine
import state_report
from cases import Case
from images import Image
from linking import (
    CLANG,
    CLANGXX,
    DEFAULT,
    GCC,
    INCLUDE,
    LIBRARY,
    LINKERS,
    LLD,
    ORPHANS,
    OWN_SCRIPT,
    PIE_OBJECTS,
    PLAIN,
    SCRIPTS,
    compiled,
    do,
    link,
    own_script,
    run,
    script,
)
from machine import Boot


def finds_what_was_promised(kernel: Path) -> state_report.StateReport:
    report = state_report.read(machine.run(Boot(kernel=kernel, append="a b")).expect(machine.OK))
    state_report.expect_good(report)
    state_report.check_no_page_is_writable_and_executable(report.maps)
    assert report.cmdline == "a b", report.cmdline
    return report


def boots_by_grub(kernel: Path, protocol: str = "multiboot2") -> None:
    result = iso.run_iso(iso.grub_iso(kernel, protocol))
    state_report.expect_good(state_report.read(result.expect(machine.OK)))


# Scripts.


def own_script_boots(linker: str) -> None:
    for flags in ([], ["-u", "prologue_multiboot1"]):
        kernel = link(linker, own_script(), PIE_OBJECTS, *flags)
        finds_what_was_promised(kernel)
    boots_by_grub(kernel, "multiboot")
    boots_by_grub(kernel)


def phdrs_command_boots(linker: str) -> None:
    """The same sections, and segments as a kernel's author may name them."""
    headers = ("PHDRS { first PT_LOAD FILEHDR PHDRS FLAGS(4); code PT_LOAD FLAGS(5); "
               "rest PT_LOAD FLAGS(6); note PT_NOTE FLAGS(4); }\nSECTIONS")
    text = OWN_SCRIPT.replace("SECTIONS", headers, 1)
    for section, phdr in ((".prologue.headers", "first"), (".prologue.notes", "first :note"),
                          (".rodata", "first"), (".text", "code"), (".data", "rest"),
                          (".bss", "rest")):
        one_line = rf"\n    {re.escape(section)} :[^\n]*}}(?=\n)"
        block = rf"\n    {re.escape(section)} :[^\n]*{{\n.*?\n    }}(?=\n)"
        text, count = re.subn(f"{one_line}|{block}", rf"\g<0> :{phdr}", text, count=1,
                              flags=re.DOTALL)
        assert count == 1, section
    kernel = link(linker, script(text))
    with open(kernel, "rb") as file:
        kinds = [segment["p_type"] for segment in ELFFile(file).iter_segments()]
    assert kinds == ["PT_LOAD"] * 3 + ["PT_NOTE"], kinds
    finds_what_was_promised(kernel)


def plain_patterns_take_all(linker: str) -> None:
    """A script that collects *(.text), *(.rodata), *(.data) and *(.bss) from the library alone."""
    text = re.sub(r"\*\((\.(?:text|rodata|data|bss)) [^)]*\)", r"*(\1) *-pie.o(\1.*)",
                  OWN_SCRIPT)
    assert "*(.bss)" in text and " .text.*" not in text
    kernel = link(linker, script(text))
    placed = {".prologue.headers", ".prologue.notes", ".rodata", ".text", ".data", ".bss"}
    names = {name for name, _, _ in allocated(kernel)}
    assert names == placed, names
    finds_what_was_promised(kernel)


def nothing_lies_behind_the_end(linker: str) -> None:
    kernel = link(linker, own_script())
    end = Image(kernel).symbols["kernel_end"]
    behind = [name for name, _, stop in allocated(kernel) if stop > end]
    assert not behind, behind
    load_end = finds_what_was_promised(kernel).handoff["load_end"]
    end = Image(kernel).symbols["prologue_bss_end"]
    assert end <= load_end < end + 4096 and load_end % 4096 == 0, (hex(load_end), hex(end))


def allocated(kernel: Path) -> List[Tuple[str, int, int]]:
    with open(kernel, "rb") as file:
        return [(section.name, section["sh_addr"], section["sh_addr"] + section["sh_size"])
                for section in ELFFile(file).iter_sections()
                if section["sh_flags"] & 2 and section["sh_size"]]


def no_orphan_is_left(linker: str) -> None:
    text = OWN_SCRIPT.replace("    /DISCARD/", f"{ORPHANS}    /DISCARD/", 1)
    kernel = link(linker, script(text), PIE_OBJECTS, "--orphan-handling=error", "--strip-debug")
    finds_what_was_promised(kernel)


def no_low_address(linker: str) -> None:
    for virtual in ("0xffffffff80000000", "0xffffc00000000000", "0xfffffe8000000000"):
        text = re.sub("PROLOGUE_VIRTUAL = 0x[0-9a-f]+", f"PROLOGUE_VIRTUAL = {virtual}", OWN_SCRIPT)
        kernel = link(linker, script(text))
        assert all(start >= int(virtual, 16) for _, start, _ in allocated(kernel))
        finds_what_was_promised(kernel)


# What is done to a link's inputs and outputs.


def gc_sections(linker: str) -> None:
    for ld in (DEFAULT, own_script()):
        finds_what_was_promised(link(linker, ld, PIE_OBJECTS, "--gc-sections"))


def one_object(linker: str) -> Path:
    """`ld -r` of the kernel and what it pulls out of the library."""
    whole = cases.scratch_directory() / "whole.o"
    do(linker, "-r", "-u", "prologue_start", "-o", whole, *PIE_OBJECTS, LIBRARY)
    return whole


def relocatable_link(linker: str) -> None:
    for ld in (DEFAULT, own_script()):
        finds_what_was_promised(link(linker, ld, [one_object(linker)], "--gc-sections"))


def symbols_made_local(linker: str) -> None:
    for objcopy in ("llvm-objcopy", "objcopy"):
        for flags in (["--localize-hidden"], ["--wildcard", "--keep-global-symbol=prologue_*"]):
            whole = one_object(linker)
            do(objcopy, *flags, whole)
            names = do("llvm-nm", "--extern-only", "--defined-only", "--format=just-symbols", whole)
            assert "_ZN8prologue" not in names, names
            finds_what_was_promised(link(linker, DEFAULT, [whole]))


def stripped() -> None:
    for strip in ("llvm-strip", "strip"):
        kernel = link(LLD, DEFAULT)
        do(strip, "-s", kernel)
        assert "state_main" not in run("llvm-nm", kernel).stdout
        finds_what_was_promised(kernel)


# Code models and compilers.


def position_independent() -> None:
    """lld links it as a PIE; the addresses in its data are those that it is linked at."""
    table = compiled("const char *const prologue_test_table[] = {\"one\", \"two\"};\n"
                     "_Static_assert(sizeof prologue_test_table == 16, \"\");\n",
                     *CLANG, *PLAIN, "-fPIE")
    kernel = link(LLD, DEFAULT, [*PIE_OBJECTS, table], "-pie", "--no-dynamic-linker",
                  "--apply-dynamic-relocs", "-z", "norelro", static=False)
    with open(kernel, "rb") as file:
        assert ELFFile(file)["e_type"] == "ET_DYN"
    image = Image(kernel)
    at = image.file_offset("prologue_test_table")
    pointer = int.from_bytes(image.contents[at:at + 8], "little")
    assert image.contents[image.file_offset(pointer):][:4] == b"one\0"
    finds_what_was_promised(kernel)


def link_time_optimisation() -> None:
    wishes = compiled('#include "prologue/wishes.h"\nPROLOGUE_WISH_STACK(0x8000);\n'
                      "PROLOGUE_WISH_HEADERS(pvh);\n"
                      "PROLOGUE_WISH_DIRECT_MAP(0xffff900000000000);\n",
                      *CLANG, *PLAIN, "-flto", "-mcmodel=kernel")
    sources = [cases.ROOT / f"qemu/kernels/{name}.cpp" for name in ("state", "console")]
    objects = [compiled(f'#include "{source}"', *CLANGXX, *PLAIN, "-Wno-missing-field-initializers",
                        "-flto", "-mcmodel=kernel", "-fno-exceptions", "-fno-rtti",
                        "-DWISHES_ELSEWHERE", f"-I{source.parent}", name="source.cpp")
               for source in sources]
    assert objects[0].read_bytes()[:4] != b"\x7fELF"
    kernel = link(LLD, DEFAULT, [*objects, wishes])
    report = finds_what_was_promised(kernel)
    assert report.handoff["stack_top"] - report.handoff["stack_bottom"] == 0x8000
    assert report.handoff["direct_map"] == 0xFFFF900000000000
    assert "prologue_multiboot2" not in Image(kernel).symbols


_TINY = """
#include <prologue/handoff.h>
#include <prologue/wishes.h>
PROLOGUE_WISH_STACK(0x4000);
_Noreturn void kernel_main(const prologue_handoff *handoff) {
    unsigned char status = handoff->magic == PROLOGUE_HANDOFF_MAGIC ? 0x10 : 0x20;
    for (;;)
        __asm__ volatile("outb %0, $0xf4" : : "a"(status));
}
"""


def gcc_and_its_notes(linker: str) -> None:
    """GCC's .note.gnu.property wants alignment 8, with which QEMU would misread PVH's note."""
    model = ["-mcmodel=kernel", "-fno-pic", "-fcf-protection=full"]
    tiny = compiled(_TINY, *GCC, "-std=c11", *PLAIN, *model)
    assert ".note.gnu.property" in do("readelf", "-SW", tiny)
    kept = OWN_SCRIPT.replace(" .note*", "")
    for ld in (DEFAULT, own_script(), script(kept)):
        machine.run(Boot(kernel=link(linker, ld, [tiny]))).expect(machine.OK)


def large_code_model(compiler: list) -> None:
    tiny = compiled(_TINY, *compiler, "-std=c11", *PLAIN, "-mcmodel=large", "-fno-pic")
    for linker in LINKERS.values():
        kernel = link(linker, DEFAULT, [tiny], "--defsym=PROLOGUE_VIRTUAL=0xffffa00000000000")
        result = machine.run(Boot(kernel=kernel))
        assert "in the direct map" in result.serial, result.serial
        kernel = link(linker, DEFAULT, [tiny], "--defsym=PROLOGUE_VIRTUAL=0xffffd00000000000")
        machine.run(Boot(kernel=kernel)).expect(machine.OK)


# Headers.


_NAMES = ("pvh", "multiboot1", "multiboot2", "vmd", "freebsd")
_BY_STACK = {("vmd",): bsd_loaders.vmd, ("freebsd",): bsd_loaders.userboot}
_CHOICES = [*((name,) for name in _NAMES), _NAMES]


def carried(kernel: Path) -> set:
    return {name for name in _NAMES if f"prologue_{name}" in Image(kernel).symbols}


def headers_are_carried(compiler: list, name: str) -> None:
    """Each alone and all of them, by a wish in this language; a contract that is not wished for
    leaves neither header nor code."""
    for choice in _CHOICES:
        line = f'#include "prologue/wishes.h"\nPROLOGUE_WISH_HEADERS({", ".join(choice)})'
        wish = compiled(line + ("\n" if name.endswith(".S") else ";\n"), *compiler,
                        "-ffreestanding", INCLUDE, name=name)
        for linker in LINKERS.values():
            kernel = link(linker, DEFAULT, [*PIE_OBJECTS, wish], "--gc-sections")
            assert carried(kernel) == set(choice), (choice, carried(kernel))
            code = {name for name in _NAMES if f"prologue_parse_{name}" in Image(kernel).symbols}
            assert code == set(choice), (choice, code)
        if choice == ("pvh",):
            finds_what_was_promised(kernel)
        elif choice in _BY_STACK:
            boot = feeding.feed(*_BY_STACK[choice](Image(kernel))[:2])
            state_report.expect_good(state_report.read(machine.run(boot).expect(machine.OK)))
        else:
            boots_by_grub(kernel, "multiboot" if choice == ("multiboot1",) else "multiboot2")


def unwanted_contracts_cost_nothing() -> None:
    def size(*names: str) -> int:
        wish = compiled('#include "prologue/wishes.h"\n'
                        f'PROLOGUE_WISH_HEADERS({", ".join(names)});\n', *CLANG, *PLAIN)
        kernel = link(LLD, own_script(), [*PIE_OBJECTS, wish])
        return sum(stop - start for name, start, stop in allocated(kernel) if name != ".bss")
    alone = {name: size(name) for name in _NAMES}
    pairs = size("pvh", "multiboot2")
    everything = size(*_NAMES)
    assert max(alone.values()) < pairs < everything, (alone, pairs, everything)


def masked_entries_are_refused(linker: str) -> None:
    """vmd keeps 28 bits of e_entry, FreeBSD's loaders 24."""
    places = {"0xffffffff80000000": {}, "0xffffffff81000000": {"vmd": 28},
              "0xffffffff80800000": {"vmd": 28, "freebsd": 24}}
    for virtual, missed in places.items():
        for name in ("vmd", "freebsd"):
            result = run(linker, "-static", f"--defsym=PROLOGUE_VIRTUAL={virtual}", *SCRIPTS, "-T",
                         DEFAULT, "-u", f"prologue_{name}", "-o", os.devnull, *PIE_OBJECTS,
                         LIBRARY)
            if name not in missed:
                assert result.returncode == 0, (virtual, name, result.stderr)
            else:
                assert result.returncode != 0 and (
                    f"e_entry's lower {missed[name]} bits" in result.stderr), (virtual, name)


def a_wish_stands_once(linker: str) -> None:
    for wish in ("PAGING(4)", "STACK(0x4000)", "DIRECT_MAP(0)", "IDENTITY_MAP(0, 0)",
                 "RANDOM(0, 0)", "RELOCATABLE", "WRITABLE_TEXT", "HEADERS(pvh)"):
        line = f'#include "prologue/wishes.h"\nPROLOGUE_WISH_{wish};\n'
        twice = [compiled(line, *CLANG, *PLAIN, name=f"{name}.c") for name in ("one", "two")]
        result = run(linker, "-static", *SCRIPTS, "-T", DEFAULT, "-o", os.devnull, *PIE_OBJECTS,
                     *twice, LIBRARY)
        assert result.returncode != 0 and re.search("duplicate symbol|multiple definition",
                                                    result.stderr), (wish, result.stderr)


_RELOCATABLE_TAG = 10


def relocation_tag(kernel: Path) -> Optional[Tuple[int, int]]:
    """Multiboot 2's relocatable header tag: lowest and highest address."""
    image = Image(kernel)
    at = image.file_offset("prologue_multiboot2")
    word = lambda offset: int.from_bytes(image.contents[offset:offset + 4], "little")
    at += 16
    while word(at) & 0xFFFF != _RELOCATABLE_TAG:
        if not word(at) & 0xFFFF:
            return None
        at += -(-word(at + 4) // 8) * 8
    return word(at + 8), word(at + 12)


def fixed_image_has_no_tag(linker: str) -> None:
    """With it GRUB 2.06 on UEFI would refuse a larger one."""
    assert relocation_tag(link(linker, DEFAULT)) is None
    wish = compiled('#include "prologue/wishes.h"\nPROLOGUE_WISH_RELOCATABLE;\n', *CLANG, *PLAIN)
    free = link(linker, DEFAULT, [*PIE_OBJECTS, wish])
    assert relocation_tag(free) == (Image(free).base, 0xFFFFFFFF), relocation_tag(free)


_ORPHANS = """
#include <prologue/kernel.h>
#include <prologue/wishes.h>
PROLOGUE_WISH_HEADERS(pvh, multiboot1, multiboot2, linux);
__asm__(".pushsection .my_zeroes, \\"aw\\", @nobits;"
        ".globl zeroes; zeroes: .skip 70000; .popsection");
extern volatile char zeroes[70000];
__attribute__((section("my_data"), used)) volatile int data = 7;
__attribute__((section(".my_table"), used)) const volatile int table = 8;
extern int absent __attribute__((weak));
static void out8(uint16_t port, uint8_t value) {
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}
_Noreturn void kernel_main(const prologue_handoff *handoff) {
    int dirty = data != 7 || table != 8 || handoff->size == 0 || &absent != 0;
    for (int i = 0; i != 70000; ++i)
        dirty |= zeroes[i];
    zeroes[69999] = 1;
    for (;;)
        out8(0xf4, dirty ? 0x20 : 0x10);
}
"""


def orphans_are_where_they_belong(linker: str) -> None:
    """Sections that no script names: zero, filled and writable by each loader's header."""
    orphans = compiled(_ORPHANS, *CLANG, "-std=c11", *PLAIN, "-mcmodel=kernel", "-fno-pic")
    for ld in (DEFAULT, own_script()):
        kernel = link(linker, ld, [orphans])
        machine.run(Boot(kernel=kernel)).expect(machine.OK)  # Multiboot 1, which QEMU prefers
        for protocol in ("multiboot", "multiboot2"):
            iso.run_iso(iso.grub_iso(kernel, protocol)).expect(machine.OK)
        bzimage = kernel.with_suffix(".bzImage")
        do(cases.ROOT / "linker/prologue-bzimage", "--setup",
           cases.BUILD / "prologue-linux16.bin", kernel, bzimage)
        machine.run(Boot(kernel=bzimage)).expect(machine.OK)


def thread_data_is_refused(linker: str) -> None:
    for line in ("__thread int mine = 1;", "__thread int mine;"):
        thread = compiled(f"{line} int *where(void) {{ return &mine; }}\n", *CLANG, *PLAIN,
                          "-mcmodel=kernel", "-fno-pic")
        for ld in (DEFAULT, own_script()):
            result = run(linker, "-static", *SCRIPTS, "-T", ld, "-o", os.devnull, *PIE_OBJECTS,
                         thread, LIBRARY)
            assert result.returncode != 0 and "no thread-local storage" in result.stderr, (
                result.stderr)


def flat_image(linker: str) -> None:
    """By the commands of docs/your-kernel.md; objcopy's lacks the ELF header."""
    commands = doc_pages.lines(doc_pages.section("docs/your-kernel.md", "## A flat image"))
    for ld in (DEFAULT, own_script()):
        kernel = link(linker, ld, PIE_OBJECTS, "-u", "prologue_multiboot1")
        do("sh", "-e", "-c", "\n".join([f"cd {kernel.parent}", *commands]))
        image, flat = Image(kernel), kernel.with_suffix(".bin")
        loaded = image.symbols["prologue_load_end"] - image.symbols["prologue_load_start"]
        assert flat.stat().st_size == loaded < kernel.stat().st_size, loaded
        state_report.expect_good(state_report.read(
            machine.run(Boot(kernel=flat)).expect(machine.OK)))
        boots_by_grub(flat, "multiboot")
    do("objcopy", "-O", "binary", kernel, flat)
    assert "invalid header_addr address" in machine.run(Boot(kernel=flat)).errors
    result = iso.run_iso(iso.grub_iso(flat, "multiboot"))
    result.expect(iso.LOADER_GAVE_UP, "attempt to seek outside of the file")


def with_each_linker(name: str, function: Callable[[str], None]) -> List[Case]:
    return [Case(f"link: {name}, {title}", functools.partial(function, linker))
            for title, linker in LINKERS.items()]


CASES = [
    *with_each_linker("a script of the kernel's own", own_script_boots),
    *with_each_linker("a PHDRS command", phdrs_command_boots),
    *with_each_linker("a script that collects plain sections only", plain_patterns_take_all),
    *with_each_linker("nothing lies behind the kernel's end", nothing_lies_behind_the_end),
    *with_each_linker("orphans are errors", no_orphan_is_left),
    *with_each_linker("no low virtual address at all", no_low_address),
    *with_each_linker("--gc-sections", gc_sections),
    *with_each_linker("ld -r", relocatable_link),
    *with_each_linker("symbols made local", symbols_made_local),
    *with_each_linker("GCC's notes", gcc_and_its_notes),
    *with_each_linker("an entry that a loader would miss", masked_entries_are_refused),
    *with_each_linker("a wish stands once", a_wish_stands_once),
    *with_each_linker("a fixed image has no tag that moves it", fixed_image_has_no_tag),
    *with_each_linker("sections that no script names", orphans_are_where_they_belong),
    *with_each_linker("thread-local data", thread_data_is_refused),
    *with_each_linker("a flat image", flat_image),
    Case("link: stripped of all symbols", stripped),
    Case("link: a position-independent executable", position_independent),
    Case("link: link-time optimisation", link_time_optimisation),
    Case("link: -mcmodel=large, clang", functools.partial(large_code_model, CLANG)),
    Case("link: -mcmodel=large, gcc", functools.partial(large_code_model, GCC)),
    *(Case(f"link: headers by wish, {title}",
           functools.partial(headers_are_carried, compiler, name))
      for title, compiler, name in (
          ("C", CLANG, "wish.c"), ("C++", CLANGXX, "wish.cpp"), ("assembly", CLANG, "wish.S"),
          ("C by gcc", GCC, "wish.c"), ("assembly by gcc", GCC, "wish.S"))),
    Case("link: contracts that are not wanted cost nothing", unwanted_contracts_cost_nothing),
]
