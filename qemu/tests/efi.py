"""Multiboot 2 by GRUB on UEFI: OVMF's real boot, with the firmware's map beside the loader's; and
what a loader on UEFI could get wrong, through the feeder."""

import os
import struct
from dataclasses import replace
from pathlib import Path
from typing import Callable, Optional, Sequence, Tuple

import cases
import composers
import machine
import state_report
from any_loader import MULTIBOOT2, Load, expect_exactly, fed
from cases import Case
from efi_program import efi_program
from guests import expected_paging
from handoff_report import MIB, PAGE, expect_report
from images import Image, multiboot2_tag, patch
from iso import EFI, OVMF, grub_iso
from refusals import wrong
from uefi_map import MEANS_RUNNING, expect_efi

_TIMEOUT = 60

_OWN_BYTES = 8 << 20


def ovmf(kernel: str, cpu: str, memory: str = "256M", board: str = "pc", cmdline: str = "",
         modules: Sequence[Tuple[int, str]] = (), note: str = "") -> Case:
    def function() -> None:
        path = cases.BUILD / f"{kernel}.elf"
        files = [(cases.scratch_file(b"", "module"), string) for _, string in modules]
        for (file, _), (size, _) in zip(files, modules):
            os.truncate(file, size)
        result = machine.run(machine.Boot(
            iso=grub_iso(path, "multiboot2", cmdline, files, EFI), firmware=OVMF, memory=memory,
            cpu=cpu, machine=board, timeout=_TIMEOUT))
        report = expect_report(
            result, path, loader="multiboot2", cmdline=cmdline,
            modules=[(None, size, string) for size, string in modules],
            **expected_paging(kernel.removesuffix("-every"), cpu))
        own = report.of_kind("prologue")
        assert any(r.start <= report.fields["rsdp"] < r.end for r in own), report.fields["rsdp"]
        expect_efi(report)

    return Case(f"efi: GRUB on OVMF, {kernel} on {cpu}, {memory} {board} {note}".rstrip(), function)


def fragments(pages: int) -> Optional[Path]:
    """An EFI program that makes the firmware's map that many descriptors longer."""
    return efi_program("fragments.c", f"PAGES={pages}") if pages else None


def services(cpu: str, memory: str = "256M", board: str = "pc",
             modules: Sequence[Tuple[int, str]] = (), pages: int = 0) -> Case:
    """A kernel that wishes for the boot services calls them, and ends them."""
    path = cases.BUILD / "demo-services.elf"

    def function() -> None:
        files = [(cases.scratch_file(b"m" * size, "module"), string) for size, string in modules]
        result = machine.run(machine.Boot(
            iso=grub_iso(path, "multiboot2", "a b=c", files, EFI, fragments(pages)), firmware=OVMF,
            memory=memory, cpu=cpu, machine=board, timeout=_TIMEOUT))
        report = expect_report(
            result, path, loader="multiboot2", cmdline="a b=c", entry_mode="long64",
            boot_services="0x1", get_memory_map="0x0", exit_with_wrong_key=_INVALID_PARAMETER,
            map_for_exit="0x0", exit="0x0",
            modules=[(None, size, string) for size, string in modules],
            **expected_paging("demo", cpu))
        expect_efi(report, MEANS_RUNNING)
        assert len(report.efi_memory) > pages, len(report.efi_memory)
        own = sum(r.end - r.start for r in report.of_kind("usable", "prologue"))
        assert own == _OWN_BYTES, f"{own:#x} bytes are usable, or Prologue's"
        for what in ("pages", "runtime-pages"):
            assert report.fields[what] == report.fields[f"{what}-at-boot"], what

    words = f"efi: boot services by wish on {cpu}, {memory} {board}"
    return Case(words + f", {pages} descriptors" * (pages != 0), function)


def services_moved() -> None:
    """GRUB moves the image, and with it the entry for a firmware that runs."""
    image = Image(cases.BUILD / "demo-services.elf")
    path = patch(image.path, multiboot2_tag(image, _RELOCATABLE) + _LOWEST_BASE,
                 struct.pack("<I", 96 * MIB))
    report = expect_report(
        machine.run(_services_boot(path)), path, loader="multiboot2", cmdline="a b",
        entry_mode="long64", boot_services="0x1", get_memory_map="0x0",
        exit_with_wrong_key=_INVALID_PARAMETER, map_for_exit="0x0", exit="0x0")
    assert report.fields["load-base"] >= 96 * MIB, report.fields["load-base"]
    expect_efi(report, MEANS_RUNNING)


def services_at_another_depth() -> None:
    """The firmware's four levels are left for the five that are wished for: no way back to it."""
    path = patch(cases.BUILD / "demo-services.elf", "prologue_wish_paging", struct.pack("<I", 5))
    report = expect_report(
        machine.run(_services_boot(path)), path, loader="multiboot2", cmdline="a b",
        entry_mode="long64", paging="5-level", boot_services="0x1",
        get_memory_map=_UNSUPPORTED)
    expect_efi(report, MEANS_RUNNING)


def _services_boot(path: Path) -> machine.Boot:
    return machine.Boot(iso=grub_iso(path, "multiboot2", "a b", platform=EFI), firmware=OVMF,
                        memory="256M", cpu="max", timeout=_TIMEOUT)


def services_elsewhere(name: str, boot: Callable[[], machine.Boot], loader: str) -> Case:
    """The wish changes nothing where there are none."""
    def function() -> None:
        path = cases.BUILD / "demo-services.elf"
        expect_report(machine.run(boot()), path, loader=loader, cmdline="a b", boot_services="0x0")

    return Case(f"efi: a wish for boot services, {name}", function)


_INVALID_PARAMETER, _UNSUPPORTED = "0x8000000000000002", "0x8000000000000003"
_RELOCATABLE, _LOWEST_BASE = 10, 8  # the header's tag, and its min_addr


# What stands beside the memory map, through the feeder.

_RSDP1, _RSDP2 = b"RSD PTR " + bytes(12), b"RSD PTR 2" + bytes(27)
_DESCRIPTORS = [(0, 0x9F, 7), (0x100000, 0x7EE0, 7), (0x7FE0000, 0x20, 6), (1 << 40, 1, 11)]


def composed(name: str, bits: int, stride: int, rsdps: Sequence[bytes] = (_RSDP1, _RSDP2)) -> Case:
    tags = [composers.tag_efi_table(0x7FE0018, bits),
            composers.tag_efi_memory_map(_DESCRIPTORS, stride), *map(composers.tag_rsdp, rsdps)]
    load = Load(MULTIBOOT2, tags=tuple(tags), cmdline="a b")

    def function() -> None:
        report = expect_exactly(load, machine.run(fed(load)), **expected_paging("demo", "max"))
        size = stride * len(_DESCRIPTORS)
        assert report.fields["efi"] == f"{bits} 0x7fe0018 {size} {stride}", report.fields["efi"]
        assert report.efi_memory == [
            (start, start + PAGE * pages, kind) for start, pages, kind in _DESCRIPTORS]
        assert bool(rsdps) == (report.fields["rsdp"] != 0), report.fields["rsdp"]

    return Case(f"efi: {name}, {bits} bits, descriptors of {stride} bytes", function)


def copies_are_prologues() -> None:
    """The firmware's map lies where a kernel may keep it."""
    load = Load(MULTIBOOT2, kernel="state", tags=_M2.tags, cmdline="a b c d e")
    state_report.expect_good(state_report.read(machine.run(fed(load)).expect(machine.OK)))


_MAP_TAG = composers.tag_efi_memory_map(_DESCRIPTORS)
_M2 = Load(MULTIBOOT2, tags=(_MAP_TAG, composers.tag_efi_table(0x7FE0018)))

CASES = [
    ovmf("demo", "max", cmdline="a b=c", modules=[(5000, "one"), (70001, "two words")]),
    ovmf("demo-best", "max", "1G", "q35"),
    ovmf("demo-five", "qemu64,+la57", "4G", "q35", modules=[(4096, "one")]),
    ovmf("demo", "qemu64", "128M", modules=[(8 << 20, "large")]),
    ovmf("demo-every", "max", note="with every header"),
    services("max", modules=[(5000, "one"), (70001, "two words")]),
    services("Opteron_G1", "1G", "q35"),
    Case("efi: boot services by wish, the image moved", services_moved),
    services("qemu64", pages=10000),
    Case("efi: boot services by wish, at another depth than the firmware's",
         services_at_another_depth),
    services_elsewhere("GRUB on a BIOS", lambda: machine.Boot(
        iso=grub_iso(cases.BUILD / "demo-services.elf", "multiboot2", "a b")), "multiboot2"),
    services_elsewhere("PVH", lambda: machine.Boot(
        kernel=cases.BUILD / "demo-services.elf", append="a b"), "pvh"),
    composed("all tags", 64, 48),
    composed("all tags", 32, 40),
    composed("no RSDP", 64, 200, ()),
    composed("the older RSDP", 64, 48, (_RSDP1,)),
    Case("efi: what is copied is Prologue's, and aligned", copies_are_prologues),
    wrong("EFI map tag past the end", _M2,
          "multiboot2: tag 17 at <tags[1].type> claims ffffffff bytes, but <*> are left",
          {"tags[1].size": 0xFFFFFFFF}),
    wrong("boot services running", replace(_M2, tags=(*_M2.tags, composers.Tag(18, []))),
          "multiboot2: EFI boot services are still running (tag 18 at <tags[3].type>)"),
    wrong("boot services running, at an entry that cannot ask for the map",
          replace(_M2, kernel="demo-services", tags=(*_M2.tags, composers.Tag(18, []))),
          "multiboot2: EFI boot services are still running (tag 18 at <tags[3].type>)"),
]
