"""GRUB's ISO in Bochs, the stricter CPU: it minds limits and reserved bits that TCG lets pass."""

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
    Guest(GRUB_MULTIBOOT2, "demo", "128M", "bx_generic", cmdline="a b", modules=_MODULES),
    Guest(GRUB_MULTIBOOT2, "demo-low", "32M", "bx_generic", note="moved by GRUB"),
    Guest(GRUB_MULTIBOOT2, "demo", "128M", "ryzen", base=0x345000),
    Guest(GRUB_MULTIBOOT1, "demo-multiboot1", "128M", "ryzen", wish=BEST),
    Guest(GRUB_MULTIBOOT1, "demo-multiboot1", "128M", "corei7_skylake_x", cmdline="a", modules=_MODULES),
    Guest(GRUB_MULTIBOOT1, "demo-multiboot1", "128M", "bx_generic", base=0x7FF000),
]


def bochs_case(guest: Guest) -> Case:
    def function() -> None:
        kernel, files = guest_kernel(guest), module_files(guest)
        iso = guest_iso(guest, kernel, files)
        result = run_bochs(iso, guest.cpu, int(guest.memory[:-1]))
        expect_guest(guest, kernel, files, result)

    return Case(f"bochs: {guest.name}", function)


CASES = [*map(bochs_case, _GUESTS)]
