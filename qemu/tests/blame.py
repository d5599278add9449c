"""Whose fault it is. Where a kernel's own script, headers or wishes are the cause, the fatal line
and what prologue-check says name those, and no loader: a row for each such line of boot/errors.h.
"""

import fnmatch
import functools
import importlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import cases
import linking
import machine
import wrong_kernels
from cases import Case
from linking import OWN_SCRIPT
from prologue_check import report_on, rules
from wrong_kernels import at, both, linked, multiboot1, own, plain, source

_ERRORS = (cases.ROOT / "boot/errors.h").read_text()
_REPORT = (cases.ROOT / "docs/report.md").read_text()
_SENTENCES = dict(re.findall(r'X\((\w+),\s*"([^"]*)"\)', _ERRORS))


@dataclass(frozen=True)
class Row:
    """A kernel whose author is to blame: the line that its boot ends in, and prologue-check's
    finding, if a file can tell, with what the script has named in it."""

    error: str
    title: str
    kernel: Callable[[], Path]
    says: str
    finding: str = ""
    names: str = ""


def edited(base: Callable[[], Path], change: Callable) -> Callable[[], Path]:
    return lambda: wrong_kernels.Wrong("", frozenset(), base, change).image()


# A section of the kernel's own, wherever its script puts it.
_MINE = '__attribute__((section(".mine"), used)) volatile int mine = 7;\n'


def with_mine(line: str) -> Callable[[], Path]:
    script = own(("    .bss : {", f"    {line}\n    . = ALIGN(4096);\n    .bss : {{"))
    return linked(script=script, objects=lambda: [source(_MINE)])


# What a boot stub leaves in a kernel that wishes for other headers.
_STUB = """
        .section .prologue.headers, "a", @progbits
        .balign 4
        .long   0x1badb002, 0x10003, -(0x1badb002 + 0x10003)
        .long   prologue_multiboot1_physical, prologue_load_start, prologue_load_end
        .long   prologue_bss_end, prologue_entry_physical
"""

_RETURNS = """
#include <prologue/wishes.h>
PROLOGUE_WISH_QEMU_EXIT;
void kernel_main(const void *handoff);
void kernel_main(const void *handoff) { (void)handoff; }
"""

_CONSTRUCTOR = '__attribute__((constructor)) static void early(void) { __asm__ volatile("nop"); }\n'


def returning() -> Path:
    return linking.link(linking.LLD, linking.DEFAULT, [linking.compiled(
        _RETURNS, *linking.CLANG, *linking.PLAIN, "-mcmodel=kernel", "-fno-pic")])


ROWS = [
    Row("image_header", "no room for the ELF header", linked(script=own((" + SIZEOF_HEADERS", ""))),
        r"image: the ELF header at \w+ is not that of this kernel", "headers-not-loaded",
        r"segment 0 \(\.prologue\.headers to \.rodata\)"),
    Row("image_header", "too many segments",
        linked(script=wrong_kernels.many_segments(14, "PT_LOAD")),
        r"image: the ELF header at \w+ is not that of this kernel", "segments-too-many",
        "there are 17"),
    Row("contract_left_out", "an old stub's header",
        linked(objects=lambda: [source(_STUB, "stub.S")]),
        "entry: magic 2badb002 is of a contract that this kernel does not carry",
        "multiboot1-foreign", "it is at 0x[0-9a-f]+"),
    Row("contract_left_out", "a part lost", edited(plain, next(
        wrong.edit for wrong in wrong_kernels.ALL if wrong.rule == "part-missing")),
        "entry: magic 336ec578 is of a contract that this kernel does not carry", "part-missing",
        "PVH's parser"),
    Row("bad_wish", "a wish that means nothing",
        edited(wrong_kernels.rich, wrong_kernels.wish(0x51, word=3)),
        r"wish: paging 3 is none of 0 \(best\), 4 and 5", "paging-unknown", "3"),
    Row("image_segment", "an AT that is no multiple of a page away",
        with_mine(".mine : AT(ADDR(.mine) - PROLOGUE_VIRTUAL + 16) { *(.mine) }"),
        r"image: segment \d \(ffffffff80\w+, \w+ bytes\) is not page-aligned, or wraps",
        "segment-unaligned", r"segment \d \(\.mine"),
    Row("image_offset", "an AT of its own",
        with_mine(".mine : AT(ADDR(.mine) - PROLOGUE_VIRTUAL + 0x100000) { *(.mine) }"),
        r"image: segment \d \(ffffffff80\w+ at \w+\) is not at the first segment's offset",
        "segment-distance", r"segment \d \(\.mine"),
    Row("image_writable_text", "FLAGS(7)",
        edited(plain, lambda elf: elf.set_segment(wrong_kernels.TEXT, p_flags=7)),
        r"image: segment 0 \(\w+\) is writable and executable", "writable-executable",
        r"segment 0 \(\.prologue\.headers to \.text\)"),
    Row("image_code", "FLAGS(0)",
        edited(plain, lambda elf: elf.set_segment(wrong_kernels.TEXT, p_flags=0)),
        r"image: segment 0 \(\w+\) has this code, and is not executable", "section-not-executable",
        r"\.text, at 0x\w+, is in segment 0, which is ---"),
    Row("image_stack", "FLAGS(4) for .bss",
        edited(plain, lambda elf: elf.set_segment(wrong_kernels.BSS, p_flags=4)),
        r"image: segment 3 \(\w+\) has the stack, and is not writable", "section-not-writable",
        r"\.bss, at 0x\w+, is in segment 3, which is r--"),
    Row("image_order", "no ALIGN between sections", linked(script=own(
        ("prologue-parts.ld }\n    . = ALIGN(4096);", "prologue-parts.ld }"))),
        r"image: segment \d \(\w+\) begins before the one before it ends \(\w+\)",
        "segments-share-page", r"segment \d \(\.text\) begins at"),
    Row("image_order", "a section of the compiler's that the script does not name",
        linked(script=own(("    .init_array : { KEEP(*(.init_array .init_array.*)) }\n", ""),
                          ("    .got : { *(.got .got.plt .igot .igot.plt) }\n", "")),
               objects=lambda: [source(_CONSTRUCTOR)]),
        r"image: segment \d \(\w+\) begins before the one before it ends \(\w+\)",
        "segments-share-page", r"segment \d \(\.init_array\) begins at"),
    Row("image_not_canonical", "a link base that is no address",
        linked(*at(virtual=0x800000000000)),
        r"image: segment 0 \(800000100000\) is no address with 4 levels of paging",
        "image-not-canonical", r"segment 0 \(\.prologue\.headers to \.text\)"),
    Row("image_in_window", "a link base in the direct map", linked(*at(virtual=0xFFFFA00000000000)),
        r"image: segment 0 \(ffffa00000100000\) lies in the direct map", "image-in-direct-map",
        r"segment 0 \(\.prologue\.headers to \.text\)"),
    Row("image_moved", "PROLOGUE_PHYSICAL is not where AT puts the image", linked(
        "-u", "prologue_multiboot1", script=own(
            ("PROLOGUE_PHYSICAL = 0x100000;", "PROLOGUE_PHYSICAL = 0x200000;"),
            (". = PROLOGUE_VIRTUAL + PROLOGUE_PHYSICAL +", ". = PROLOGUE_VIRTUAL + 0x200000 +"),
            ("AT(ADDR(.prologue.headers) - PROLOGUE_VIRTUAL)",
             "AT(ADDR(.prologue.headers) - PROLOGUE_VIRTUAL + 0x100000)"))),
        "image: linked for 300000, loaded at 200000: no wish to be relocatable",
        "multiboot1-addresses", "0x[0-9a-f]+"),
    Row("on_the_image", "a Multiboot 1 header that ends before the image",
        edited(both, multiboot1(bss_end=-0x1000)),
        r"\w[\w ]*: \w+ to \w+ lies on the kernel image \(100000 to \w+\)", "multiboot1-bss-short",
        "0x[0-9a-f]+"),
    Row("kernel_returned", "kernel_main returns", returning, "kernel_main has returned"),
]

# Tests elsewhere that have such kernels; the host's have no colon.
ELSEWHERE = {
    "wish": "wishes: refused: *",
    "wish_paging": "badinput: cpu: demo-five on max,la57=off",
    "early_tables": "badinput: pvh: an image too high for 2 MiB pages on qemu64",
    "no_free_memory": "wishes: refused: no direct map and all else in use",
    "no_long_mode_contract": "badinput: pvh: no contract on max",
    "multiboot2_boot_services": "badinput: multiboot2: EFI boot services on max",
    "moved": "moved: not to 0x*",
    "efi_place": "EfiStub.RefusesAKernelWithoutAPlace",
    "unknown_loader": "badinput: multiboot2: EAX says nothing on max",
}

# What the CPU, the host, the loader or the machine is to blame for, or Prologue itself.
OTHERS = {
    "sev", "no_extended_leaf", "no_long_mode", "nested_fault", "out_of_reach", "too_many_entries",
    "text_not_ended", "pvh_magic", "pvh_memory", "pvh_version_0", "multiboot1_memory",
    "multiboot1_entry", "multiboot2_size", "multiboot2_tag", "multiboot2_past_end",
    "multiboot2_no_end", "multiboot2_memory", "multiboot2_entry_size", "module_backwards",
    "module_too_high", "range_too_high", "too_many_ranges", "no_room_for_map", "no_table_memory",
    "map_conflict", "linux_info", "vmd_info", "freebsd_info", "entry", "igvm_info", "efi",
}

_OWN = re.compile(r"script|segment|wish|header|ALIGN|\bAT\b|loop|link")


def _explained(error: str) -> str:
    """The row of docs/report.md: what the line means, and what to do."""
    return next(line for line in _REPORT.splitlines()
                if line.startswith(f"| `{_SENTENCES[error]}`")).split("` |", 1)[1]


def _blames_the_kernel(row: Row) -> None:
    kernel = row.kernel()
    result = machine.run(machine.Boot(kernel=kernel))
    lines = re.findall(r"^prologue: fatal: (.*?)\r?$", result.serial, re.M)
    assert result.outcome == machine.FATAL and len(lines) == 1, (result.outcome, result.serial)
    assert re.fullmatch(row.says, lines[0]) and "loader" not in lines[0], lines
    if row.finding:
        findings = [finding for finding in report_on(kernel)["findings"]
                    if finding["id"] == row.finding]
        assert findings, row.finding
        here = findings[0]["here"]
        assert re.search(row.names, here) and "loader" not in here, here


def _documents_blame_the_kernel() -> None:
    """A loader may be named beside, as the second that it could be."""
    for error in {*(row.error for row in ROWS), *ELSEWHERE} - {"efi_place", "moved"}:  # in no table
        means, cure = _explained(error).split(" | ")
        own, loader = _OWN.search(means + cure), re.search(r"\bloader\b", means)
        assert own, (error, means, cure)
        first = _OWN.search(means)
        assert not loader or first and first.start() < loader.start(), (error, means)
        assert "report it to the loader" not in cure, (error, cure)


def _every_line_has_its_row() -> None:
    rows = {row.error for row in ROWS}
    assert rows | set(ELSEWHERE) | OTHERS == set(_SENTENCES), (
        (rows | set(ELSEWHERE) | OTHERS) ^ set(_SENTENCES))
    assert not rows & OTHERS and not set(ELSEWHERE) & OTHERS and not rows & set(ELSEWHERE)
    names = [case.name for path in Path(__file__).parent.glob("*.py")
             if path.stem not in ("__init__", "blame")
             for case in importlib.import_module(f"tests.{path.stem}").CASES]
    on_the_host = re.findall(r"^TEST\w*\((\w+), (\w+)\)", "".join(
        path.read_text() for path in (cases.ROOT / "hosttests").rglob("*.cpp")), re.M)
    names += [".".join(pair) for pair in on_the_host]
    for error, test in ELSEWHERE.items():
        assert fnmatch.filter(names, test), (error, test)


def _findings_blame_the_kernel() -> None:
    """prologue-check reads a kernel: whatever it finds is mended there."""
    assert len(rules()) > 70
    for name, rule in rules().items():
        assert "loader" not in rule["mend"], (name, rule["mend"])
        assert not re.match(r"(The|A) loader\b", rule["meaning"]), (name, rule["meaning"])


def _a_script_of_the_documents_is_to_blame_for_nothing() -> None:
    kernel = linking.link(linking.LLD, linking.script(OWN_SCRIPT),
                          [*linking.PIE_OBJECTS, source(_MINE), source(_CONSTRUCTOR)])
    machine.run(machine.Boot(kernel=kernel)).expect(machine.OK)
    assert not report_on(kernel)["findings"]


CASES = [
    *(Case(f"blame: {row.error}: {row.title}", functools.partial(_blames_the_kernel, row))
      for row in ROWS),
    Case("blame: every fatal line has a row, or is another's fault", _every_line_has_its_row),
    Case("blame: docs/report.md blames the kernel before the loader", _documents_blame_the_kernel),
    Case("blame: prologue-check's words", _findings_blame_the_kernel),
    Case("blame: the documents' script takes sections of the compiler's",
         _a_script_of_the_documents_is_to_blame_for_nothing),
]
