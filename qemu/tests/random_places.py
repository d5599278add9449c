"""Kernels and payloads at random places: two boots differ, what was relocated is right, and what
turns chance off."""

import re
import struct
from typing import Callable, Sequence

import cases
import iso
import machine
from cases import Case
from handoff_report import GIB, MIB, expect_report
from linking import do

_SUMS = cases.BUILD / "sums-random.elf"
_DEMO = cases.BUILD / "demo-random-best-every"
_LINKED = (MIB, 0xFFFFFFFF80100000, 0xFFFF800000000000)
_PAYLOAD = (None, 0xFFFFFFFF80200000, 0xFFFF800000000000)
_SLOT = 2 * MIB

# A physical place, a virtual one, and where the direct map begins. GRUB leaves output before it.
_PLACE = re.compile(r"place: (\w+) (\w+) (\w+)\r?$", re.MULTILINE)


def place(result: machine.Result) -> Sequence[int]:
    """Where a kernel that is whole says that it lies."""
    result.expect(machine.OK, "^pointers: right\r?$", "^image: whole\r?$")
    return [int(number, 16) for number in _PLACE.search(result.serial).groups()]


def linked(append: str = "", **options) -> Sequence[int]:
    return place(machine.run(machine.Boot(kernel=_SUMS, append=append, memory="256M", **options)))


def payload(append: str = "random", name: str = "pie", **options) -> Sequence[int]:
    return place(machine.run(machine.Boot(
        kernel=cases.BUILD / "prologue.elf", initrd=[cases.BUILD / f"payload-{name}.elf"],
        append=append, memory="256M", **options)))


def by_grub() -> Sequence[int]:
    """By Multiboot 2, without the headers of its sections: GRUB refuses one with relocations, and
    the boot needs none of them."""
    kernel = cases.scratch_directory() / "kernel.elf"
    do("llvm-objcopy", "--strip-sections", _SUMS, kernel)
    return place(iso.run_iso(iso.grub_iso(kernel, "multiboot2"), memory="256M"))


def expect_random(places: Sequence[Sequence[int]], linked_at: Sequence[int]) -> None:
    for phys, virt, direct_map in places:
        assert MIB <= phys < 256 * MIB and (phys - virt) % _SLOT == 0, f"{phys:#x}"
        assert (virt - linked_at[1]) % _SLOT == 0 and virt >> 31 == (1 << 33) - 1, f"{virt:#x}"
        assert direct_map % GIB == 0 and 0xFFFF8000 << 32 <= direct_map < 0xFFFFFF80 << 32
    for of_boots in zip(*places):
        assert len(set(of_boots)) > 1, f"{places}: each boot had the same"


def two_boots_differ(name: str, boot: Callable[..., Sequence[int]], linked_at: Sequence[int],
                     **options) -> Case:
    """Three: that two have one place of a hundred happens."""
    return Case(f"random: boots differ, {name}",
                lambda: expect_random([boot(**options) for _ in range(3)], linked_at))


def stays(name: str, boot: Callable[..., Sequence[int]], linked_at: Sequence[int],
          append: str) -> Case:
    def function() -> None:
        seen = boot(append)
        for is_at, due in zip(seen, linked_at):
            assert due in (None, is_at), f"{is_at:#x}, not {due:#x}"

    return Case(f"random: not at all, {name}", function)


def reported(name: str, file: str, levels: str, **options) -> Case:
    """All that must hold of any report does: by Linux's protocol, with modules."""

    def function() -> None:
        initrd = cases.scratch_file(b"x" * 5000)
        result = machine.run(machine.Boot(kernel=_DEMO.with_suffix(file), append="a b",
                                          initrd=[initrd], memory="256M", **options))
        report = expect_report(result, _DEMO.with_suffix(".elf"), cmdline="a b",
                               paging=levels)
        assert [module.bytes for module in report.modules] == [5000]
        assert report.of_kind("kernel")[0].start == report.load_base

    return Case(f"random: reported, {name}", function)


def by_uefis_generator() -> None:
    """The firmware's randomness, QEMU's device of it, lies in the information as a Linux loader's:
    in what is left of the machine's memory."""
    given = cases.scratch_file(b"0123456789abcdefghijklmnopqrstuv" * 2048)
    memory = cases.scratch_file(b"")
    result = machine.run(machine.Boot(
        kernel=_DEMO.with_suffix(".bzImage"), memory="256M", firmware=iso.OVMF, timeout=60,
        extra=["-object", f"memory-backend-file,id=ram,size=256M,share=on,mem-path={memory}",
               "-machine", "memory-backend=ram", "-object", f"rng-random,id=rng,filename={given}",
               "-device", "virtio-rng-pci,rng=rng"]))
    expect_report(result, _DEMO.with_suffix(".elf"), loader="efi", entry_mode="long64")
    last_piece = struct.pack("<QII", 0, 9, 32)  # of setup_data: SETUP_RNG_SEED
    seeds = [part[:32] for part in memory.read_bytes().split(last_piece)[1:]]
    assert any(seed in given.read_bytes() for seed in seeds), seeds


CASES = [
    Case("random: UEFI's generator", by_uefis_generator),
    two_boots_differ("a kernel by PVH", linked, _LINKED),
    two_boots_differ("a kernel with the TSC alone", linked, _LINKED, cpu="qemu64"),
    two_boots_differ("a kernel by GRUB, without its sections' headers", by_grub, _LINKED),
    two_boots_differ("a payload", payload, _PAYLOAD),
    two_boots_differ("a payload with the TSC alone", payload, _PAYLOAD, cpu="qemu64"),
    stays("a kernel with nokaslr", linked, _LINKED, "a nokaslr"),
    stays("a payload with nokaslr", payload, _PAYLOAD, "random nokaslr"),
    stays("a payload without random", payload, _PAYLOAD, ""),
    reported("by Multiboot 1, four levels", ".elf", "4-level", cpu="qemu64"),
    reported("by Multiboot 1, five levels", ".elf", "5-level"),
    reported("a bzImage", ".bzImage", "5-level"),
]
