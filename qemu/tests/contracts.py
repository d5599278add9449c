"""The contracts by which prologue.elf starts a payload: what its image asks for, or what is wished
for; kernels of others' by each, and what is refused by name."""

import re
import shutil
import struct
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Callable

import cases
import doc_pages
import e820
import feeding
import loader_media
import machine
import modes
import under_xen
from any_loader import LINUX as LINUX_PROTOCOL
from any_loader import LINUX64_OFFSET, PC_128M, PVH, Load, Placed, fed
from cases import Case
from handoff_report import GIB, MIB, expect_report
from iso import OVMF, grub_iso, run_iso
from refusals import expect_fatal
from tests.pack import bzimage, packed, refused as pack_refused
from tests.payload import INITRAMFS, LINUX, LINUX_CMDLINE, expect_user_space, loader

_LOADER, _LOADER_1 = (cases.BUILD / f"prologue{name}.elf" for name in ("", "-multiboot1"))
_INFORMED, _INFORMED_PVH = (cases.BUILD / f"payload-informed{name}.elf" for name in ("", "-pvh64"))
_DEMO = cases.BUILD / "demo-best.elf"
_MULTIBOOT2, _RSDP = "0x36d76289", "0x2052545020445352"


# ---- In 64-bit mode, with what 32-bit kernels are told ----

class Told:
    """What payload-informed was told, after what must hold each time was held to it."""

    def __init__(self, result: machine.Result, magic: str):
        result.expect(machine.OK, f"^magic: {magic}\r?$", "^others: 0x0\r?$", "^stack: 0x8\r?$",
                      "^code: 0xffffffff\r?$", "^image: 0x1\r?$")
        self.lines = re.findall(r"^([a-z-]+): (.*?)\r?$", result.serial, re.MULTILINE)
        memory = [line.split(" ") for line in self.all("memory")]
        assert any(kind == "1" and int(start, 16) <= 2 * MIB < int(end, 16)
                   for start, end, kind in memory), memory

    def all(self, key: str) -> list:
        return [value for name, value in self.lines if name == key]

    def one(self, key: str) -> str:
        (value,) = self.all(key)
        return value


def multiboot2(result: machine.Result) -> Told:
    told = Told(result, _MULTIBOOT2)
    assert told.one("end") == "0x0" and told.one("bootloader") == "Prologue", told.lines
    assert told.one("base") == hex(2 * MIB), told.lines
    assert int(told.one("upper"), 16) > 0x1000, told.lines
    assert told.one("section") == ".text" and int(told.one("sections"), 16) > 5, told.lines
    return told


def boot(image: Path = _LOADER, kernel: Path = _INFORMED, append: str = "a b", modules=(),
         memory: str = "256M", **options) -> machine.Result:
    return machine.run(machine.Boot(kernel=image, initrd=[kernel, *modules], append=append,
                                    memory=memory, **options))


def by_its_header() -> None:
    told = multiboot2(boot())
    assert told.one("cmdline") == "a b" and told.one("rsdp") == _RSDP, told.lines
    assert not told.all("screen") and not told.all("module"), told.lines


def with_modules(kernel: Path, append: str, magic: str) -> Callable[[], None]:
    """The header asks for whole pages, and QEMU puts them there anyway."""

    def function() -> None:
        files = [cases.scratch_file(b"x" * 5000 + b"y", "first"), cases.scratch_file(b"z", "last")]
        told = Told(boot(_LOADER_1, kernel, append, [f"{files[0]} of two", files[1]]), magic)
        assert told.all("module") == ["0x1389", "0x1"], told.lines
        assert told.all("bytes") == ["0x7879", "0x7a7a"], told.lines
        assert "of two" in told.all("string")[0], told.lines
        assert told.one("cmdline") == append, told.lines

    return function


def with_a_screen() -> None:
    """UEFI's, with its table and map of memory, and SMBIOS; its RSDP is of ACPI 2, and begins with
    one of ACPI 1."""
    result = machine.run(machine.Boot(
        kernel=bzimage(packed("--cmdline", "a b", kernel=_INFORMED)), memory="256M",
        firmware=OVMF, timeout=60, extra=["-vga", "std"]))
    told = multiboot2(result)
    assert int(told.one("screen"), 16) >= 640 and told.all("rsdp") == [_RSDP] * 2, told.lines
    assert told.all("tag") == ["0xc", "0x11"] and told.one("smbios") in ("0x2", "0x3"), told.lines


def with_512_gib() -> None:
    multiboot2(boot(cpu="qemu64", memory="512G"))


def with_a_high_module() -> None:
    """It lies above 4 GiB, where Multiboot 2 has no numbers for it, and is moved."""
    load = Load(LINUX_PROTOCOL, kernel=str(packed(kernel=_INFORMED).with_suffix("")), cmdline="c",
                mode=modes.LONG64, memory_map=e820.simple(0xC0000000, 3 * GIB),
                modules=(Placed(0x170000123, b"x" * 5000 + b"y"),))
    entry = feeding.Registers(eip=load.base + LINUX64_OFFSET, esi=load.info_at)
    told = multiboot2(machine.run(fed(load, entry=entry, memory="7G",
                                      machine="pc,max-ram-below-4g=4G")))
    assert (told.one("module"), told.one("bytes")) == ("0x1389", "0x7879"), told.lines


def by_grub() -> None:
    """Its framebuffer and RSDP, handed on."""
    result = run_iso(grub_iso(_LOADER, "multiboot2", "to it", [(_INFORMED, "kernel")]),
                     memory="256M")
    assert multiboot2(result).one("cmdline") == "to it"


def pvh(kernel: Path, append: str) -> Callable[[], None]:
    def function() -> None:
        told = Told(boot(kernel=kernel, append=append), "0x0")
        assert told.one("cmdline") == append and told.one("rsdp-place") != "0x0", told.lines

    return function


# ---- In 32-bit mode ----


def demo(name: str, loader_name: str, append: str, kernel: Path = _DEMO,
         made: Callable[[Path], Path] = lambda kernel: kernel) -> Case:
    """A kernel linked with Prologue reads what it is told, by its own parsers."""

    def function() -> None:
        result = boot(kernel=made(kernel), append=append)
        report = expect_report(result, kernel, loader=loader_name, cmdline=append, modules=[])
        assert report.fields["rsdp"] != 0 or loader_name == "multiboot1"

    return Case(f"contract: {name}", function)


def as_elf32(kernel: Path) -> Path:
    file = cases.scratch_directory() / "kernel"
    subprocess.run([cases.ROOT / "linker/prologue-elf32", kernel, file], check=True)
    return file


def xen(contract: str) -> Case:
    """Xen's hypervisor, an ELF32 with both Multiboot headers, unmodified, starts its module as
    dom0. It takes the first word for its own path."""

    def function() -> None:
        given = under_xen.boot(f"{_DEMO} dom0")
        result = machine.run(replace(
            given, kernel=loader(_LOADER_1), append=f"{contract} xen {given.append}",
            initrd=[given.kernel, *given.initrd]))
        result.expect(machine.OK, r"^\(XEN\) Bootloader: Prologue",
                      r"^\(XEN\) Command line: .*dom0_mem=128M")
        expect_report(under_xen.of_domain(result, 0), _DEMO, loader="pvh", cmdline="dom0",
                      modules=[])

    return Case(f"contract: Xen, {contract or 'as it asks'}", function)


def grub_core() -> None:
    """GRUB's core for BIOSes, a flat file with Multiboot 1's address fields, below 1 MiB: it reads
    its memory from the BIOS, in real mode."""
    work = cases.scratch_directory()
    (work / "words").write_text("serial --unit=0 --speed=115200\nterminal_output serial\n"
                                "lsmmap\necho the core has come up\nhalt\n")
    subprocess.run(["grub-mkimage", "-O", "i386-pc", "-p", "/boot/grub", "-c", work / "words",
                    "-o", work / "core.img", "serial", "terminal", "echo", "lsmmap", "halt"],
                   check=True)
    said = doc_pages.spoken(
        [shutil.which("qemu-system-x86_64"), "-m", "64M", "-display", "none", "-no-reboot",
         "-serial", "stdio", "-kernel", str(_LOADER), "-initrd", str(work / "core.img")],
        cases.scratch_directory(), "the core has come up")
    assert "base_addr = 0x100000, length = 0x3ee0000, available RAM" in said, said


def xen_elsewhere() -> None:
    """Its header says that it may lie elsewhere, and where it is linked is no RAM."""
    memory_map = [(0, 0x9F000, e820.RAM), (MIB, 3 * MIB, e820.RAM), (4 * MIB, MIB, e820.RESERVED),
                  (5 * MIB, 120 * MIB, e820.RAM)]
    load = Load(PVH, "prologue", cmdline="xen com1=115200,8n1 console=com1 noreboot",
                memory_map=memory_map,
                modules=[Placed(16 * MIB, loader_media.fetched("xen").read_bytes()),
                         Placed(32 * MIB, b"no kernel")])
    result = machine.run(replace(fed(load), timeout=60))
    assert re.search(r"^\(XEN\) Bootloader: Prologue", result.serial, re.MULTILINE), result.serial


# ---- Linux, by its 32-bit protocol ----


def without_64_bit_entry() -> Path:
    contents = bytearray(LINUX.read_bytes())
    flags, = struct.unpack_from("<H", contents, 0x236)
    struct.pack_into("<H", contents, 0x236, flags & ~1)
    return cases.scratch_file(bytes(contents), "vmlinuz")


def linux32(name: str, append: str, kernel: Callable[[], Path]) -> Case:
    def function() -> None:
        result = machine.run(machine.Boot(
            kernel=_LOADER_1, initrd=[kernel(), INITRAMFS], memory="256M",
            append=f"{append}{LINUX_CMDLINE}", timeout=60))
        expect_user_space(result.serial)

    return Case(f"contract: Linux by its 32-bit protocol, {name}", function)


def linux32_with_a_high_initrd() -> None:
    """It lies above 2 GiB, where the header's initrd_addr_max ends."""
    memory_map = tuple((start, 3 * GIB - 128 * 1024 - MIB, kind) if start == MIB else
                       (3 * GIB - 128 * 1024, size, kind) if start == 0x7FE0000 else
                       (start, size, kind) for start, size, kind in PC_128M)
    load = Load(PVH, "prologue", cmdline=f"contract=linux32 {LINUX_CMDLINE}", memory_map=memory_map,
                modules=(Placed(64 * MIB, LINUX.read_bytes()),
                         Placed(0x90000000, INITRAMFS.read_bytes())))
    result = machine.run(replace(fed(load, memory="3G"), timeout=60))
    expect_user_space(result.serial, r"RAMDISK: \[mem 0x[0-7]")


def packed_linux32() -> None:
    kernel = packed("--contract", "linux32", "--initrd", INITRAMFS, "--cmdline", LINUX_CMDLINE,
                    kernel=LINUX)
    expect_user_space(machine.run(machine.Boot(kernel=kernel, memory="256M", timeout=60)).serial)


# ---- What is refused ----


def refused(name: str, message: str, append: str = "", kernel: Path = _INFORMED,
            change: Callable[[bytearray], object] = lambda contents: None) -> Case:
    def function() -> None:
        contents = bytearray(kernel.read_bytes())
        change(contents)
        expect_fatal(machine.run(machine.Boot(
            kernel=loader(), initrd=[cases.scratch_file(bytes(contents))], append=append)), message)

    return Case(f"contract: refused, {name}", function)


_INFORMATION = struct.pack("<HHI5I", 1, 0, 28, 1, 3, 4, 6, 9)  # a tag of payload-informed's header
_HALF_KNOWN = struct.pack("<HHI", 999, 1, 8)


def asks_for_vbe(contents: bytearray) -> None:
    struct.pack_into("<I", contents, contents.index(_INFORMATION) + 8, 7)


def needs_999(contents: bytearray) -> None:
    struct.pack_into("<H", contents, contents.index(_HALF_KNOWN) + 2, 0)


def needs_a_screen(contents: bytearray) -> None:
    at = contents.index(_INFORMATION)
    contents[at:at + 28] = struct.pack("<HHI5I", 5, 0, 28, 1024, 768, 32, 0, 0)


CASES = [
    Case("contract: Multiboot 2 in 64-bit mode", by_its_header),
    Case("contract: Multiboot 2 in 64-bit mode, two modules",
         with_modules(_INFORMED, "c", _MULTIBOOT2)),
    Case("contract: Multiboot 2 in 64-bit mode, UEFI with a screen", with_a_screen),
    Case("contract: Multiboot 2 in 64-bit mode, GRUB", by_grub),
    Case("contract: Multiboot 2 in 64-bit mode, 512 GiB", with_512_gib),
    Case("contract: Multiboot 2, a module above 4 GiB", with_a_high_module),
    Case("contract: PVH in 64-bit mode, its note", pvh(_INFORMED_PVH, "a b")),
    Case("contract: PVH in 64-bit mode, by wish", pvh(_INFORMED, "contract=pvh64")),
    Case("contract: PVH in 64-bit mode, two modules", with_modules(_INFORMED_PVH, "c", "0x0")),
    demo("Multiboot 2, an ELF64", "multiboot2", "a b"),
    demo("Multiboot 2, an ELF32", "multiboot2", "a b", made=as_elf32),
    demo("PVH, by wish", "pvh", "contract=pvh a"),
    demo("Multiboot 1, address fields in an ELF64", "multiboot1", "contract=multiboot1",
         cases.BUILD / "demo-best-multiboot1.elf"),
    xen(""),
    xen("contract=multiboot1"),
    Case("contract: Xen, elsewhere than linked", xen_elsewhere),
    Case("contract: GRUB's core", grub_core),
    linux32("by wish", "contract=linux32 ", lambda: LINUX),
    linux32("without another", "", without_64_bit_entry),
    Case("contract: Linux by its 32-bit protocol, a high initrd", linux32_with_a_high_initrd),
    Case("contract: Linux by its 32-bit protocol, packed", packed_linux32),
    refused("no such one", "payload: contract=foo is none that is known", "contract=foo"),
    refused("not asked for", "payload: contract=limine: the payload has no header, note or "
            "request of it", "contract=limine"),
    refused("an ELF as Linux", "payload: contract=linux64: the payload has no header, note or "
            "request of it", "contract=linux64"),
    refused("a flat file", "payload: 40000 bytes at <*> are no ELF file and no bzImage (0, 0)",
            kernel=Path("/usr/share/seabios/bios-256k.bin")),
    refused("what nobody has", "payload: multiboot2: information tag 7 is not served (0)",
            change=asks_for_vbe),
    refused("what nobody knows", "payload: multiboot2: header tag 999 is not served (0)",
            change=needs_999),
    refused("no screen", "payload: multiboot2: its header requires a screen, and none was told",
            change=needs_a_screen),
    pack_refused("a contract", "invalid choice", "--contract", "foo", _INFORMED),
]
