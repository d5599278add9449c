"""Kernels that are each wrong in one way, and what prologue-check has to say of them: one at
least for each of its findings. Some are linked as an author might; most are good kernels with a
few bytes changed."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, FrozenSet, Iterable, Optional, Tuple

import cases
import linking
from elf_edit import PHDR_BYTES, PT_LOAD, PT_NOTE, PT_NULL, Elf

PVH = frozenset({"qemu-pvh", "xen-pvh", "cloud-hypervisor", "firecracker"})
QEMU_PVH = frozenset({"qemu-pvh"})
GRUB2 = frozenset({"grub-multiboot2", "grub-efi"})
MULTIBOOT1 = frozenset({"qemu-multiboot1", "grub-multiboot1"})
EVERY = PVH | GRUB2  # whose headers a kernel carries by default


@dataclass(frozen=True)
class Wrong:
    """A kernel, and the edit that makes it wrong. `loaders` are those of the finding; `also` are
    findings that the same mistake brings along; `asked` is what --loader names."""

    rule: str
    loaders: FrozenSet[str]
    base: Callable[[], Path]
    edit: Optional[Callable[[Elf], object]] = None
    also: Tuple[str, ...] = ()
    asked: Tuple[str, ...] = ()
    severity: str = "error"

    def image(self) -> Path:
        if self.edit is None:
            return self.base()
        elf = Elf(self.base())
        self.edit(elf)
        return elf.saved()


# ---- Good kernels ----


def plain() -> Path:
    """Without a wish: PVH and Multiboot 2, linked at -2 GiB, segments text, rodata, data, bss."""
    return cases.BUILD / "state-wishless.elf"


def both() -> Path:
    """With Multiboot 1's header besides."""
    return cases.BUILD / "state-multiboot1.elf"


TEXT, RODATA, DATA, BSS = range(4)


def source(text: str, name: str = "source.c") -> Path:
    return linking.compiled(text, *linking.CLANG, *linking.PLAIN, name=name)


def wishes(*each: str) -> Path:
    lines = [f"PROLOGUE_WISH_{wish};" for wish in each]
    return source("\n".join(['#include "prologue/wishes.h"', *lines, ""]))


def linked(*flags: str, script: Callable[[], Path] = lambda: linking.DEFAULT,
           objects: Callable[[], Iterable[Path]] = lambda: ()) -> Callable[[], Path]:
    return lambda: linking.link(linking.LLD, script(), [*linking.PIE_OBJECTS, *objects()], *flags)


def at(virtual: int = 0xFFFFFFFF80000000, physical: int = 0x100000) -> Tuple[str, str]:
    return f"--defsym=PROLOGUE_VIRTUAL={virtual:#x}", f"--defsym=PROLOGUE_PHYSICAL={physical:#x}"


def own(*replacements: Tuple[str, str]) -> Callable[[], Path]:
    """The script of docs/kernel-contract.md, changed."""
    text = linking.OWN_SCRIPT
    for old, new in replacements:
        assert old in text, old
        text = text.replace(old, new, 1)
    return lambda: linking.script(text)


def wishing(*each: str) -> Callable[[], Path]:
    return linked(objects=lambda: [wishes(*each)])


_RICH = ("PAGING(4)", "STACK(0x8000)", "DIRECT_MAP(0xffff900000000000)",
         "IDENTITY_MAP(0x100000000, 4096)", "HEADERS(pvh, multiboot2)",
         "WINDOW(0xffffe00000000000, 0xfee00000, 0x1000, 1)")


@functools.lru_cache(maxsize=None)
def rich() -> Path:
    """With a wish of most kinds."""
    return wishing(*_RICH)()


_WINDOW_ONLY = "WINDOW(0xffffe00000000000, 0xfee00000, 0x1000, 1)"


# ---- Edits ----


def cut(elf: Elf, to: int) -> None:
    del elf.bytes[to:]


def headers_moved(elf: Elf) -> None:
    """The program headers, to behind what Prologue reads in one go."""
    start, count = elf.header("e_phoff"), elf.header("e_phnum") * PHDR_BYTES
    elf.bytes[0x800:0x800 + count] = elf.bytes[start:start + count]
    elf.set_header(e_phoff=0x800)


def each_load(change: Callable[[Elf, int], object]) -> Callable[[Elf], None]:
    def edit(elf: Elf) -> None:
        for index in elf.segments(PT_LOAD):
            change(elf, index)
    return edit


def moved_in_memory(elf: Elf, index: int) -> None:
    elf.set_segment(index, p_paddr=elf.segment(index, "p_paddr") + (4 << 30))


def exchange_physical(elf: Elf) -> None:
    """Whichever of both is the larger, none comes to lie on another."""
    start, bytes_of_data = elf.segment(RODATA, "p_paddr"), elf.segment(DATA, "p_memsz")
    behind = start + -(-bytes_of_data // 0x1000) * 0x1000
    elf.set_segment(DATA, p_paddr=start).set_segment(RODATA, p_paddr=behind)


def onto_rodata(field: str) -> Callable[[Elf], object]:
    return lambda elf: elf.set_segment(DATA, **{field: elf.segment(RODATA, field)})


def section_too_long(elf: Elf) -> None:
    elf.set_section(elf.header("e_shnum") - 1, sh_size=len(elf.bytes))


def word_at(symbol: str, value: int) -> Callable[[Elf], None]:
    return lambda elf: elf.put(elf.place(symbol), value)


def pvh_desc(change: Callable[[int], int]) -> Callable[[Elf], None]:
    def edit(elf: Elf) -> None:
        desc = elf.note("Xen", 18).desc
        elf.put(desc, change(elf.get(desc)))
    return edit


def wish_bytes(kind: int, count: int) -> Callable[[Elf], None]:
    """How many bytes a wish's note claims."""
    return lambda elf: elf.put(elf.note("Prologue", kind).head + 4, count)


def wish_kind(kind: int, other: int) -> Callable[[Elf], None]:
    return lambda elf: elf.put(elf.note("Prologue", kind).head + 8, other)


def wish(kind: int, **fields: int) -> Callable[[Elf], None]:
    """A wish's numbers: `word` for the short ones, f0, f1 and so on for the others."""
    def edit(elf: Elf) -> None:
        desc = elf.note("Prologue", kind).desc
        for name, value in fields.items():
            if name == "word":
                elf.put(desc, value)
            else:
                elf.put(desc + 8 * int(name[1:]), value, "Q")
    return edit


def wish_twice(elf: Elf) -> None:
    wish(0x58, word=4)(elf)
    wish_kind(0x58, 0x51)(elf)


def multiboot1(**fields: int) -> Callable[[Elf], None]:
    """Multiboot 1's header: fields are added to; its words add up to zero again."""
    names = ("magic", "flags", "checksum", "header", "load", "load_end", "bss_end", "entry")

    def edit(elf: Elf) -> None:
        start = elf.place("prologue_multiboot1")
        for name, change in fields.items():
            place = start + 4 * names.index(name)
            elf.put(place, elf.get(place) + change)
        if "checksum" not in fields:
            elf.put(start + 8, -elf.get(start) - elf.get(start + 4))
    return edit


def multiboot2(offset: int, value: int, kind: str = "I", balance: bool = True) -> Callable:
    """A number in Multiboot 2's header; its words add up to zero again."""
    def edit(elf: Elf) -> None:
        start = elf.place("prologue_multiboot2")
        elf.put(start + offset, value, kind)
        if balance:
            elf.put(start + 12, -sum(elf.get(start + 4 * word) for word in range(3)))
    return edit


def without_sections_and(change: Callable[[Elf], None]) -> Callable[[Elf], None]:
    def edit(elf: Elf) -> None:
        change(elf)
        elf.set_header(e_shoff=0, e_shnum=0)
    return edit


_TAG6, _TAG10, _END = 16, 24, 48  # in Multiboot 2's header


def header_copied(symbol: str, count: int, to: int, keep: bool = True) -> Callable[[Elf], None]:
    """A header, over some code; or moved there."""
    def edit(elf: Elf) -> None:
        start = elf.place(symbol)
        elf.bytes[to:to + count] = elf.bytes[start:start + count]
        if not keep:
            elf.put(start, 0)
    return edit


def movable() -> Path:
    """With Multiboot 2's relocation tag."""
    return wishing("RELOCATABLE")()


def not_movable(elf: Elf) -> None:
    """The tag without the wish: as other boot stubs have it."""
    wish(0x56, word=0)(elf)


# ---- Links that go wrong ----

_FOREIGN_NOTE = """
        .section {section}, "a", @note
        .long   4, 4, {kind}
        .asciz  "{owner}"
        .long   {value}
"""


def foreign_note(section: str, owner: str, kind: int, value: int = 0) -> Callable:
    text = _FOREIGN_NOTE.format(section=section, owner=owner, kind=kind, value=value)
    return lambda: [source(text, "note.S")]


def many_segments(count: int, kind: str) -> Callable[[], Path]:
    """The documents' script with so many segments more."""
    names = [f"extra{index}" for index in range(count)]
    phdrs = ["first PT_LOAD FILEHDR PHDRS FLAGS(4);",
             *(f"{name} {kind} FLAGS(4);" for name in names), "code PT_LOAD FLAGS(5);",
             "rest PT_LOAD FLAGS(6);", "note PT_NOTE FLAGS(4);"]
    changes = [("SECTIONS", "PHDRS { " + "\n".join(phdrs) + " }\nSECTIONS"),
               ("    .prologue.notes : { INCLUDE prologue-notes.ld }",
                "    .prologue.notes : { INCLUDE prologue-notes.ld } :first :note"),
               ("INCLUDE prologue-headers.ld\n    }", "INCLUDE prologue-headers.ld\n    } :first"),
               ("INCLUDE prologue-parts.ld }", "INCLUDE prologue-parts.ld } :first"),
               ("*(.text .text.*) }", "*(.text .text.*) } :code"),
               ("*(.data .data.*) }", "*(.data .data.*) } :rest"),
               ("prologue_image_end = .;\n    }", "prologue_image_end = .;\n    } :rest")]
    if kind == "PT_LOAD":
        sections = [f". = ALIGN(4096); .{name} : {{ QUAD(1) . = ALIGN(4096); }} :{name}"
                    for name in names]
        changes.append(("    .text :", "\n".join(sections) + "\n    .text :"))
    return own(*changes)


_NO_PROLOGUE = "void kernel_main(void) { for (;;); }\n"
_BARE_SCRIPT = "SECTIONS { . = 0x100000 + SIZEOF_HEADERS; .text : { *(.text) } }\n"


def no_prologue() -> Path:
    kernel = cases.scratch_directory() / "kernel.elf"
    linking.do(linking.LLD, "-static", "-e", "kernel_main", "-T", linking.script(_BARE_SCRIPT),
               "-o", kernel, source(_NO_PROLOGUE))
    return kernel


def as_elf32() -> Path:
    """What some do to get past QEMU's "give a 32bit one"."""
    kernel = cases.scratch_directory() / "kernel.elf"
    linking.do("objcopy", "-O", "elf32-i386", plain(), kernel)
    return kernel


FILE = [
    Wrong("elf-class", EVERY, as_elf32),
    Wrong("elf-class", EVERY, plain, lambda elf: elf.set_header(ei_class=1)),
    Wrong("elf-endianness", EVERY, plain, lambda elf: elf.set_header(ei_data=2)),
    Wrong("elf-machine", EVERY, plain, lambda elf: elf.set_header(e_machine=183)),
    Wrong("elf-type", GRUB2, plain, lambda elf: elf.set_header(e_type=1)),
    Wrong("program-headers-broken", EVERY, plain, lambda elf: elf.set_header(e_phentsize=64)),
    Wrong("program-headers-broken", EVERY, plain, lambda elf: elf.set_header(e_phoff=1 << 40)),
    Wrong("sections-outside-file", GRUB2 | {"xen-pvh"}, plain,
          lambda elf: elf.set_header(e_shoff=len(elf.bytes))),
    Wrong("sections-outside-file", GRUB2, plain, section_too_long),
    Wrong("relocation-sections", GRUB2, linked("--emit-relocs",
                                               objects=lambda: [wishes("RELOCATABLE")])),
    Wrong("relocation-sections", GRUB2, linked("--emit-relocs")),
    Wrong("no-segments", EVERY, plain,
          each_load(lambda elf, index: elf.set_segment(index, p_type=PT_NULL))),
    Wrong("segment-outside-file", EVERY, plain,
          lambda elf: cut(elf, elf.segment(DATA, "p_offset") + 1)),
    Wrong("segment-sizes", EVERY, plain, lambda elf: elf.set_segment(DATA, p_memsz=0xFFF)),
]

IMAGE = [
    Wrong("prologue-missing", EVERY, no_prologue, also=("pvh-note-missing", "multiboot2-missing")),
    Wrong("part-missing", PVH, plain,
          lambda elf: elf.put(elf.bytes.index((0x336EC578).to_bytes(4, "little"),
                                              elf.place("__start_prologue_parts")), 0)),
    Wrong("headers-not-loaded", EVERY, linked(script=own((" + SIZEOF_HEADERS", "")))),
    Wrong("program-headers-far", EVERY, plain, headers_moved),
    Wrong("program-headers-too-many", EVERY, linked(script=many_segments(61, "PT_NULL"))),
    Wrong("segments-too-many", EVERY, linked(script=many_segments(14, "PT_LOAD"))),
    Wrong("segment-unaligned", EVERY, plain,
          lambda elf: elf.set_segment(RODATA, p_paddr=elf.segment(RODATA, "p_paddr") + 16,
                                      p_memsz=elf.segment(RODATA, "p_memsz") - 16,
                                      p_filesz=elf.segment(RODATA, "p_filesz") - 16)),
    Wrong("segment-wraps", EVERY, plain, lambda elf: elf.set_segment(BSS, p_memsz=0x80000000)),
    Wrong("segment-distance", EVERY, plain, exchange_physical),
    Wrong("segments-overlap-virtual", EVERY, plain, onto_rodata("p_vaddr")),
    Wrong("segments-overlap-physical", EVERY, plain, onto_rodata("p_paddr")),
    Wrong("segments-out-of-order", EVERY, plain, lambda elf: elf.swap_segments(RODATA, DATA)),
    Wrong("segments-share-page", EVERY, linked(script=own(
        ("prologue-parts.ld }\n    . = ALIGN(4096);", "prologue-parts.ld }")))),
    Wrong("section-not-executable", EVERY, plain, lambda elf: elf.set_segment(TEXT, p_flags=0),
          also=("entry-not-executable", "pvh-entry-outside")),
    Wrong("section-not-writable", EVERY, plain, lambda elf: elf.set_segment(BSS, p_flags=4)),
    Wrong("writable-executable", EVERY, plain, lambda elf: elf.set_segment(TEXT, p_flags=7)),
    Wrong("image-not-canonical", EVERY, linked(*at(virtual=0x800000000000))),
    Wrong("image-in-direct-map", EVERY, linked(*at(virtual=0xFFFFA00000000000))),
    Wrong("image-in-direct-map", EVERY, lambda: cases.BUILD / "state-window.elf",
          severity="warning"),
    Wrong("page-zero", EVERY, linked(*at(physical=0))),
    Wrong("low-memory", EVERY - QEMU_PVH, linked(*at(physical=0x10000)),
          also=("low-memory-of-firmware",), severity="warning"),
    Wrong("low-memory-of-firmware", QEMU_PVH, linked(*at(physical=0x60000)),
          also=("low-memory",)),
    Wrong("isa-hole", EVERY, linked(*at(physical=0x90000))),
    Wrong("isa-hole", PVH, lambda: cases.BUILD / "demo-low.elf"),
    Wrong("above-4g", EVERY, plain, each_load(moved_in_memory), also=("pvh-entry-outside",)),
]

ENTRY = [
    Wrong("entry-outside", GRUB2, plain, lambda elf: elf.set_header(e_entry=0xFFFFFFFF00000000)),
    Wrong("entry-not-executable", GRUB2, plain,
          lambda elf: elf.set_header(e_entry=elf.segment(RODATA, "p_vaddr"))),
    Wrong("entry-elsewhere", GRUB2, linked("-e", "kernel_main")),
    Wrong("entry-below-1m", frozenset({"cloud-hypervisor", "firecracker"}),
          linked(*at(virtual=0, physical=0x10000)), also=("low-memory", "low-memory-of-firmware")),
    Wrong("entry-changed-by-mask", frozenset({"openbsd-vmd"}),
          linked(*at(virtual=0xFFFFFFFF81000000)), also=("contract-not-carried",),
          asked=("openbsd-vmd", "freebsd-userboot")),
    Wrong("entry-not-physical", frozenset({"kexec-elf"}), plain, asked=("kexec-elf",)),
    Wrong("contract-not-carried", frozenset({"kexec-elf"}), wishing("HEADERS(pvh)"),
          also=("entry-not-physical",), asked=("kexec-elf", "qemu-pvh")),
    Wrong("contract-not-carried", frozenset({"openbsd-vmd"}), plain, asked=("openbsd-vmd",)),
    Wrong("contract-not-carried", frozenset({"igvm"}), plain, asked=("igvm", "qemu-pvh")),
    Wrong("contract-not-carried", frozenset({"freebsd-userboot"}), wishing("HEADERS(pvh, vmd)"),
          asked=("openbsd-vmd", "freebsd-userboot")),
]

PVH_NOTE = [
    Wrong("pvh-note-missing", QEMU_PVH, wishing("HEADERS(multiboot2)"),
          asked=("qemu-pvh", "grub-multiboot2")),
    Wrong("pvh-note-missing", PVH, plain,
          lambda elf: elf.put(elf.note("Xen", 18).head + 8, 17)),
    Wrong("pvh-note-no-segment", PVH - {"xen-pvh"}, plain,
          lambda elf: elf.set_segment(elf.segments(PT_NOTE)[0], p_type=PT_NULL)),
    Wrong("pvh-note-alignment", QEMU_PVH, plain,
          lambda elf: elf.set_segment(elf.segments(PT_NOTE)[0], p_align=8)),
    Wrong("pvh-note-behind-other", QEMU_PVH, linked(
        script=own((".prologue.notes : {", ".prologue.notes : { *(.note.other)")),
        objects=foreign_note(".note.other", "GNU", 18))),
    Wrong("pvh-note-not-last", frozenset({"cloud-hypervisor", "firecracker"}), linked(
        script=own(("    .data :", "    .other : { *(.note.other) }\n    . = ALIGN(4096);\n"
                                   "    .data :")),
        objects=foreign_note(".note.other", "GNU", 1))),
    Wrong("pvh-note-size", PVH, plain, lambda elf: elf.put(elf.note("Xen", 18).head + 4, 3)),
    Wrong("pvh-note-duplicate", PVH, linked(
        objects=foreign_note(".prologue.notes", "Xen", 18, 0x100000))),
    Wrong("pvh-entry-outside", PVH, plain, pvh_desc(lambda entry: entry + (1 << 30))),
    Wrong("pvh-entry-elsewhere", PVH, plain, pvh_desc(lambda entry: entry + 1)),
    Wrong("multiboot1-preferred", QEMU_PVH, both, asked=("qemu-pvh",)),
]

_CODE = 0x1000  # in the file: some of the code

MULTIBOOT_1 = [
    Wrong("multiboot1-missing", MULTIBOOT1, plain, asked=tuple(MULTIBOOT1)),
    Wrong("multiboot1-missing", MULTIBOOT1, both, word_at("prologue_multiboot1", 0),
          asked=tuple(MULTIBOOT1)),
    Wrong("multiboot1-misaligned", MULTIBOOT1, both,
          header_copied("prologue_multiboot1", 32, _CODE + 2, keep=False),
          asked=tuple(MULTIBOOT1)),
    Wrong("multiboot1-too-far", MULTIBOOT1, linked("-u", "prologue_multiboot1", script=own(
        ("INCLUDE prologue-headers.ld", ". += 0x2000; INCLUDE prologue-headers.ld"))),
          asked=tuple(MULTIBOOT1)),
    Wrong("multiboot1-foreign", MULTIBOOT1, both,
          header_copied("prologue_multiboot1", 32, _CODE, keep=False), asked=tuple(MULTIBOOT1)),
    Wrong("multiboot1-checksum", MULTIBOOT1, both, multiboot1(checksum=1),
          asked=tuple(MULTIBOOT1)),
    Wrong("multiboot1-flags", frozenset({"grub-multiboot1"}), both, multiboot1(flags=8)),
    Wrong("multiboot1-no-addresses", frozenset({"qemu-multiboot1"}), both,
          multiboot1(flags=-0x10000)),
    Wrong("multiboot1-addresses", MULTIBOOT1, both, multiboot1(header=0x1000)),
    Wrong("multiboot1-addresses", MULTIBOOT1, both, multiboot1(load=0x1000)),
    Wrong("multiboot1-addresses", MULTIBOOT1, both, multiboot1(load_end=-0x100000)),
    Wrong("multiboot1-layout", MULTIBOOT1, both,
          lambda elf: elf.set_segment(DATA, p_offset=elf.segment(DATA, "p_offset") - 0x1000)),
    Wrong("multiboot1-layout", MULTIBOOT1, both, multiboot1(load_end=0x1000)),
    Wrong("multiboot1-layout", MULTIBOOT1, both, without_sections_and(multiboot1(load_end=0x1000))),
    Wrong("multiboot1-lost-data", MULTIBOOT1, both, multiboot1(load_end=-0x1000)),
    Wrong("multiboot1-bss-short", MULTIBOOT1, both, multiboot1(bss_end=-0x1000)),
    Wrong("multiboot1-file-short", MULTIBOOT1, both,
          multiboot1(load_end=1 << 24, bss_end=1 << 24)),
    Wrong("multiboot1-entry", MULTIBOOT1, both, multiboot1(entry=1)),
    Wrong("multiboot1-duplicate", MULTIBOOT1, both,
          header_copied("prologue_multiboot1", 12, _CODE), severity="warning"),
]

MULTIBOOT_2 = [
    Wrong("multiboot2-missing", GRUB2, wishing("HEADERS(pvh)"),
          asked=("grub-multiboot2", "grub-efi")),
    Wrong("multiboot2-missing", GRUB2, plain, word_at("prologue_multiboot2", 0)),
    Wrong("multiboot2-misaligned", GRUB2, plain,
          header_copied("prologue_multiboot2", 32, _CODE + 4, keep=False)),
    Wrong("multiboot2-too-far", GRUB2, linked(script=own(
        ("INCLUDE prologue-headers.ld", ". += 0x8000; INCLUDE prologue-headers.ld")))),
    Wrong("multiboot2-checksum", GRUB2, plain, multiboot2(12, 0, balance=False)),
    Wrong("multiboot2-architecture", GRUB2, plain, multiboot2(4, 4)),
    Wrong("multiboot2-tags", GRUB2, movable, multiboot2(_TAG10 + 4, 12)),  # too short
    Wrong("multiboot2-tags", GRUB2, movable, multiboot2(_TAG10 + 4, 64)),  # behind the header
    Wrong("multiboot2-tags", GRUB2, movable, multiboot2(8, _END)),         # no end
    Wrong("multiboot2-unknown-tag", GRUB2, plain, multiboot2(_TAG6, 11, "H")),
    Wrong("multiboot2-range", GRUB2, movable, multiboot2(_TAG10 + 12, 0x110000)),
    Wrong("multiboot2-range", GRUB2, movable, multiboot2(_TAG10 + 16, 512)),
    Wrong("multiboot2-tag-on-efi", frozenset({"grub-efi"}), movable, not_movable),
    Wrong("multiboot2-foreign", GRUB2, plain,
          header_copied("prologue_multiboot2", 32, _CODE, keep=False)),
    Wrong("multiboot2-duplicate", GRUB2, plain, header_copied("prologue_multiboot2", 32, _CODE),
          severity="warning"),
]

_TOP_1 = 1 << 39  # the second entry of the top-level table

WISHES = [
    Wrong("wish-unknown", EVERY, plain, wish_kind(0x58, 0x7F), severity="warning"),
    Wrong("wish-size", EVERY, rich, wish_bytes(0x51, 3)),
    Wrong("wish-truncated", EVERY, rich, wish_bytes(0x55, 0x1000)),
    Wrong("wish-duplicate", EVERY, rich, wish_twice),
    Wrong("headers-unknown", EVERY, rich, wish(0x59, word=1 | 4 | 128)),
    Wrong("paging-unknown", EVERY, rich, wish(0x51, word=3)),
    Wrong("stack-too-small", EVERY, rich, wish(0x52, f0=0x1000)),
    Wrong("stack-too-small", EVERY, rich, wish(0x52, f0=0x8010)),
    Wrong("stack-symbols", EVERY, rich, wish(0x52, f0=0x4000)),
    Wrong("identity-map-impossible", EVERY, rich, wish(0x54, f0=0x40000010)),
    Wrong("identity-map-impossible", EVERY, rich, wish(0x54, f0=0x8000001000)),
    Wrong("identity-map-impossible", EVERY, rich, wish(0x54, f1=0x2000)),
    Wrong("direct-map-no-room", EVERY, rich, wish(0x53, f0=0xFFFFFFFF00000000)),
    Wrong("direct-map-no-room", EVERY, rich, wish(0x53, f0=0xFFFF900000000010)),
    Wrong("direct-map-no-room", EVERY, rich, wish(0x53, f0=0x80000000)),
    Wrong("no-map-at-all", EVERY, wishing("DIRECT_MAP(0)", "IDENTITY_MAP(0, 0)")),
    Wrong("image-in-early-window", EVERY, linked(
        *at(virtual=_TOP_1), objects=lambda: [wishes("DIRECT_MAP(0xffff900000000000)")])),
    Wrong("window-unaligned", EVERY, rich, wish(0x55, f0=0xFFFFE00000000010)),
    Wrong("window-unaligned", EVERY, rich, wish(0x55, f2=0)),
    Wrong("window-not-canonical", EVERY, rich, wish(0x55, f0=0x0000E00000000000)),
    Wrong("window-physical", EVERY, rich, wish(0x55, f1=1 << 52)),
    Wrong("window-rights", EVERY, rich, wish(0x55, f3=0x60)),
    Wrong("window-writable-executable", EVERY, rich, wish(0x55, f3=3)),
    Wrong("window-needs-identity-map", EVERY, wishing(_WINDOW_ONLY), wish(0x55, f0=0x40000000)),
    Wrong("window-overlap", EVERY, rich, wish(0x55, f0=0xFFFFFFFF80100000)),
    Wrong("window-overlap", EVERY, rich, wish(0x55, f0=0xFFFF900000100000)),
    Wrong("window-overlap", EVERY, rich, wish(0x55, f0=0x100000)),
    Wrong("window-overlap", EVERY, wishing(_WINDOW_ONLY, _WINDOW_ONLY)),
]

ALL = [*FILE, *IMAGE, *ENTRY, *PVH_NOTE, *MULTIBOOT_1, *MULTIBOOT_2, *WISHES]
