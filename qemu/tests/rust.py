"""The crate `prologue`: its structures, constants and notes are those of the C headers, to the
byte; and the template of a kernel in Rust, by Debian's rustc alone."""

import random
import re
import shutil

from elftools.elf.elffile import ELFFile

import cases
import machine
import staging
from cases import Case
from linking import INCLUDE, compiled, do

_RUSTC = "/usr/bin/rustc"  # Debian's
_HEADERS = cases.ROOT / "boot/include/prologue"
_FACTS = (cases.ROOT / "hosttests/include/handoff_facts.h").read_text()
_FIELDS = re.findall(r"^ +X\((\w+), (\w+)\)", _FACTS, re.MULTILINE)


def rust_structure(structure: str) -> str:
    return structure[len("prologue_"):].capitalize()


def rust_field(structure: str, field: str) -> str:
    return "kind" if (structure, field) == ("prologue_range", "type") else field


def constants() -> list:
    """The names of all numbers of both headers, without PROLOGUE_."""
    names = []
    for header in ("handoff.h", "wishes.h"):
        text = (_HEADERS / header).read_text()
        names += re.findall(
            r"^#define PROLOGUE_(?!HEADER_)([A-Z][A-Z0-9_]*[A-Z0-9]) +\w+ *(?:/\*.*)?$", text, re.M)
        names += re.findall(r"^    PROLOGUE_(\w+) = \d+,", text, re.M)
    return names


def _in_c() -> str:
    numbers = "\n".join(f'printf("{name} %llu\\n", (unsigned long long)PROLOGUE_{name});'
                        for name in constants())
    source = f"""
#include <stdio.h>
#include "handoff_facts.h"
static const struct handoff_fact facts[] = {{HANDOFF_FIELDS(HANDOFF_FACT)}};
int main(void) {{
    for (size_t i = 0; i != sizeof facts / sizeof *facts; ++i)
        printf("%s %zu %zu %zu\\n", facts[i].name, facts[i].offset, facts[i].field_bytes,
               facts[i].structure_bytes);
    {numbers}
}}
"""
    made = compiled(source, "gcc", "-std=c11", INCLUDE, f"-I{cases.ROOT}/hosttests/include")
    do("gcc", "-o", made.with_suffix(""), made)
    return do(made.with_suffix(""))


def _crate(*flags) -> list:
    """The options of rustc that find the crate, compiled for where tests run."""
    out = cases.scratch_directory()
    do(_RUSTC, "--edition", "2021", "--crate-type", "rlib", "--crate-name", "prologue", *flags,
       "-D", "warnings", "--out-dir", out, cases.ROOT / "rust/src/lib.rs")
    return ["--edition", "2021", "--extern", f"prologue={out / 'libprologue.rlib'}"]


def _in_rust() -> str:
    facts = []
    for structure, field in _FIELDS:
        kind, name = rust_structure(structure), rust_field(structure, field)
        facts.append(f"""
    let place = MaybeUninit::<prologue::{kind}>::uninit();
    let start = place.as_ptr();
    let field = unsafe {{ addr_of!((*start).{name}) }};
    println!("{structure}.{field} {{}} {{}} {{}}", field as usize - start as usize,
             size_of_pointed(field), size_of::<prologue::{kind}>());""")
    numbers = "\n".join(f'println!("{name} {{}}", prologue::{name});' for name in constants())
    source = f"""
use std::mem::{{size_of, MaybeUninit}};
use std::ptr::addr_of;
fn size_of_pointed<T>(_: *const T) -> usize {{ size_of::<T>() }}
fn main() {{ {"".join(facts)}
    {numbers}
}}
"""
    path = cases.scratch_file(source.encode(), "facts.rs")
    do(_RUSTC, *_crate(), "-o", path.with_suffix(""), path)
    return do(path.with_suffix(""))


def _as_in_c() -> None:
    c, rust = _in_c().splitlines(), _in_rust().splitlines()
    assert len(c) == len(_FIELDS) + len(constants()) and len(constants()) > 80, len(c)
    for ours, theirs in zip(rust, c):
        assert ours == theirs, f"in Rust {ours}, in C {theirs}"
    assert len(rust) == len(c)


# The same wishes in both languages. What they leave must be the same, symbol by symbol.
_C_WISHES = """
#include <prologue/wishes.h>
PROLOGUE_WISH_PAGING(PROLOGUE_PAGING_BEST);
PROLOGUE_WISH_STACK(0x40000);
PROLOGUE_WISH_DIRECT_MAP(0xffff900000000000);
PROLOGUE_WISH_IDENTITY_MAP(PROLOGUE_IDENTITY_4_GIB, PROLOGUE_FROM_PAGE_1 | PROLOGUE_WITH_DEVICES);
PROLOGUE_WISH_WINDOW(0xffffffffc0000000, 0xfee00000, 0x1000,
                     PROLOGUE_WINDOW_WRITE | PROLOGUE_WINDOW_UNCACHED);
PROLOGUE_WISH_WINDOW(0xffffffffc0001000, 0xfec00000, 0x1000, PROLOGUE_WINDOW_READ);
PROLOGUE_WISH_RELOCATABLE;
PROLOGUE_WISH_WRITABLE_TEXT;
PROLOGUE_WISH_QEMU_EXIT;
PROLOGUE_WISH_HEADERS(ALL);
PROLOGUE_WISH_SEV(PROLOGUE_SEV_NONE);
PROLOGUE_WISH_SNP_ACCEPT(0x1000000);
PROLOGUE_WISH_BOOT_SERVICES;
PROLOGUE_WISH_FREE_BEHIND_IMAGE(0x200000);
PROLOGUE_WISH_RANDOM(PROLOGUE_RANDOM_PHYSICAL, PROLOGUE_RANDOM_VIRTUAL);
PROLOGUE_WISH_FRAMEBUFFER(1024, 768, 32);
""".replace("ALL", ", ".join(re.findall(r"^#define PROLOGUE_HEADER_([a-z]\w+) ",
                                        (_HEADERS / "wishes.h").read_text(), re.MULTILINE)))


def _rust_wishes() -> str:
    lines = re.sub(r"PROLOGUE_WISH_([^;]*);", r"prologue::wish!(\1);", _C_WISHES)
    lines = re.sub(r"#include.*", "#![no_std]", lines)
    lines = lines.replace("SEV(PROLOGUE_SEV_NONE)", "SEV(SEV_NONE)")
    return re.sub(r"PROLOGUE_(\w+)", r"prologue::\1", lines)


def _left_by(path) -> dict:
    """What an object says to Prologue's scripts."""
    with open(path, "rb") as file:
        elf = ELFFile(file)
        sections = list(elf.iter_sections())
        left = {"windows": b""}
        for section in sections:
            if section.name == ".note.prologue.windows":
                assert section["sh_type"] == "SHT_NOTE" and section["sh_flags"] == 2
                left["windows"] += section.data()
            if section.name.startswith(".prologue.headers.multiboot"):
                left[section.name] = (section["sh_addralign"], section.data())
        for symbol in elf.get_section_by_name(".symtab").iter_symbols():
            index = symbol["st_shndx"]
            if not symbol.name.startswith("prologue_") or symbol["st_info"]["bind"] == "STB_LOCAL":
                continue
            left[symbol.name] = index if isinstance(index, str) else symbol["st_size"]
            if symbol.name.startswith("prologue_note_") and not isinstance(index, str):
                section = sections[index]
                assert section["sh_type"] == "SHT_NOTE" and section["sh_flags"] == 2, section.name
                start = symbol["st_value"]
                left[symbol.name] = section.data()[start:start + symbol["st_size"]]
            if symbol.name == "prologue_stack_bytes":
                left[symbol.name] = symbol["st_value"]
            if symbol.name in ("prologue_wish_headers", "prologue_wish_sev"):
                left[symbol.name] = "here"
        return left


def _same_wishes() -> None:
    c = compiled(_C_WISHES, "gcc", "-fno-pic", "-ffreestanding", INCLUDE)
    path = cases.scratch_file(_rust_wishes().encode(), "wishes.rs")
    do(_RUSTC, *_crate("-C", "panic=abort"), "--crate-type", "lib", "--emit", "obj",
       "-C", "panic=abort", "-C", "relocation-model=static", "-C", "codegen-units=1",
       "-D", "warnings", "-o", path.with_suffix(".o"), path)
    ours, theirs = _left_by(path.with_suffix(".o")), _left_by(c)
    assert len(theirs) > 25, theirs
    for name in {*ours, *theirs}:
        assert ours.get(name) == theirs.get(name), (name, ours.get(name), theirs.get(name))


# Words, quotes, dashes, blanks and what ends them, at random.
_PIECES = ("a", " key=b", "k-y", " k_y", "=", '"', " ", "\t", "--", "-", "b c", "/", "==")


def _options_as_in_c() -> None:
    dice = random.Random(17)
    lines = ["".join(dice.choice(_PIECES) for _ in range(dice.randrange(12))) for _ in range(400)]
    keys = ("a", "key", "k_y", "k-y", "-", "ab")
    literals = [line.replace('"', '\\"').replace("\t", "\\t") for line in lines]
    c = f"""
#include <stdio.h>
#include <string.h>
#include <prologue/kernel.h>
static const char *const lines[] = {{{", ".join(f'"{line}"' for line in literals)}}};
static const char *const keys[] = {{{", ".join(f'"{key}"' for key in keys)}}};
int main(void) {{
    for (size_t i = 0; i != sizeof lines / sizeof *lines; ++i)
        for (size_t k = 0; k != sizeof keys / sizeof *keys; ++k) {{
            prologue_handoff handoff = {{.cmdline = lines[i], .cmdline_bytes = strlen(lines[i])}};
            uint64_t bytes = 0;
            const char *value = prologue_option(&handoff, keys[k], &bytes);
            if (value)
                printf("<%.*s>\\n", (int)bytes, value);
            else
                puts("none");
        }}
}}
"""
    rust = f"""
fn main() {{
    for line in [{", ".join(f'"{line}"' for line in literals)}] {{
        for key in [{", ".join(f'"{key}"' for key in keys)}] {{
            // Safety: zero is good for every field, and the command line is as it says.
            let mut handoff: prologue::Handoff = unsafe {{ std::mem::zeroed() }};
            handoff.cmdline = line.as_ptr();
            handoff.cmdline_bytes = line.len() as u64;
            match handoff.option(key) {{
                Some(value) => println!("<{{}}>", std::str::from_utf8(value).unwrap()),
                None => println!("none"),
            }}
        }}
    }}
}}
"""
    made = compiled(c, "gcc", "-std=c11", INCLUDE)
    do("gcc", "-o", made.with_suffix(""), made)
    path = cases.scratch_file(rust.encode(), "options.rs")
    do(_RUSTC, *_crate(), "-o", path.with_suffix(""), path)
    ours = do(path.with_suffix("")).split("\n")
    theirs = do(made.with_suffix("")).split("\n")
    assert len(theirs) - theirs.count("none") > 300, theirs.count("none")
    for at, (mine, other) in enumerate(zip(ours, theirs)):
        assert mine == other, (lines[at // len(keys)], keys[at % len(keys)], mine, other)
    assert len(ours) == len(theirs)


def _template() -> None:
    here = cases.scratch_directory() / "rust"
    shutil.copytree(staging.staged() / "share/prologue/templates/rust", here)
    for linker in ("ld", "ld.lld"):
        (here / "kernel.elf").unlink(missing_ok=True)
        said = staging.run("make", f"RUSTC={_RUSTC}", f"LD={linker}", cwd=here,
                           PKG_CONFIG_PATH=str(staging.pkgconfig()))
        assert "warning" not in said, said
        motd = cases.scratch_file(b"the first line\nthe second\n", "motd")
        result = machine.run(machine.Boot(kernel=here / "kernel.elf", initrd=[motd],
                                          append='a b=c "d-e=f g" h="i j" -- k=l'))
        result.expect(machine.OK, r"^loader: [12]\r?$", r"^option: a is \r?$",
                      r"^option: b is c\r?$", r"^option: d-e is f g\r?$", r"^option: h is i j\r?$",
                      r"^motd: the first line\r?$", r"^local apic: version 0x14\r?$",
                      r"^result: ok\r?$")
        assert "option: k" not in result.serial
        free = re.findall(r"^free: (\w+) to (\w+)\r?$", result.serial, re.M)
        total = sum(int(end, 16) - int(start, 16) for start, end in free)
        result.expect(machine.OK, rf"^free in all: {total >> 10} KiB\r?$")


CASES = [
    Case("rust: every field and every number is as in C", _as_in_c),
    Case("rust: wishes leave what they leave in C", _same_wishes),
    Case("rust: options are read as in C", _options_as_in_c),
    Case("rust: the template, with GNU ld and with lld", _template),
]
