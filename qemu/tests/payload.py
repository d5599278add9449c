"""prologue.elf, the loader image: kernels that were not linked with Prologue, started as a module,
by QEMU, by GRUB and by the feeder, wherever modules and payload lie; Debian's Linux to user space.
"""

import itertools
import os
import re
import struct
import subprocess
from dataclasses import replace
from typing import Callable, Sequence

import cases
import doc_pages
import e820
import loader_media
import machine
from any_loader import PC_128M, PVH, Load, Placed, fed
from cases import Case
from handoff_report import GIB, MIB, expect_report
from images import Image, patch
from initramfs import archive
from iso import grub_iso, run_iso
from refusals import expect_fatal
from tests.random_places import place

_LOADER = cases.BUILD / "prologue.elf"
_LOADER_1 = cases.BUILD / "prologue-multiboot1.elf"  # QEMU gives it more than one module
LINUX = cases.BUILD / "debian" / "vmlinuz"
INITRAMFS = cases.BUILD / "initramfs.cpio"
_SUMS = cases.BUILD / "payload-sums.elf"


# ---- Prologue's handoff ----

def by_qemu(payload: str, paging: str = "4-level", **options) -> Case:
    def function() -> None:
        file = cases.BUILD / f"payload-{payload}.elf"
        result = machine.run(machine.Boot(
            kernel=_LOADER, initrd=[file], append="a b", **options))
        report = expect_report(result, file, loader="pvh", cmdline="a b", modules=[],
                               load_base=Image(file).base, paging=paging)
        assert report.fields["rsdp"] != 0

    return Case(" ".join(["payload: QEMU by PVH,", payload, *map(str, options.values())]), function)


def pie(name: str, **options) -> Case:
    """One linked for 0 lies in free memory and in the last 2 GiB, relocated."""

    def function() -> None:
        phys, virt, direct_map = place(machine.run(machine.Boot(
            kernel=_LOADER, initrd=[cases.BUILD / f"payload-{name}.elf"], **options)))
        assert phys >= MIB and phys % (2 * MIB) == 0, f"{phys:#x}"
        assert (virt, direct_map) == (_PIE_VIRTUAL, 0xFFFF800000000000), f"{virt:#x}"

    return Case(" ".join(["payload: a PIE,", name, *map(str, options.values())]), function)


_PIE_VIRTUAL = 0xFFFFFFFF80200000


def by_grub() -> None:
    """Modules behind the payload are its own, with their strings."""
    payload = cases.BUILD / "payload-low.elf"
    files = [(payload, "payload"), (cases.scratch_file(b"x" * 5000), "first one"),
             (cases.scratch_file(b"y" * 3), "second")]
    result = run_iso(grub_iso(_LOADER, "multiboot2", "to the payload", files), memory="128M")
    expect_report(result, payload, loader="multiboot2", cmdline="to the payload", load_base=MIB,
                  modules=[(None, 5000, "first one"), (None, 3, "second")])


# ---- 32-bit mode ----

def by_pvh_note(name: str, convert: bool, **options) -> Case:
    """A kernel that is linked with Prologue is one with PVH's note, at this image's own place."""

    def function() -> None:
        kernel = cases.BUILD / "demo-best.elf"
        file = kernel
        if convert:
            file = cases.scratch_directory() / "kernel"
            subprocess.run([cases.ROOT / "linker/prologue-elf32", kernel, file], check=True)
        words = "contract=pvh a b"
        result = machine.run(machine.Boot(kernel=_LOADER, initrd=[file], append=words, **options))
        report = expect_report(result, kernel, loader="pvh", cmdline=words, modules=[])
        assert report.fields["rsdp"] != 0

    return Case(f"payload: PVH's note, {name}", function)


# ---- Nothing is overwritten before it was read ----

def noise(size: int, seed: int) -> bytes:
    """Bytes that are their own at every offset."""
    return b"".join(struct.pack("<I", (i * 0x9E3779B1 + seed) & 0xFFFFFFFF)
                    for i in range(size // 4 + 1))[:size]


def fnv(data: bytes) -> int:
    result = 0xCBF29CE484222325
    for byte in data:
        result = (result ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return result


def stripped(path) -> bytes:
    """An ELF's bytes up to the end of the last that is loaded."""
    contents = path.read_bytes()
    (count,) = struct.unpack_from("<H", contents, 56)
    headers = [struct.unpack_from("<Q16xQ16x", contents, 64 + 56 * i + 8) for i in range(count)]
    return contents[:max(offset + size for offset, size in headers)]


def placed(name: str, payload_at: int, *modules: Sequence[int]) -> Case:
    """The payload's file and modules, (start, bytes) each, at these addresses. It belongs at 2 MiB
    to 4 MiB and a bit."""

    def function() -> None:
        contents = [noise(size, index) for index, (_, size) in enumerate(modules)]
        load = Load(PVH, "prologue", modules=(
            Placed(payload_at, stripped(_SUMS), "payload"),
            *(Placed(start, data, f"module {i}")
              for i, ((start, _), data) in enumerate(zip(modules, contents)))))
        result = machine.run(fed(load)).expect(machine.OK, "^image: whole\r?$")
        sums = re.findall(r"^sum: (\w+) (.*?)\r?$", result.serial, re.MULTILINE)
        due = [(f"{fnv(data):#x}", f"module {i}") for i, data in enumerate(contents)]
        assert sums == due, f"{sums}, not {due}"

    return Case(f"payload: placed {name}", function)


# ---- Any order, whatever the map ----

_PIE = cases.BUILD / "payload-pie.elf"
_MAPS = {"a desktop": (e820.DESKTOP, e820.NEAR_4G), "a laptop": (e820.LAPTOP, e820.NEAR_4G),
         "a server": (e820.SERVER, e820.NEAR_4G), "partial pages": (e820.PARTIAL_PAGES, {}),
         "overlaps": (e820.OVERLAPS, {})}
_SLOTS = (5 * MIB, 8 * MIB, 11 * MIB)


def in_any_order(name: str) -> Case:
    """The loader image, the payload's file and a module in each order, on one map."""

    def function() -> None:
        memory_map, options = _MAPS[name]
        module = noise(5000, 1)
        for image, payload, other in itertools.permutations(_SLOTS):
            load = Load(PVH, "prologue", base=image, info_at=2 * MIB, memory_map=memory_map,
                        modules=(Placed(payload, _PIE.read_bytes(), "payload"),
                                 Placed(other, module, "module")))
            result = machine.run(fed(load, **options)).expect(machine.OK)
            place(result)
            assert f"sum: {fnv(module):#x} module" in result.serial, (image, payload, other)

    return Case(f"payload: in any order, {name}", function)


# ---- Ten thousand ranges ----

_PAGE = 4096
_NEAR = ((0, 0x9F000, e820.RAM), (MIB, 159 * MIB, e820.RAM),
         *((160 * MIB + i * 2 * _PAGE, _PAGE, e820.RAM) for i in range(10000)))
_FAR = ((0, 0x9F000, e820.RAM), (MIB, 255 * MIB, e820.RAM),
        *((5 * GIB + i * 4 * MIB, _PAGE, e820.RAM) for i in range(10000)))


def many_ranges(name: str, memory_map: Sequence, payload: str, says: str, memory: str) -> Case:
    """Each a page of RAM: a page away from the next, or with a table for it alone."""

    def function() -> None:
        load = Load(PVH, "prologue", memory_map=memory_map, info_at=8 * MIB,
                    modules=(Placed(64 * MIB, (cases.BUILD / f"{payload}.elf").read_bytes()),))
        result = machine.run(fed(load, memory=memory)).expect(machine.OK, says)
        last, size, _ = memory_map[-1]
        assert re.search(rf"^memory: {last:#x} {last + size:#x} ", result.serial, re.MULTILINE)

    return Case(f"payload: 10,000 ranges, {name}", function)


# ---- What is refused ----

def loader(path=_LOADER):
    """With the exit device, which it does not wish for by itself."""
    return patch(path, "prologue_wish_qemu_exit", b"\1\0\0\0")


def refused(name: str, message: str, change: Callable[[bytearray], object],
            payload: str = "payload-high.elf", **options) -> Case:
    """A changed payload ends in one fatal line."""

    def function() -> None:
        contents = bytearray((cases.BUILD / payload).read_bytes())
        contents = change(contents) or contents
        expect_fatal(machine.run(machine.Boot(
            kernel=loader(), initrd=[cases.scratch_file(bytes(contents))], **options)), message)

    return Case(f"payload: refused, {name}", function)


def exception(name: str, where: str, code: bytes, report: str, payload: str) -> Case:
    """One in the loader image's own code, on its way to a payload: one report, as from any kernel;
    and no reset."""

    def function() -> None:
        result = machine.run(machine.Boot(kernel=loader(patch(_LOADER, where, code)),
                                          initrd=[cases.BUILD / payload]))
        result.expect(machine.FATAL)
        said = re.findall(r"^prologue: fatal: (.*?)\r?$", result.serial, re.MULTILINE)
        assert len(said) == 1 and re.match(report, said[0]), said
        assert "result" not in result.serial

    return Case(f"payload: an exception on the way, {name}", function)


_UD2 = b"\x0f\x0b"
_READS_NOTHING = b"\x8a\x04\x25\x00\x00\x00\xfe"  # at -32 MiB, where nothing is mapped
_UD_IN_PAGES = r"#UD .*\(vector 6\), error 0000, 64-bit, at 0{8}[0-9a-f]{8}$"


def without_a_module() -> None:
    expect_fatal(machine.run(machine.Boot(kernel=loader())),
                 "payload: no module is there to start: QEMU's -initrd, or GRUB's module2")


def by_three_initrds() -> machine.Result:
    """What /init says is in the second; the first ends in the middle of a word, and the third is
    the one with /init."""
    first = archive(b"no program", {"first": b"x" * 5}) + bytes(3)
    files = [LINUX, cases.scratch_file(first), cases.scratch_file(archive(b"none", {"two": b"y"})),
             INITRAMFS]
    return machine.run(machine.Boot(kernel=_LOADER_1, initrd=files, memory="256M",
                                    append=LINUX_CMDLINE, timeout=60))


def memtest() -> None:
    """Memtest86+, whose file ends within its last paragraph, comes to its screen of tests."""
    screen = "Memtest86+ v"
    said = doc_pages.spoken(
        [os.environ.get("QEMU", "qemu-system-x86_64"), "-m", "64M", "-display", "none",
         "-no-reboot", "-serial", "stdio", "-append", "console=ttyS0,115200",
         "-kernel", str(_LOADER),
         "-initrd", str(loader_media.fetched("memtest86+x64.bin"))],
        cases.scratch_directory(), screen)
    assert screen in said, said


def put(layout: str, at: int, value: int) -> Callable[[bytearray], object]:
    return lambda contents: struct.pack_into(layout, contents, at, value)


_CODE, _PHYS, _MEMSZ = 64, 24, 40  # payload-high.elf's first program header, fields of one


def at_2_gib(contents: bytearray) -> None:
    for header in (_CODE, _CODE + 56):
        (phys,) = struct.unpack_from("<Q", contents, header + _PHYS)
        struct.pack_into("<Q", contents, header + _PHYS, phys + 0x80000000)


def with_ifunc(contents: bytearray) -> None:
    relative = struct.pack("<Q", 8)  # a RELA's r_info: R_X86_64_RELATIVE
    struct.pack_into("<Q", contents, contents.index(relative, 0x238 + 0x1C), 37)


def without_note(contents: bytearray) -> None:
    struct.pack_into("<I", contents, contents.index(b"Prologue\0") - 4, 0x71)


# ---- Linux ----

def expect_user_space(serial: str, *patterns: str) -> None:
    """Debian's kernel to a program of ours."""
    for pattern in (r"Run /init as init process", r"^init: user space", *patterns):
        assert re.search(pattern, serial, re.MULTILINE), f"no {pattern!r} in {serial[-2000:]}"


def linux(name: str, run: Callable[[], machine.Result], *patterns: str) -> Case:
    def function() -> None:
        for file in (LINUX, INITRAMFS):
            assert file.exists(), f"{file} is not there: make debian-guests"
        expect_user_space(run().serial, *patterns)

    return Case(f"payload: Linux {name}", function)


LINUX_CMDLINE = "console=ttyS0 panic=-1"


def by_multiboot1() -> machine.Result:
    return machine.run(machine.Boot(kernel=_LOADER_1, initrd=[LINUX, INITRAMFS], memory="256M",
                                    append=LINUX_CMDLINE, timeout=60))


def by_multiboot2() -> machine.Result:
    iso = grub_iso(_LOADER, "multiboot2", LINUX_CMDLINE, [(LINUX, ""), (INITRAMFS, "")])
    return run_iso(iso, memory="256M", timeout=60)


def by_pvh() -> machine.Result:
    """The initrd lies where the kernel belongs, and right behind the kernel's file."""
    kernel, initrd = LINUX.read_bytes(), INITRAMFS.read_bytes()
    load = Load(PVH, "prologue", cmdline=LINUX_CMDLINE, memory_map=PC_256M,
                modules=(Placed(16 * MIB - len(kernel), kernel), Placed(16 * MIB, initrd)))
    return machine.run(replace(fed(load, memory="256M"), timeout=60))


PC_256M = tuple((start, size + (128 * MIB if start == MIB else 0), kind) if start != 0x7FE0000
                else (0xFFE0000, size, kind) for start, size, kind in PC_128M)

CASES = [
    by_qemu("high"),
    by_qemu("low"),
    by_qemu("low", cpu="qemu64", memory="16M"),
    by_qemu("high", cpu="qemu64", memory="512G"),
    by_qemu("best", "5-level", cpu="max"),
    by_qemu("best", cpu="max,la57=off"),
    by_qemu("five", "5-level", cpu="max", memory="512G"),
    pie("pie"),
    pie("relr", cpu="qemu64", memory="16M"),
    pie("shared"),
    Case("payload: GRUB by Multiboot 2, two modules", by_grub),
    by_pvh_note("ELF64", False),
    by_pvh_note("ELF64 512G", False, cpu="qemu64", memory="512G"),
    by_pvh_note("ELF32", True),
    placed("high", 0x4000000, (0x4800000, 5000)),
    placed("where it belongs", 0x200000),
    placed("where it belongs, its text's first byte at its own place", 0x1FF000),
    placed("a page above", 0x201000),
    placed("across the end", 0x3FF123),
    placed("with modules where it belongs", 0x4000000, (0x1F0001, 0x20000), (0x300000, 5000),
           (0x3FFFFF, 2)),
    placed("right behind this image's place", 0x180000, (0x2A0000, 0x80001)),
    *map(in_any_order, _MAPS),
    many_ranges("near, by the handoff", _NEAR, "payload-high", "^result: ok", "512M"),
    many_ranges("far, by the handoff", _FAR, "payload-high", "^result: ok", "64G"),
    many_ranges("far, by Limine", _FAR, "payload-limine", "^where: right", "64G"),
    many_ranges("far, in 32-bit mode", _FAR, "demo-best", "^result: ok", "64G"),
    refused("no file of a known kind", "payload: 5 bytes at <*> are no ELF file and no bzImage "
            "(6c6c6568, 0)", lambda contents: b"hello"),
    refused("for another machine", "payload: elf: e_machine is b7, not 3e", put("<H", 18, 183)),
    refused("of no class", "payload: elf: EI_CLASS is 3, not 2", put("<B", 4, 3)),
    refused("a core file", "payload: elf: e_type is 4, not 2", put("<H", 16, 4)),
    refused("a PIE with an IFUNC", "payload: elf: relocation: R_X86_64_IRELATIVE is not served "
            "(25, <*>)", with_ifunc, "payload-pie.elf"),
    refused("cut off", "payload: elf: the table of program headers ends at <*>, the file at 64",
            lambda contents: contents[:100]),
    refused("no note", "payload: elf: no note says by which contract it is to be started",
            without_note),
    refused("an entry in its data", "payload: elf: e_entry 1234 is in no executable segment",
            put("<Q", 24, 0x1234)),
    refused("a segment that wraps", "payload: elf: segment 0 lies beyond all physical memory "
            "(200000, ffffffffffffffff)", put("<Q", _CODE + _MEMSZ, (1 << 64) - 1)),
    refused("where no RAM is", "payload: 80200000 to <*> belongs where no RAM is, or what must "
            "stay: 80200000 to fffc0000", at_2_gib),
    refused("five levels", "payload: it needs five levels of paging, and this CPU knows four",
            lambda contents: None, "payload-five.elf", cpu="max,la57=off"),
    Case("payload: refused, no module", without_a_module),
    exception("before it leaves", "kernel_main", _UD2, r"#UD .*64-bit, at ffffffff8\w+ = image",
              "payload-high.elf"),
    exception("before anything moves", "prologue_depart", _UD2, _UD_IN_PAGES, "payload-high.elf"),
    exception("at a page that is not there", "prologue_depart", _READS_NOTHING,
              r"#PF .*\(vector 14\), error 0000, 64-bit, at 0{8}[0-9a-f]{8}$", "payload-high.elf"),
    exception("where the image was is the payload", "cleared", _UD2, _UD_IN_PAGES,
              "payload-sev-low.elf"),
    Case("payload: Memtest86+", memtest),
    linux("by Multiboot 1 and QEMU", by_multiboot1, r"^\[.*Command line: console=ttyS0 panic=-1"),
    linux("with three initrds", by_three_initrds, "Trying to unpack rootfs image as initramfs"),
    linux("by Multiboot 2 and GRUB", by_multiboot2),
    linux("by PVH, its initrd where it belongs", by_pvh, r"e820: \[mem 0x0000000000100000-"
          r"0x000000000ffdffff\] usable"),
]
