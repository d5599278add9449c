"""The memory that Prologue takes for itself: at its edges, beside strings that are empty, not
where GRUB keeps the image's symbols, and not where kernels take memory unasked."""

import functools
from pathlib import Path

import cases
import iso
import linking
import machine
from any_loader import PVH, Load, Placed, fed
from cases import BUILD, Case
from handoff_report import MIB, Report

_PIECE, _PIECE_BYTES = 0x2000000, 0x10000


def scarce(cmdline_bytes: int) -> machine.Result:
    """One piece of 64 KiB is free, a module lies right behind it, the command line fills it."""
    module = Placed(_PIECE + _PIECE_BYTES, b"\xee" * 0x10000, "m")
    memory = ((0x1000, 0x9E000, 1), (MIB, MIB, 2), (_PIECE, 2 * _PIECE_BYTES, 1))
    load = Load(PVH, memory_map=memory, modules=[module], cmdline="c" * cmdline_bytes)
    return machine.run(fed(load))


def ends_with_its_last_page() -> None:
    """Whatever does not fit ends in a line; nothing is written behind the piece."""
    for cmdline_bytes in range(30000, 65001, 2500):
        result = scarce(cmdline_bytes)
        if result.outcome == machine.OK:
            report = Report(result.serial)
            ours = report.of_kind("prologue")
            assert all(r.end <= _PIECE + _PIECE_BYTES for r in ours), (cmdline_bytes, ours)
        else:
            result.expect(machine.FATAL, r"^prologue: fatal: (memory|paging): ")
    assert scarce(1000).outcome == machine.OK and scarce(65000).outcome == machine.FATAL


def empty_string_is_kept() -> None:
    """A module's string that is only its NUL, at the start of what is free."""
    at = _PIECE + 0x200
    memory = ((0x1000, 0x9E000, 1), (MIB, 2 * MIB, 2), (_PIECE, 64 * MIB, 1))
    load = Load(PVH, memory_map=memory, modules=[Placed(0x1800000, b"m" * 4096, "")],
                cmdline="abcdefghij" * 30)
    boot = fed(load, change=lambda info: info.set("modlist[0].cmdline_paddr", at),
               damage=[(at, b"\0")])
    machine.run(boot).expect(machine.OK, r"^module: 0 0x1800000 4096 \r?$")


def beyond_the_width() -> None:
    load = Load(PVH)
    boot = fed(load, change=lambda info: info.set("cmdline_paddr", 0x7000000000),
               cpu="max,phys-bits=36")
    machine.run(boot).expect(machine.FATAL,
                             r"^prologue: fatal: pvh command line: .* at 7000000000 ")


def grubs_sections_are_the_loaders() -> None:
    """GRUB loads symbols and debug sections behind the image, some 150 KiB of this kernel's."""
    path = iso.grub_iso(BUILD / "demo.elf", "multiboot2")
    report = Report(machine.run(machine.Boot(iso=path)).expect(machine.OK).serial)
    (kernel,) = report.of_kind("kernel")
    behind = [r for r in report.of_kind("loader") if r.start >= kernel.end]
    assert behind and behind[0].start == kernel.end, report.memory
    assert sum(r.end - r.start for r in behind) > 64 * 1024, behind


# A kernel for which memory from its end on is its own, and memory behind its last module.
_TAKER = """
#include <prologue/kernel.h>
#include <prologue/wishes.h>
PROLOGUE_WISH_QEMU_EXIT;
WISHES
static void out8(uint16_t port, uint8_t value) {
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}
static void print(const char *text) {
    while (*text)
        out8(0x3f8, (uint8_t)*text++);
}
static void print_address(const char *name, uint64_t value) {
    print(name);
    for (int shift = 60; shift >= 0; shift -= 4)
        out8(0x3f8, (uint8_t)"0123456789abcdef"[value >> shift & 15]);
    print("\\n");
}
static void take(uint64_t start, uint64_t bytes) {
    for (uint64_t at = start; at != start + bytes; at += 8)
        *(volatile uint64_t *)at = 0xdeadbeefdeadbeef;
}
void kernel_main(const prologue_handoff *handoff) {
    uint64_t behind = 0;
    for (uint64_t i = 0; i != handoff->module_count; ++i) {
        const uint64_t end = handoff->modules[i].start + handoff->modules[i].bytes;
        behind = end > behind ? end : behind;
    }
    take(handoff->load_end, BEHIND_IMAGE);
    if (behind != 0)
        take((behind + 4095) & -4096ull, BEHIND_MODULE);
    __asm__ volatile("mov %0, %%cr3" : : "r"(handoff->page_tables_phys) : "memory");
    const prologue_range *range = 0;
    while ((range = prologue_next_range(handoff, PROLOGUE_MEMORY_PROLOGUE, range)))
        print_address("ours: ", range->start - handoff->load_end);
    print(handoff->cmdline);
    out8(PROLOGUE_EXIT_PORT, PROLOGUE_EXIT_SUCCESS);
    for (;;)
        __asm__ volatile("hlt");
}
"""


@functools.lru_cache(maxsize=None)
def taker(behind_image: int, behind_module: int = 0, wishes: str = "") -> Path:
    source = _TAKER.replace("WISHES", wishes)
    return linking.link(linking.LLD, linking.DEFAULT, [linking.compiled(
        source, *linking.CLANG, *linking.PLAIN, "-mcmodel=kernel", "-std=c11",
        f"-DBEHIND_IMAGE={behind_image:#x}", f"-DBEHIND_MODULE={behind_module:#x}")])


def memory_from_the_end_on_is_the_kernels() -> None:
    """Most of 128 MiB, by each of what such kernels are booted by."""
    kernel = taker(96 * MIB)
    machine.run(machine.Boot(kernel=kernel, append="alive")).expect(machine.OK, "alive")
    machine.run(machine.Boot(kernel=kernel, append="alive",
                memory="6G")).expect(machine.OK, "alive")
    machine.run(machine.Boot(kernel=kernel, append="alive",
                cpu="qemu64")).expect(machine.OK, "alive")
    machine.run(machine.Boot(iso=iso.grub_iso(kernel, "multiboot2"))).expect(machine.OK)


def memory_behind_the_last_module_is_the_kernels() -> None:
    """A bitmap of 1 MiB, wherever the loader has put the module: GRUB behind the image, others
    in the middle of memory or low."""
    kernel = taker(0, MIB)
    module = cases.scratch_file(b"m" * 5000, "module")
    image = iso.grub_iso(kernel, "multiboot2", modules=[(module, "m")])
    machine.run(machine.Boot(iso=image)).expect(machine.OK)
    for at in (0x400000, 0x2000000, 0x7000000):
        load = Load(PVH, modules=[Placed(at, b"m" * 5000, "m")], cmdline="alive",
                    kernel=str(kernel.with_suffix("")))
        machine.run(fed(load)).expect(machine.OK, "alive")


def bytes_behind_the_image_by_wish() -> None:
    """Where memory is so scarce that by default ours would be there: it lies above, or the boot
    ends by name."""
    memory = ((0x1000, 0x9E000, 1), (MIB, 7 * MIB, 1), (16 * MIB, MIB, 1))
    for wish, outcome, low in (("", machine.OK, None), (f"{4 * MIB:#x}", machine.OK, 4 * MIB),
                               (f"{8 * MIB:#x}", machine.OK, 8 * MIB),
                               (f"{64 * MIB:#x}", machine.FATAL, None)):
        line = f"PROLOGUE_WISH_FREE_BEHIND_IMAGE({wish});" if wish else ""
        load = Load(PVH, memory_map=memory, cmdline="alive",
                    kernel=str(taker(0, 0, line).with_suffix("")))
        result = machine.run(fed(load))
        if outcome == machine.FATAL:
            result.expect(outcome, "^prologue: fatal: memory: ")
            continue
        result.expect(outcome, "alive")
        starts = [int(line[6:], 16) for line in result.serial.split("\n")
                  if line.startswith("ours: ")]
        assert starts and (low is None or min(starts) >= low), (wish, starts)


CASES = [
    Case("arena: memory from the end on is the kernel's", memory_from_the_end_on_is_the_kernels),
    Case("arena: memory behind the last module is the kernel's",
         memory_behind_the_last_module_is_the_kernels),
    Case("arena: bytes behind the image by wish", bytes_behind_the_image_by_wish),
    Case("arena: ends with its last page", ends_with_its_last_page),
    Case("arena: an empty string of a module's is kept", empty_string_is_kept),
    Case("arena: a string beyond the CPU's width is refused", beyond_the_width),
    Case("arena: sections that GRUB loads are the loader's", grubs_sections_are_the_loaders),
]
