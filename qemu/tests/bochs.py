"""GRUB's ISO in Bochs, the stricter CPU: it minds limits and reserved bits that TCG lets pass."""

import cases
import iso
import machine
from bochs import run_bochs
from cases import Case
from guests import (
    BEST,
    GRUB_MULTIBOOT1,
    GRUB_MULTIBOOT2,
    Guest,
    expect_guest,
    guest_iso,
    guest_kernel,
    module_files,
)

_MODULES = [(5000, "one"), (70001, "two words"), (0, "empty")]

_GUESTS = [
    Guest(GRUB_MULTIBOOT2, "demo", "128M", "ryzen", cmdline="a b", modules=_MODULES),
    Guest(GRUB_MULTIBOOT2, "demo-best", "128M", "corei7_skylake_x"),
    Guest(GRUB_MULTIBOOT2, "demo", "128M", "core2_penryn_t9600", cmdline="a b", modules=_MODULES),
    Guest(GRUB_MULTIBOOT2, "demo-low", "32M", "core2_penryn_t9600", note="moved by GRUB"),
    Guest(GRUB_MULTIBOOT2, "demo", "128M", "ryzen", base=0x345000),
    Guest(GRUB_MULTIBOOT2, "demo-best", "128M", "athlon64_clawhammer"),
    Guest(GRUB_MULTIBOOT1, "demo-multiboot1", "128M", "ryzen", wish=BEST),
    Guest(GRUB_MULTIBOOT1, "demo-multiboot1", "128M", "corei7_skylake_x", modules=_MODULES),
    Guest(GRUB_MULTIBOOT1, "demo-multiboot1", "128M", "core2_penryn_t9600", base=0x7FF000),
]


def bochs_case(guest: Guest) -> Case:
    def function() -> None:
        kernel, files = guest_kernel(guest), module_files(guest)
        iso = guest_iso(guest, kernel, files)
        result = run_bochs(iso, guest.cpu, int(guest.memory[:-1]))
        expect_guest(guest, kernel, files, result)

    return Case(f"bochs: {guest.name}", function)


def processors_start(model: str) -> Case:
    """The kernel looks itself whether four have come and all have counted: Bochs' serial port loses
    characters that nobody waits for."""
    def function() -> None:
        image = iso.grub_iso(cases.BUILD / "cpus-four.elf", "multiboot2", "four again")
        run_bochs(image, model, processors=4).expect(machine.OK)

    return Case(f"bochs: four processors start, return, and start again, {model}", function)


def cpu_too_old(model: str, message: str) -> Case:
    def function() -> None:
        guest = Guest(GRUB_MULTIBOOT2, "demo", "128M", model)
        result = run_bochs(guest_iso(guest, guest_kernel(guest), []), model)
        result.expect(machine.FATAL, f"prologue: fatal: {message}\r?$")

    return Case(f"bochs: no boot on {model}", function)


CASES = [
    *map(processors_start, ("ryzen", "corei7_skylake_x")),
    *map(bochs_case, _GUESTS),
    cpu_too_old("p3_katmai", r"cpu: no CPUID leaf 80000001 \(the highest is [0-9a-f]+\): "
                "no long mode"),
    cpu_too_old("p4_willamette", r"cpu: long mode or NX is missing \(CPUID 80000001 EDX lacks "
                r"20100000\)"),
]
