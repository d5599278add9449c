"""Wishes, each stated by an object of its own that is linked to the kernel of qemu/tests/state.py:
what is mapped then, to the page, where the stack is, and what becomes of a wish that cannot be met.
"""

import functools
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional, Sequence, Tuple

import cases
import machine
import prologue_check
import state_report
from cases import Case
from images import Image
from machine import Boot
from state_report import PAGE, Mapping, StateReport, joined, without

KIB, MIB, GIB, TIB = 1 << 10, 1 << 20, 1 << 30, 1 << 40
DEVICES = 0xFFFFFFFFC0000000  # where nothing else is mapped
LAPIC, VGA = 0xFEE00000, 0xB8000

# Indices into PROLOGUE_PAT.
WB, WT, UC_MINUS, UC, WP, WC = range(6)
_CACHING = ("WRITE_BACK", "WRITE_THROUGH", "UNCACHED_MINUS", "UNCACHED", "WRITE_PROTECTED",
            "WRITE_COMBINING")


@dataclass(frozen=True)
class Window:
    virt: int
    phys: int
    bytes: int
    writable: bool = False
    executable: bool = False
    caching: int = WB

    @property
    def wish(self) -> str:
        rights = [f"PROLOGUE_WINDOW_{_CACHING[self.caching]}"]
        rights += ["PROLOGUE_WINDOW_WRITE"] * self.writable
        rights += ["PROLOGUE_WINDOW_EXECUTE"] * self.executable
        return f"WINDOW({self.virt:#x}, {self.phys:#x}, {self.bytes:#x}, {' | '.join(rights)})"

    @property
    def mapping(self) -> Mapping:
        end = (self.virt + self.bytes) % (1 << 64)
        return Mapping(self.virt, end, self.phys, self.writable, self.executable, self.caching)


@dataclass(frozen=True)
class Wished:
    """Wishes, and what they come to. Fields that stay None are the default's."""

    title: str
    wishes: Sequence[str] = ()
    windows: Sequence[Window] = ()
    link: Sequence[str] = ()
    cpu: str = "max"
    memory: str = "128M"
    levels: int = 4
    stack: int = 16 * KIB
    direct_map: Optional[int] = None
    direct_map_bytes: Optional[int] = None
    identity: Optional[Tuple[int, int]] = None  # from, to
    devices: bool = False  # are in it too
    more_wishes: str = ""  # in C: they make the last window
    compiled: Tuple[str, ...] = ()  # how
    one_mapping: bool = False


@functools.lru_cache(maxsize=None)
def linked(wishes: Tuple[str, ...], link: Tuple[str, ...] = (), more_wishes: str = "",
           flags: Tuple[str, ...] = ()) -> Path:
    """The kernel of qemu/tests/state.py with these wishes."""
    lines = ['#include "prologue/wishes.h"', *(f"PROLOGUE_WISH_{wish};" for wish in wishes),
             more_wishes]
    source = cases.scratch_file("\n".join(lines).encode(), "wishes.c")
    made = source.with_name("wishes.o")
    tool = {name: os.environ.get(name) or default
            for name, default in (("CLANG", "clang"), ("LLD", "ld.lld"))}
    kernel = source.with_name("kernel.elf")
    objects = [cases.BUILD / f"kernels/{name}.o" for name in ("state-wishless-pie", "console-pie")]
    for command in (
            [tool["CLANG"], "--target=x86_64-none-elf", "-ffreestanding", "-Wall", "-Wextra",
             "-Werror", f"-I{cases.ROOT}/boot/include", *flags, "-c", source, "-o", made],
            [tool["LLD"], "-static", "-z", "max-page-size=4096", *link, "-L",
             cases.ROOT / "linker", "-T", "prologue.ld", "-o", kernel, *objects, made,
             cases.BUILD / "libprologue.a"]):
        result = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                                timeout=60)
        assert result.returncode == 0, result.stderr
    return kernel


def boot(wished: Wished) -> None:
    stated = wished.windows[:-1] if wished.more_wishes else wished.windows
    wishes = (*wished.wishes, *(window.wish for window in stated))
    kernel = linked(wishes, tuple(wished.link), wished.more_wishes, wished.compiled)
    foreseen = prologue_check.check(kernel)
    assert foreseen.status == prologue_check.TAKEN, foreseen.output
    result = machine.run(Boot(kernel=kernel, cpu=wished.cpu, memory=wished.memory, append="a b"))
    report = state_report.read(result.expect(machine.OK))
    state_report.expect_good(report)
    assert report.cmdline == "a b", report.cmdline
    expect_handoff(report, wished, Image(kernel))
    seen, due = joined(report.maps), expected_mappings(report, wished, Image(kernel))
    for have, want in zip(seen, due):
        assert have == want, f"mapped is {have}, not {want}"
    assert len(seen) == len(due), f"{len(seen)} mappings, not {len(due)}"
    if not wished.one_mapping:
        state_report.check_no_page_is_writable_and_executable(report.maps)


def expect_handoff(report: StateReport, wished: Wished, image: Image) -> None:
    bottom = image.virtual("prologue_stack_bottom")
    identity = wished.identity
    due = {
        "paging_levels": wished.levels,
        "stack_bottom": bottom,
        "stack_top": bottom + wished.stack,
        "direct_map": state_report.DIRECT_MAP[wished.levels],
        "direct_map_bytes": state_report.DIRECT_MAP_BYTES[wished.levels],
        "identity_bytes": identity[1] if identity else state_report.TOP_ENTRY_BYTES[wished.levels],
    }
    for name in ("direct_map", "direct_map_bytes"):
        if getattr(wished, name) is not None:
            due[name] = getattr(wished, name)
    for name, value in due.items():
        assert report.handoff[name] == value, f"{name} is {report.handoff[name]:#x}, not {value:#x}"


def expected_mappings(report: StateReport, wished: Wished, image: Image) -> List[Mapping]:
    """The segments, RAM in both maps, and the windows; nothing else."""
    handoff = report.handoff
    segments = state_report.image_mappings(image, handoff["load_base"])
    if wished.one_mapping:
        first, last = segments[0], segments[-1]
        segments = [first._replace(end=last.end, writable=True, executable=True)]
    result = []
    for segment in segments:
        result += without(segment, handoff["stack_bottom"] - PAGE, handoff["stack_bottom"])
    if handoff["direct_map_bytes"]:
        direct_map = ram_mappings(report, segments, handoff["direct_map"],
                                  (PAGE, handoff["direct_map_bytes"]))
        if handoff["direct_map"] == handoff["kernel_offset"]:  # with the image in it
            direct_map = outside(segments, direct_map)
        result += direct_map
    limits = wished.identity or (PAGE, handoff["identity_bytes"])
    low = ram_mappings(report, segments, 0, limits)
    if wished.devices:
        low += devices_mappings(report, limits)
    result += outside(segments, low)
    return joined([*result, *(window.mapping for window in wished.windows)])


def outside(segments: List[Mapping], mappings: List[Mapping]) -> List[Mapping]:
    return [piece for mapping in mappings
            for piece in without(mapping, segments[0].start, segments[-1].end)]


def devices_mappings(report: StateReport, limits: tuple) -> List[Mapping]:
    """What is no RAM, at its own address."""
    rest = [Mapping(max(limits[0], PAGE), limits[1], max(limits[0], PAGE), True, False, UC_MINUS)]
    for r in report.memory:
        if r.type in state_report.RAM:
            rest = [piece for mapping in rest for piece in without(mapping, r.start, r.end)]
    return rest


def ram_mappings(report: StateReport, segments: list, at: int, limits: tuple) -> List[Mapping]:
    """As the tables of qemu/tests/state.py, but from where the wish says."""
    mappings = state_report.ram_mappings(report, segments, at, limits[1])
    page_0 = [Mapping(at, at + PAGE, 0, True, False)] * (limits[0] == 0)
    return [m for m in (*page_0, *mappings) if m.start >= at + limits[0]]


def identity(end: int, start: int = PAGE) -> str:
    return f"IDENTITY_MAP({end:#x}, {start})"


def everything(end: int, start: int = PAGE) -> str:
    return f"IDENTITY_MAP({end:#x}, {start} | PROLOGUE_WITH_DEVICES)"


_HIGH_DIRECT = 0xFFFF900000000000
_TO_IMAGE = 0xFFFFFFFF80100000
_LINK_BASE = 0xFFFFFFFF80000000
_VIRTUAL_IN_DEFAULT = "--defsym=PROLOGUE_VIRTUAL=0xffff800000000000"
_FIVE = ("PAGING(PROLOGUE_PAGING_FIVE)",)
_NO_1G = "max,-pdpe1gb"

_WINDOWS = (
    Window(DEVICES, LAPIC, PAGE, True, caching=UC),
    Window(DEVICES + PAGE, VGA, 8 * PAGE, True, caching=WC),  # right behind it
    Window(DEVICES + 0x200000, 0xE0000000, 0x400000, True, caching=WC),  # in large pages
    Window(DEVICES + 0x7FF000, 0xE0FFF000, 0x403000, True, caching=WC),  # with head and tail
    Window(DEVICES + 0x1001000, 0xE0000000, 0x400000, True, caching=WP),  # in small ones
    Window(DEVICES + 0x1800000, 0xF0000, 0x10000),
    Window(DEVICES + 0x1A00000, 0xF0000, 0x10000, executable=True),
    Window(DEVICES + 0x1C00000, 0xE0000000, 0x200000, caching=WT),
    Window(DEVICES + 0x1E00000, 0xE0000000, 0x200000, caching=UC_MINUS),
)
_HUGE = Window(0xFFFFFE0000000000, GIB * 5, GIB * 2, True)
_LAST_PAGE = Window(0xFFFFFFFFFFFFF000, LAPIC, PAGE)
_LOW = (Window(0xB8000, VGA, 8 * PAGE, True), Window(LAPIC, LAPIC, PAGE, True, caching=UC))
_ACROSS_ENTRIES = Window(0xFFFFFEFFFFE00000, 0xE0000000, 0x400000)

_APIC_SYMBOLS = [f"--defsym={name}={value:#x}" for name, value in
                 (("apic_seen", DEVICES), ("apic_phys", LAPIC), ("apic_bytes", 2 * PAGE))]

WISHED = [
    Wished("none at all: the defaults"),
    *(Wished(f"a stack of {size // KIB} KiB", [f"STACK({size:#x})"], stack=size)
      for size in (8 * KIB, 64 * KIB, MIB)),
    Wished("five levels", _FIVE, levels=5),
    Wished("the best paging", ["PAGING(PROLOGUE_PAGING_BEST)"], levels=5),
    Wished("the best paging without LA57", ["PAGING(PROLOGUE_PAGING_BEST)"], cpu="max,-la57"),
    Wished("a direct map elsewhere", [f"DIRECT_MAP({_HIGH_DIRECT:#x})"], direct_map=_HIGH_DIRECT,
           identity=(PAGE, 4 * GIB)),
    Wished("a direct map elsewhere, 6 GiB in 2 MiB pages", [f"DIRECT_MAP({_HIGH_DIRECT:#x})"],
           cpu=_NO_1G, memory="6G", direct_map=_HIGH_DIRECT, identity=(PAGE, 4 * GIB)),
    Wished("a direct map elsewhere, 5 levels", [*_FIVE, f"DIRECT_MAP({_HIGH_DIRECT:#x})"],
           levels=5, direct_map=_HIGH_DIRECT, direct_map_bytes=_TO_IMAGE - _HIGH_DIRECT,
           identity=(PAGE, 4 * GIB)),
    Wished("a direct map on no large page's edge", ["DIRECT_MAP(0xffff900000003000)"],
           direct_map=0xFFFF900000003000, identity=(PAGE, 4 * GIB)),
    Wished("a direct map in the lower half", ["DIRECT_MAP(0x600000000000)"],
           direct_map=0x600000000000, direct_map_bytes=0x200000000000, identity=(PAGE, 4 * GIB)),
    Wished("a direct map right before the image", [f"DIRECT_MAP({_TO_IMAGE - 4 * GIB:#x})"],
           direct_map=_TO_IMAGE - 4 * GIB, direct_map_bytes=4 * GIB, identity=(PAGE, 4 * GIB)),
    Wished("an image where the default direct map is", [f"DIRECT_MAP({_HIGH_DIRECT:#x})"],
           link=[_VIRTUAL_IN_DEFAULT], direct_map=_HIGH_DIRECT, identity=(PAGE, 4 * GIB)),
    Wished("the same with five levels",
           [*_FIVE, f"DIRECT_MAP({_HIGH_DIRECT:#x})"], link=[_VIRTUAL_IN_DEFAULT], levels=5,
           direct_map=_HIGH_DIRECT, direct_map_bytes=(1 << 64) - _HIGH_DIRECT,
           identity=(PAGE, 4 * GIB)),
    Wished("no direct map", ["DIRECT_MAP(PROLOGUE_NO_DIRECT_MAP)"], direct_map=0,
           direct_map_bytes=0, identity=(PAGE, 4 * GIB)),
    Wished("no direct map, a small identity map",
           ["DIRECT_MAP(PROLOGUE_NO_DIRECT_MAP)", identity(32 * MIB)], memory="32M",
           direct_map=0, direct_map_bytes=0, identity=(PAGE, 32 * MIB)),
    Wished("no direct map, an image where the default is", link=[_VIRTUAL_IN_DEFAULT],
           wishes=["DIRECT_MAP(PROLOGUE_NO_DIRECT_MAP)"], direct_map=0, direct_map_bytes=0,
           identity=(PAGE, 4 * GIB)),
    Wished("no identity map", ["IDENTITY_MAP(PROLOGUE_NO_IDENTITY_MAP, PROLOGUE_FROM_PAGE_1)"],
           identity=(PAGE, 0)),
    Wished("no identity map, 5 levels", [*_FIVE, identity(0)], levels=5, identity=(PAGE, 0)),
    *(Wished(f"an identity map of {end // GIB} GiB from page {start // PAGE}, {cpu}",
             [identity(end, start)], cpu=cpu, memory="6G", identity=(start, end))
      for end in (GIB, 4 * GIB, 512 * GIB) for start in (0, PAGE) for cpu in ("max", _NO_1G)),
    *(Wished(f"everything below {end // GIB} GiB from page {start // PAGE}, {cpu}",
             [everything(end, start)], cpu=cpu, memory="6G", identity=(start, end), devices=True)
      for end, start, cpu in ((4 * GIB, 0, _NO_1G), (4 * GIB, PAGE, "max"),
                              (512 * GIB, PAGE, "max"))),
    Wished("everything below 4 GiB around a low image", [everything(4 * GIB)],
           link=["--defsym=PROLOGUE_VIRTUAL=0"], identity=(PAGE, 4 * GIB), devices=True),
    Wished("everything below 4 GiB and no direct map",
           ["DIRECT_MAP(PROLOGUE_NO_DIRECT_MAP)", everything(4 * GIB)], direct_map=0,
           direct_map_bytes=0, identity=(PAGE, 4 * GIB), devices=True),
    *(Wished(f"a direct map with the image in it, {cpu}, {memory}",
             [f"DIRECT_MAP({_LINK_BASE:#x})"], cpu=cpu, memory=memory, direct_map=_LINK_BASE,
             direct_map_bytes=2 * GIB, identity=(PAGE, 4 * GIB))
      for cpu, memory in (("max", "128M"), (_NO_1G, "1500M"))),
    Wished("a direct map with the image in it, in the lower half",
           ["DIRECT_MAP(0x600000000000)"], link=["--defsym=PROLOGUE_VIRTUAL=0x600000000000"],
           direct_map=0x600000000000, direct_map_bytes=0x200000000000, identity=(PAGE, 4 * GIB)),
    Wished("a direct map with the image in it, all writable and executable",
           [f"DIRECT_MAP({_LINK_BASE:#x})", "WRITABLE_TEXT"], direct_map=_LINK_BASE,
           direct_map_bytes=2 * GIB, identity=(PAGE, 4 * GIB), one_mapping=True),
    Wished("no identity map for a low image", [identity(0)],
           link=["--defsym=PROLOGUE_VIRTUAL=0"], identity=(PAGE, 0)),
    Wished("an identity map around a low image", [identity(GIB, 0)],
           link=["--defsym=PROLOGUE_VIRTUAL=0"], identity=(0, GIB)),
    Wished("windows of every kind", windows=_WINDOWS),
    Wished("windows of every kind, 5 levels, 2 MiB pages", _FIVE, _WINDOWS, levels=5, cpu=_NO_1G),
    Wished("a window of 1 GiB pages", windows=[_HUGE]),
    Wished("a window at the last page there is", windows=[_LAST_PAGE]),
    Wished("a window across two top-level entries", windows=[_ACROSS_ENTRIES]),
    Wished("windows in an identity map by wish", [identity(4 * GIB)], _LOW,
           identity=(PAGE, 4 * GIB)),
    Wished("a window by the linker's symbols", windows=[Window(DEVICES, LAPIC, 2 * PAGE, True)],
           link=_APIC_SYMBOLS, more_wishes="extern char apic_seen[], apic_phys[], apic_bytes[];\n"
           "PROLOGUE_WISH_WINDOW(apic_seen, apic_phys, apic_bytes, PROLOGUE_WINDOW_WRITE);"),
    *(Wished(f"a window by the linker's symbols, {title}", link=_APIC_SYMBOLS, compiled=flags,
             windows=[Window(DEVICES, LAPIC, 2 * PAGE, True)],
             more_wishes="PROLOGUE_WISH_SYMBOL_WINDOW(apic_seen, apic_phys, apic_bytes, "
                         "PROLOGUE_WINDOW_WRITE);")
      for title, flags in (
          ("C", ()), ("C for -fPIE", ("-fPIE",)), ("C++", ("-x", "c++", "-std=c++20")),
          ("C++ for -fPIE", ("-x", "c++", "-std=c++20", "-fPIE")),
          ("C++ for -fPIC", ("-x", "c++", "-std=c++20", "-fPIC")))),
    Wished("all of the image writable and executable", ["WRITABLE_TEXT"], one_mapping=True),
    Wished("the same with a window that is so", ["WRITABLE_TEXT"],
           [Window(DEVICES, 0x8000, PAGE, True, True)], one_mapping=True),
    Wished("an image that may be moved", ["RELOCATABLE"]),
]


# What cannot be met.


def refused(title: str, message: str, *wishes: str, link: Tuple[str, ...] = (),
            cpu: str = "max") -> Case:
    """The line that the boot ends in. Numbers are hexadecimal."""

    def run() -> None:
        kernel = linked(wishes, link)
        result = machine.run(Boot(kernel=kernel, cpu=cpu, timeout=10))
        found = [line for line in result.serial.splitlines() if line.startswith("prologue: fatal")]
        assert result.outcome == machine.FATAL, f"{result.outcome}: {result.serial}"
        pattern = re.escape(f"prologue: fatal: {message}").replace("<end>", "[0-9a-f]+")
        assert len(found) == 1 and re.fullmatch(pattern, found[0]), found

    return Case(f"wishes: refused: {title}", run)


def window(virt: int, phys: int, size: int, rights: str = "0") -> str:
    return f"WINDOW({virt:#x}, {phys:#x}, {size:#x}, {rights})"


_NO_ROOM = "wish: a direct map at this address has no room, or too little"
_MAPPED = "wish: a window lies where something is mapped"
_UNREAL = "wish: a window must have addresses that exist"
_BEYOND = "wish: a window must show what this CPU can address"
_OUT_OF_SIGHT = "wish: with neither map, the handoff is out of sight"
_LOW_WINDOW = "wish: a window in the identity map's entry needs a wish for that map"
_TEXT_4 = 0xFFFF800000000000

REFUSED = [
    refused("a direct map on the image", f"{_NO_ROOM} (ffffffff80100000, 0)",
            "DIRECT_MAP(0xffffffff80100000)"),
    refused("a direct map with the image in it, in the identity map", f"{_NO_ROOM} "
            "(40000000, 7fffc0000000)", "DIRECT_MAP(0x40000000)",
            link=("--defsym=PROLOGUE_VIRTUAL=0x40000000",)),
    refused("a window on a device in the identity map", f"{_MAPPED} (fee00000, 1000)",
            everything(4 * GIB), window(LAPIC, LAPIC, PAGE)),
    refused("a direct map too near to the image", f"{_NO_ROOM} (fffffffe90100000, f0000000)",
            "DIRECT_MAP(0xfffffffe90100000)"),
    refused("a direct map behind the image", f"{_NO_ROOM} (ffffffffc0000000, 40000000)",
            "DIRECT_MAP(0xffffffffc0000000)"),
    refused("a direct map at no address", f"{_NO_ROOM} (800000000000, 0)",
            "DIRECT_MAP(0x800000000000)"),
    refused("a direct map for five levels with four", f"{_NO_ROOM} (ff00000000000000, 0)",
            "DIRECT_MAP(0xff00000000000000)"),
    refused("a direct map in the identity map", f"{_NO_ROOM} (40000000, 7fffc0000000)",
            "DIRECT_MAP(0x40000000)"),
    refused("a random virtual address without -pie", "wish: a random virtual address takes a "
            "kernel that is linked with -pie (ffffffff80000000, 0)",
            "RANDOM(PROLOGUE_RANDOM_NOT, PROLOGUE_RANDOM_VIRTUAL)"),
    refused("a random place beside a direct map with the image in it", "wish: a random place, and "
            f"a direct map with the image in it ({_LINK_BASE:x}, 0)",
            f"DIRECT_MAP({_LINK_BASE:#x})",
            "RANDOM(PROLOGUE_RANDOM_PHYSICAL, PROLOGUE_RANDOM_NOT)"),
    refused("neither map", f"{_OUT_OF_SIGHT} (0, 1000)", "DIRECT_MAP(0)", identity(0)),
    refused("no direct map and too small an identity map", f"{_OUT_OF_SIGHT} (0, 100000)",
            "DIRECT_MAP(0)", identity(MIB)),
    refused("no direct map and all else in use", "memory: 10000 free bytes below 4 GiB are wanted, "
            "the largest piece has 0", "DIRECT_MAP(0)", identity(0x101000)),
    refused("an image in the early window's place",
            "wish: an image there needs the default direct map (8000100000, <end>)",
            "DIRECT_MAP(0xffff900000000000)",
            link=("--defsym=PROLOGUE_VIRTUAL=0x8000000000",)),
    refused("an image in the default direct map", "image: segment 0 (ffff800000100000) lies in "
            "the direct map", link=(_VIRTUAL_IN_DEFAULT,)),
    refused("a window on the image", f"{_MAPPED} (ffffffff80100000, 1000)",
            window(_TO_IMAGE, LAPIC, PAGE)),
    refused("a window on the direct map", f"{_MAPPED} ({_TEXT_4 + MIB:x}, 1000)",
            window(_TEXT_4 + MIB, LAPIC, PAGE)),
    refused("a window that ends on the image", f"{_MAPPED} (ffffffff80000000, 101000)",
            window(0xFFFFFFFF80000000, LAPIC, MIB + PAGE)),
    refused("a window on a window", f"{_MAPPED} ({DEVICES:x}, 2000)",
            window(DEVICES + PAGE, LAPIC, PAGE), window(DEVICES, LAPIC, 2 * PAGE)),
    refused("a window on RAM in the identity map", f"{_MAPPED} (200000, 1000)", identity(GIB),
            window(0x200000, 0x200000, PAGE)),
    refused("a window in the shared identity map", f"{_LOW_WINDOW} (fee00000, 8000000000)",
            window(LAPIC, LAPIC, PAGE)),
    refused("a window at no address", f"{_UNREAL} (7ffffffff000, 2000)",
            window(0x7FFFFFFFF000, LAPIC, 2 * PAGE)),
    refused("a window across the hole", f"{_UNREAL} (7ffffffff000, ffff000000002000)",
            window(0x7FFFFFFFF000, 0, 0xFFFF000000002000)),
    refused("a window that wraps", f"{_UNREAL} (fffffffffffff000, 2000)",
            window(0xFFFFFFFFFFFFF000, LAPIC, 2 * PAGE)),
    refused("a window beyond physical memory", f"{_BEYOND} (fffffff000, 2000)",
            window(DEVICES, 0xFFFFFFF000, 2 * PAGE)),
    refused("a window whose physical end wraps", f"{_BEYOND} (fffffffffffff000, 2000)",
            window(DEVICES, 0xFFFFFFFFFFFFF000, 2 * PAGE)),
    refused("a window with rights of no meaning", "wish: a window's rights are unknown "
            f"({DEVICES:x}, 4)", window(DEVICES, LAPIC, PAGE, "4")),
    refused("a window with a caching of no meaning", "wish: a window's rights are unknown "
            f"({DEVICES:x}, 60)", window(DEVICES, LAPIC, PAGE, "0x60")),
    refused("a window that is writable and executable", "wish: a window is writable and "
            f"executable ({DEVICES:x}, 3)", window(DEVICES, LAPIC, PAGE, "3")),
]

CASES = [
    *(Case(f"wishes: {wished.title}", functools.partial(boot, wished)) for wished in WISHED),
    *REFUSED,
]
