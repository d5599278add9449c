"""The state at the handoff, register by register and page by page, as a kernel finds it
(qemu/kernels/state.cpp), wherever it is linked and however it was loaded."""

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional, Sequence, Tuple

import any_loader
import cases
import composers
import machine
import modes
import reports
import state_report
from any_loader import LINUX, MULTIBOOT1, MULTIBOOT2, PVH, Load, Placed
from bochs import run_bochs
from cases import Case
from images import Image, rebased
from iso import grub_iso, run_iso
from machine import Boot
from state_report import (
    DIRECT_MAP,
    DIRECT_MAP_BYTES,
    PAGE,
    TOP_ENTRY_BYTES,
    Mapping,
    StateReport,
    check_no_page_is_writable_and_executable,
    expect_good,
    image_mappings,
    page_up,
    ram_mappings,
)

WITHOUT_1G_PAGES = "max,-pdpe1gb"
GIB = 1 << 30

LOW_IDENTITY_BYTES = 4 * GIB  # for a kernel that lives in the first top-level entry itself
STACK_BYTES = 16384
PROTECTED32 = 1

# How the names begin of what the header says about memory, which has cases of its own.
SPARE, PLACE = "spare-", "place-"

LOADERS = {
    PVH: (1, 0x336EC578),
    MULTIBOOT1: (2, composers.MULTIBOOT1_MAGIC),
    MULTIBOOT2: (3, composers.MULTIBOOT2_MAGIC),
}


@dataclass(frozen=True)
class Expected:
    """What one boot should find. Modules are (file, string)."""

    kernel: Path
    loader: str = PVH
    levels: int = 4
    page_size: int = GIB
    base: Optional[int] = None  # as linked
    cmdline: str = ""
    modules: Sequence[Tuple[Path, str]] = ()


def kernel(name: str) -> Path:
    return cases.BUILD / f"{name}.elf"


def check(result: machine.Result, expected: Expected) -> StateReport:
    """All that the kernel found right or wrong itself, and all that it cannot know."""
    report = state_report.read(result.expect(machine.OK))
    expect_good(report, but=(SPARE, PLACE))
    check_handoff(report, expected)
    check_modules(report, expected)
    check_tables(report, Image(expected.kernel))
    return report


def check_handoff(report: StateReport, expected: Expected) -> None:
    image = Image(expected.kernel)
    base = image.base if expected.base is None else expected.base
    bottom = image.virtual("prologue_stack_bottom")
    number, magic = LOADERS[expected.loader]
    low = top_index(image, expected.levels) == 0
    fields = {
        "loader": number,
        "entry_mode": PROTECTED32,
        "loader_magic": magic,
        "paging_levels": expected.levels,
        "load_base": base,
        "load_end": page_up(image.end) - image.base + base,
        "kernel_offset": (image.segments[0].vaddr - base) % (1 << 64),
        "direct_map": DIRECT_MAP[expected.levels],
        "direct_map_bytes": DIRECT_MAP_BYTES[expected.levels],
        "identity_bytes": LOW_IDENTITY_BYTES if low else TOP_ENTRY_BYTES[expected.levels],
        "page_size": expected.page_size,
        "stack_bottom": bottom,
        "stack_top": bottom + STACK_BYTES,
        "module_count": len(expected.modules),
    }
    for name, value in fields.items():
        seen = report.handoff[name]
        assert seen == value, f"{name} is {seen:#x}, not {value:#x}"
    check_loader_info(report, expected)
    assert report.cmdline == expected.cmdline, repr(report.cmdline)


def check_loader_info(report: StateReport, expected: Expected) -> None:
    """The loader's structure is where it was and begins as it did: the entry borrows that word."""
    word = report.handoff["loader_info_word"]
    good = {
        PVH: word == LOADERS[PVH][1],
        MULTIBOOT1: word & 0x48 == (0x48 if expected.modules else word & 8 | 0x40),  # map, modules
        MULTIBOOT2: 8 < word < 0x10000 and word % 8 == 0,  # its size
    }
    assert good[expected.loader], f"the loader's information begins with {word:#x}"


def check_modules(report: StateReport, expected: Expected) -> None:
    given = [(path.read_bytes(), string) for path, string in expected.modules]
    wanted = [(len(data), zlib.adler32(data), string) for data, string in given]
    assert [tuple(m) for m in report.modules] == wanted, f"{report.modules}, not {wanted}"


def check_tables(report: StateReport, image: Image) -> None:
    """Exactly the segments, the direct map and the identity map are mapped."""
    check_no_page_is_writable_and_executable(report.maps)
    seen, wanted = state_report.joined(report.maps), expected_mappings(report, image)
    for have, want in zip(seen, wanted):
        assert have == want, f"mapped is {have}, not {want}"
    assert len(seen) == len(wanted), f"{len(seen)} mappings, not {len(wanted)}"
    guard = report.handoff["stack_bottom"] - PAGE
    for nothing in (0, guard, DIRECT_MAP[report.handoff["paging_levels"]]):
        assert not any(m.start <= nothing < m.end for m in seen), f"{nothing:#x} is mapped"


def expected_mappings(report: StateReport, image: Image) -> List[Mapping]:
    handoff = report.handoff
    segments = image_mappings(image, handoff["load_base"])
    result = []
    for segment in segments:
        result += state_report.without(
            segment, handoff["stack_bottom"] - PAGE, handoff["stack_bottom"]
        )
    result += ram_mappings(report, segments, handoff["direct_map"], handoff["direct_map_bytes"])
    kernel_span = (segments[0].start, segments[-1].end)
    for mapping in ram_mappings(report, segments, 0, handoff["identity_bytes"]):
        result += state_report.without(mapping, *kernel_span)
    return state_report.joined(result)


def top_index(image: Image, levels: int) -> int:
    return image.segments[0].vaddr >> (12 + 9 * (levels - 1)) & 0x1FF


# The boots.


@dataclass(frozen=True)
class Guest:
    """A kernel in QEMU by its own -kernel, with one module as all such loaders carry it."""

    title: str
    kernel: str = "state"
    cpu: str = "max"
    memory: str = "128M"
    levels: int = 4
    page_size: int = GIB
    base: Optional[int] = None


def boot(guest: Guest) -> None:
    path = kernel(guest.kernel)
    if guest.base is not None:
        path = rebased(path, guest.base)
    module = module_file(70001)
    result = machine.run(
        Boot(
            kernel=path,
            initrd=[module],
            append="a b=c",
            cpu=guest.cpu,
            memory=guest.memory,
        )
    )
    check(
        result,
        Expected(
            kernel=path,
            levels=guest.levels,
            page_size=guest.page_size,
            cmdline="a b=c",
            modules=[(module, "")],
        ),
    )


def module_file(size: int) -> Path:
    """A file whose every part looks different."""
    words = (i * 2654435761 % (1 << 32) for i in range(size // 4 + 1))
    return cases.scratch_file(b"".join(w.to_bytes(4, "little") for w in words)[:size], "module")


MIB2 = 2 << 20
GUESTS = [
    Guest("4 levels"),
    Guest("2 MiB pages", cpu=WITHOUT_1G_PAGES, page_size=MIB2),
    Guest("qemu64", cpu="qemu64", page_size=MIB2),
    Guest("5 levels", "state-best", levels=5),
    Guest("5 levels and 2 MiB pages", "state-best", WITHOUT_1G_PAGES, levels=5, page_size=MIB2),
    Guest("4 levels for want of LA57", "state-best", cpu="max,-la57"),
    Guest("4 levels by wish", cpu="max,+la57"),
    Guest("16 MiB of memory", memory="16M"),
    Guest("6 GiB of memory", memory="6G"),
    Guest("6 GiB of memory in 2 MiB pages", cpu=WITHOUT_1G_PAGES, memory="6G", page_size=MIB2),
    Guest("6 GiB of memory and 5 levels", "state-best", memory="6G", levels=5),
    Guest("an image loaded at 0x2345000", base=0x2345000),
    Guest("an image loaded at 0x2a00000 and 5 levels", "state-best", levels=5, base=0x2A00000),
    Guest("an image loaded at 0xa0001000", memory="4G", base=0xA0001000),
    Guest(
        "an image loaded at 0xa0001000, 2 MiB pages",
        cpu=WITHOUT_1G_PAGES,
        memory="4G",
        page_size=MIB2,
        base=0xA0001000,
    ),
    Guest("an image linked for 0x345000", "state-elsewhere"),
    Guest("a kernel in the low half", "state-low"),
    Guest("a kernel in the low half, 2 MiB pages", "state-low", WITHOUT_1G_PAGES, page_size=MIB2),
    Guest("a kernel in the low half, 6 GiB", "state-low", memory="6G"),
    Guest("a kernel in the low half, loaded at 0x345000", "state-low", base=0x345000),
    Guest("a kernel in the low half, loaded at 0x2a00000", "state-low", base=0x2A00000),
    Guest("a kernel in the low half, behind 4 GiB", "state-8g", memory="6G"),
    Guest("a kernel at 64 TiB", "state-user"),
    Guest("a kernel right behind the direct map", "state-high"),
    Guest("a kernel across two top-level entries", "state-across"),
    Guest("a kernel where 4 levels have the direct map", "state-window", levels=5),
]


def on(guest: Guest) -> Case:
    return Case(f"state: {guest.title}", lambda: boot(guest))


def kernel_in_the_direct_map() -> None:
    """With four levels there is no room at 0xffff900000000000."""
    image = Image(kernel("state-window"))
    segment = rf"segment 0 \({image.segments[0].vaddr:x}\)"
    line = f"^prologue: fatal: image: {segment} lies in the direct map\r$"
    machine.run(Boot(kernel=image.path, cpu="max,-la57")).expect(machine.FATAL, line)


def multiboot1_modules() -> None:
    path = kernel("state-multiboot1")
    modules = [(module_file(size), text) for size, text in ((1, "one"), (4096, ""), (9999, "c d"))]
    initrd = [f"{file} {string}".strip() for file, string in modules]
    result = machine.run(Boot(kernel=path, initrd=initrd, append="a b=c"))
    seen = [(file, f"{file} {string}".strip()) for file, string in modules]
    check(result, Expected(path, MULTIBOOT1, cmdline="a b=c", modules=seen))


def grub(run, protocol: str, loader: str, path: Path) -> None:
    modules = [(module_file(size), string) for size, string in ((5, "one"), (8193, "c d"))]
    iso = grub_iso(path, protocol, "a b=c", modules)
    check(run(iso), Expected(path, loader, cmdline="a b=c", modules=modules))


# A loader that leaves what the contracts allow it to leave.
UNKIND_FLAGS = 0x247002  # ID, AC, NT, IOPL 3
DIRECTION_FLAG = 0x400
UNKIND_CR0 = 0x4005003F | 0x10000  # CD, AM, WP, NE, TS, EM, MP
UNKIND_CR4 = 0x3107DE  # SMAP, SMEP, FSGSBASE, OSXMMEXCPT and all below but PAE and VME
UNKIND_EFER = 0x901  # NXE, LME, SCE


MEMORY_OF_ALL_TYPES = (
    (0, 0x9F000, 1),
    (0x100000, 0x5F00000, 1),
    (0x6000000, 0x2000, 3),  # ACPI tables
    (0x6002000, 0x2000, 4),  # ACPI NVS
    (0x6004000, 0x2000, 5),  # bad
    (0x6006000, 0x2000, 2),
    (0x6008000, 0x1FF8000, 1),
)


def unkind(load: Load, page_size: int = GIB, **entry) -> None:
    cpu = "max" if page_size == GIB else WITHOUT_1G_PAGES
    values = {"ecx": 0xFFFFFFFF, "edx": 0xFFFFFFFF, "esp": 3, **entry}
    registers = any_loader.registers(load, **values)
    result = machine.run(any_loader.fed(load, entry=registers, cpu=cpu))
    modules = [(cases.scratch_file(m.contents), m.cmdline or "") for m in load.modules]
    expected = Expected(load.path, load.contract, 4, page_size, load.base, load.cmdline, modules)
    check(result, expected)


def fed(contract: str) -> Load:
    name = "state-multiboot1" if contract == MULTIBOOT1 else "state"
    module = Placed(0x4000123, bytes(range(256)) * 9, "x y")
    return Load(
        contract,
        kernel=name,
        base=0x1345000,
        memory_map=MEMORY_OF_ALL_TYPES,
        modules=[module],
        cmdline="a b=c",
    )


def unkind_flags(contract: str) -> None:
    unkind(fed(contract), eflags=UNKIND_FLAGS)


def direction_flag(contract: str) -> None:
    for page_size in (GIB, MIB2):
        unkind(fed(contract), page_size, eflags=DIRECTION_FLAG | 2)


UNKIND_CONTROL = {"cr0": UNKIND_CR0, "cr4": UNKIND_CR4, "efer": UNKIND_EFER, "cr3": 0x12000}


def unkind_control_registers(contract: str) -> None:
    unkind(fed(contract), **UNKIND_CONTROL)


def unkind_control_registers_2m(contract: str) -> None:
    """Where C++ runs, in 32-bit mode already."""
    unkind(fed(contract), page_size=MIB2, **UNKIND_CONTROL)


def without_a_gdt(contract: str) -> None:
    unkind(fed(contract), gdt_gone=True)


# In 64-bit mode, where a loader can leave more.
_NXE, _PCIDE, _PGE, _SMEP, _SMAP = 1 << 11, 1 << 17, 1 << 7, 1 << 20, 1 << 21
_UNKIND_64 = {
    "as its loader leaves the CPU": {},
    "the loader's flags": {"eflags": UNKIND_FLAGS},
    "the loader's control registers": {
        "cr0": UNKIND_CR0, "cr4": UNKIND_CR4 | _PCIDE | _PGE | _SMEP | _SMAP, "efer": UNKIND_EFER},
    "the loader's GDT gone": {"gdt_gone": True},
}


def long_mode(mode: str, kernel_name: str, title: str) -> None:
    load = Load(LINUX, kernel=kernel_name, mode=mode)
    entry = any_loader.registers(load, **_UNKIND_64[title])
    report = state_report.read(machine.run(any_loader.fed(load, entry=entry)).expect(machine.OK))
    expect_good(report)


def efer_is_written(entry_efer: int) -> bool:
    """WRMSR is made an instruction that faults, where EFER is written after a 64-bit entry."""
    load = Load(LINUX, kernel="state-every", mode=modes.LONG64)
    image = Image(load.path)
    wrmsr = image.physical(image.find("prologue_leave_loaders_tables", _WRMSR))
    boot = any_loader.fed(load, damage=[(wrmsr, _UD2)],
                          entry=any_loader.registers(load, efer=entry_efer))
    return machine.run(boot).outcome != machine.OK


def efer_is_written_where_it_must_be() -> None:
    assert efer_is_written(0) and not efer_is_written(_NXE)


_WRMSR, _UD2 = b"\x0f\x30", b"\x0f\x0b"


def memory_is_as_the_header_says(but: str) -> None:
    """Of the spare pages, that they are the image's and zero; of all that the handoff points to,
    that it lies in memory of Prologue's."""
    boot = Boot(kernel=kernel("state"), initrd=[module_file(5)], append="a b=c")
    result = machine.run(boot).expect(machine.OK)
    expect_good(state_report.read(result), but=(but,))


def drop_identity(name: str, levels: int) -> None:
    """Without top-level entry 0 the kernel runs on, and its faults are still reported."""
    path = kernel(name)
    result = machine.run(Boot(kernel=path, append="drop-identity")).expect(machine.FATAL)
    report = state_report.read(result)
    expect_good(report)
    low = [m for m in report.maps if m.start < DIRECT_MAP[levels]]
    assert report.maps and not low, f"{low} is mapped"
    fault = reports.parse(reports.plain(result.serial))
    assert fault.vector == reports.UD and fault.nested is None, fault
    assert fault.linked == fault.at and len(fault.stack) == 8, fault


def c_kernel_boots(name: str, levels: int) -> None:
    result = machine.run(Boot(kernel=kernel(name)))
    result.expect(machine.OK, f"^paging: {levels}-level$", "^result: ok$")


def default_end_halts() -> None:
    """A kernel that has not asked for QEMU's exit device does not get it."""
    result = machine.run(Boot(kernel=kernel("c_kernel"), append="die", timeout=1))
    result.expect(machine.HANG, "^prologue: fatal: #UD invalid opcode")


def wished_end_exits() -> None:
    result = machine.run(Boot(kernel=kernel("c_kernel-wishes"), append="die"))
    result.expect(machine.FATAL, "^prologue: fatal: #UD invalid opcode")


CASES = [
    *map(on, GUESTS),
    Case("state: a kernel in the direct map is refused", kernel_in_the_direct_map),
    Case("state: Multiboot 1 with modules", multiboot1_modules),
    Case(
        "state: GRUB's Multiboot 1",
        lambda: grub(run_iso, "multiboot", MULTIBOOT1, kernel("state-multiboot1")),
    ),
    Case(
        "state: GRUB's Multiboot 2",
        lambda: grub(run_iso, "multiboot2", MULTIBOOT2, kernel("state")),
    ),
    Case(
        "state: GRUB's Multiboot 2 in Bochs",
        lambda: grub(run_bochs, "multiboot2", MULTIBOOT2, kernel("state")),
    ),
    *(
        Case(f"state: {contract}, {title}", lambda c=contract, f=function: f(c))
        for contract in any_loader.CONTRACTS
        for title, function in (
            ("the loader's flags", unkind_flags),
            ("the loader's direction flag", direction_flag),
            ("the loader's control registers", unkind_control_registers),
            ("the loader's control registers, 2 MiB pages", unkind_control_registers_2m),
            ("the loader's GDT gone", without_a_gdt),
        )
    ),
    *(
        Case(f"state: linux in {mode}, {kernel_name}, {title}",
             lambda m=mode, k=kernel_name, t=title: long_mode(m, k, t))
        for mode in modes.MODES_64
        for kernel_name in ("state-every", "state-best-every")
        for title in _UNKIND_64
    ),
    Case("state: EFER is written in 64-bit mode only where it must be",
         efer_is_written_where_it_must_be),
    Case("state: the spare pages are zero", lambda: memory_is_as_the_header_says(but=PLACE)),
    Case("state: the handoff is Prologue's", lambda: memory_is_as_the_header_says(but=SPARE)),
    Case("state: the identity map can be dropped", lambda: drop_identity("state", 4)),
    Case("state: the identity map is dropped, 5 levels", lambda: drop_identity("state-best", 5)),
    Case("state: a C kernel without wishes boots", lambda: c_kernel_boots("c_kernel", 4)),
    Case("state: a C kernel with wishes boots", lambda: c_kernel_boots("c_kernel-wishes", 5)),
    Case("state: by default a fatal end halts", default_end_halts),
    Case("state: by wish a fatal end exits", wished_end_exits),
]
