"""A bzImage of a kernel that must lie elsewhere than at 1 MiB: moved there, or refused."""

from pathlib import Path
from typing import Callable

import cases
import machine
from cases import Case
from handoff_report import GIB, MIB
from iso import OVMF, grub_iso
from linking import CLANG, DEFAULT, LLD, PLAIN, compiled, link
from linux_image import bzimage
from wrong_kernels import at

_LINUX, _EFI = 4, 7  # PROLOGUE_LOADER_*

_SOURCE = """
#include <prologue/kernel.h>
#include <prologue/wishes.h>
PROLOGUE_WISH_HEADERS(pvh, linux);
PROLOGUE_WISH_QEMU_EXIT;
static volatile unsigned char zero[LARGE];
const volatile unsigned words[20000] = {1, 2, 3, [19999] = 4};
static void out8(unsigned short p, unsigned char v) { __asm__("outb %0, %1" : : "a"(v), "Nd"(p)); }
static void put(const char *t) { while (*t) out8(0x3f8, *t++); }
static void put_hex(uint64_t v) {
    if (v > 15) put_hex(v / 16);
    out8(0x3f8, "0123456789abcdef"[v % 16]);
}
void kernel_main(const prologue_handoff *h) {
    int good = words[0] + words[1] + words[2] == 6 && words[19999] == 4;
    for (uint64_t i = 0; i != sizeof zero; ++i) good &= zero[i] == 0;
    put("loader "); put_hex(h->loader); put(good ? ", whole, at " : ", broken, at ");
    put_hex(h->load_base); put(", modules "); put_hex(h->module_count);
    put(": "); put(h->cmdline); put("\\n");
    out8(0xf4, 0x10);
    for (;;) __asm__ volatile("hlt");
}
"""
_ANSWER = r"loader {}, whole, at {:x}, modules {}: {}\r?$"
_REFUSAL = "^prologue: fatal: linux: the kernel must lie at {:x} to [0-9a-f]+, and {}"


def must_lie_at(physical: int, large: int = 0x10000) -> Path:
    """A bzImage of a kernel that is linked for that address, and cannot be moved."""
    main = compiled(_SOURCE, *CLANG, *PLAIN, "-fno-pic", "-mcmodel=kernel", f"-DLARGE={large}")
    return bzimage(link(LLD, DEFAULT, [main], *at(physical=physical)))


def is_moved(name: str, physical: int, start: Callable[[Path], machine.Boot], loader: int,
             cmdline: str = "a b=c", modules: int = 1, **kernel) -> Case:
    def function() -> None:
        answer = _ANSWER.format(loader, physical, modules, cmdline)
        machine.run(start(must_lie_at(physical, **kernel))).expect(machine.OK, answer)

    return Case(f"moved: to {physical:#x}, {name}", function)


def is_not_moved(name: str, physical: int, whose: str, start: Callable[[Path], machine.Boot],
                 **kernel) -> Case:
    def function() -> None:
        wanted = _REFUSAL.format(physical, whose)
        machine.run(start(must_lie_at(physical, **kernel))).expect(machine.FATAL, wanted)

    return Case(f"moved: not to {physical:#x}, {name}", function)


def by_qemu(kernel: Path, **options) -> machine.Boot:
    options = {"initrd": [cases.scratch_file(b"m" * 9999, "initrd")], "append": "a b=c", **options}
    return machine.Boot(kernel=kernel, **options)


def by_grub(kernel: Path) -> machine.Boot:
    modules = [(cases.scratch_file(b"m" * 9999, "initrd"), "")]
    return machine.Boot(iso=grub_iso(kernel, "linux", "a b=c", modules), timeout=60)


def by_ovmf(kernel: Path) -> machine.Boot:
    return by_qemu(kernel, firmware=OVMF, memory="256M", timeout=60)


def uefi_refuses() -> None:
    """OVMF's own code lies there."""
    kernel = must_lie_at(8 * MIB)
    machine.run(by_ovmf(kernel)).expect(
        machine.FATAL, "prologue: fatal: efi: the kernel must lie at 800000 to [0-9a-f]+, and "
        "the firmware uses [0-9a-f]+ to [0-9a-f]+")


CASES = [
    is_moved("by QEMU", 2 * MIB, by_qemu, _LINUX),
    is_moved("by QEMU, into where it was loaded", 0x101000, by_qemu, _LINUX),
    is_moved("by QEMU, below that", 0x40000, by_qemu, _LINUX),
    is_moved("by QEMU, far", 100 * MIB, by_qemu, _LINUX, large=8 * MIB),
    is_moved("by GRUB", 2 * MIB, by_grub, _LINUX, cmdline="BOOT_IMAGE=/kernel a b=c"),
    is_moved("by UEFI", 2 * MIB, by_ovmf, _EFI, cmdline="a b=c initrd=initrd"),
    is_moved("by UEFI", 32 * MIB, by_ovmf, _EFI, cmdline="a b=c initrd=initrd"),
    is_not_moved("which is no memory", GIB, r"the memory map has nothing at 40000000 to ", by_qemu),
    is_not_moved("where memory ends", 127 * MIB, r"the memory map reserves 7fe0000 to 8000000\r?$",
                 by_qemu, large=2 * MIB),
    is_not_moved("on the BIOS's area", 0x90000,
                 r"the memory map reserves 9fc00 to a0000\r?$", by_qemu),
    is_not_moved("on boot_params", 0x11000, r"boot_params are at 11000 to 12000\r?$", by_qemu),
    is_not_moved("on the command line", 0x14000,
                 r"the command line is at 20000 to 20006\r?$", by_qemu),
    is_not_moved("on the initrd", 112 * MIB, r"the initial RAM disk is at [0-9a-f]+ to 7fe0000\r?$",
                 lambda kernel: by_qemu(kernel, initrd=[cases.scratch_file(bytes(20 * MIB))])),
    Case("moved: not to where UEFI has something of its own", uefi_refuses),
]
