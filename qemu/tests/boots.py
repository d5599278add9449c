"""Boots by QEMU's own loaders and by GRUB: a line each, and the report checked whole."""

import cases
import machine
from cases import Case, note
from guests import (
    BEST,
    FIVE,
    GRUB_MULTIBOOT1,
    GRUB_MULTIBOOT2,
    QEMU_MULTIBOOT1,
    QEMU_PVH,
    Guest,
    boot_guest,
)
from images import Image
from refusals import expect_fatal

_NEAR_4G = "pc,max-ram-below-4g=4G"  # RAM up to where the I/O APIC is

_LONG = "x" * 4095  # what QEMU's PVH has room for
# Beyond that it writes over what lies behind: with a module its entry ends the text at 4,096 bytes;
# from 4,128 on the start info is no more.
_LONGEST, _OVER = "y" * 4127, (4128, 4129, 4131, 4132, 9000)
_LONGER = " ".join(["word"] * 1638)  # 8,189 bytes
_ONE = [(5000, "")]
_SEVERAL = [(4096, "one"), (0, "empty"), (1, "two words"), (70001, "")]

_MEMORY = [
    Guest(QEMU_PVH, "demo", "16M", "qemu64"),
    Guest(QEMU_PVH, "demo-best", "17M", "max"),
    Guest(QEMU_PVH, "demo-best", "64M", "max,pdpe1gb=off"),
    Guest(QEMU_PVH, "demo-best", "128M", "max,la57=off"),
    Guest(QEMU_PVH, "demo-five", "1G", "qemu64,+la57"),
    Guest(QEMU_PVH, "demo", "2G", "EPYC"),
    Guest(QEMU_PVH, "demo-best", "3G", "Skylake-Server"),
    Guest(QEMU_PVH, "demo-five", "3584M", "max"),
    Guest(QEMU_PVH, "demo-best", "4G", "qemu64"),
    Guest(QEMU_PVH, "demo-five", "6G", "max,pdpe1gb=off"),
    Guest(QEMU_PVH, "demo", "64G", "qemu64"),
    Guest(QEMU_PVH, "demo", "512G", "max", machine="q35"),
    Guest(QEMU_PVH, "demo", "512G", "qemu64", machine="q35"),
    Guest(QEMU_PVH, "demo-five", "512G", "max,pdpe1gb=off", machine="q35"),
    Guest(QEMU_PVH, "demo-best", "512G", "max,phys-bits=52"),
    Guest(QEMU_MULTIBOOT1, "demo-multiboot1", "16M", "max"),
    Guest(QEMU_MULTIBOOT1, "demo-multiboot1", "17M", "qemu64"),
    Guest(QEMU_MULTIBOOT1, "demo-multiboot1", "64M", "max", wish=FIVE),
    Guest(QEMU_MULTIBOOT1, "demo-multiboot1", "1G", "Icelake-Server", wish=BEST),
    Guest(QEMU_MULTIBOOT1, "demo-multiboot1", "2G", "max,pdpe1gb=off", machine="q35"),
    Guest(QEMU_MULTIBOOT1, "demo-multiboot1", "3G", "EPYC", wish=BEST),
    Guest(QEMU_MULTIBOOT1, "demo-multiboot1", "3584M", "qemu64,+la57", wish=FIVE),
    Guest(QEMU_MULTIBOOT1, "demo-multiboot1", "4G", "Opteron_G1"),
    Guest(QEMU_MULTIBOOT1, "demo-multiboot1", "6G", "Skylake-Server", machine="q35"),
    Guest(QEMU_MULTIBOOT1, "demo-multiboot1", "64G", "max", wish=BEST),
    Guest(QEMU_MULTIBOOT1, "demo-multiboot1", "512G", "max,pdpe1gb=off", wish=BEST),
    Guest(GRUB_MULTIBOOT2, "demo", "16M", "max"),
    Guest(GRUB_MULTIBOOT2, "demo-best", "17M", "qemu64,+la57"),
    Guest(GRUB_MULTIBOOT2, "demo-best", "64M", "EPYC"),
    Guest(GRUB_MULTIBOOT2, "demo-five", "1G", "max"),
    Guest(GRUB_MULTIBOOT2, "demo-best", "3G", "max,la57=off"),
    Guest(GRUB_MULTIBOOT2, "demo", "3584M", "qemu64", machine="q35"),
    Guest(GRUB_MULTIBOOT2, "demo-five", "6G", "max,pdpe1gb=off"),
    Guest(GRUB_MULTIBOOT2, "demo-best", "64G", "max"),
    Guest(GRUB_MULTIBOOT2, "demo", "512G", "qemu64"),
    Guest(GRUB_MULTIBOOT1, "demo-multiboot1", "16M", "qemu64"),
    Guest(GRUB_MULTIBOOT1, "demo-multiboot1", "17M", "max", wish=FIVE),
    Guest(GRUB_MULTIBOOT1, "demo-multiboot1", "128M", "Nehalem"),
    Guest(GRUB_MULTIBOOT1, "demo-multiboot1", "2G", "Skylake-Server"),
    Guest(GRUB_MULTIBOOT1, "demo-multiboot1", "4G", "max,pdpe1gb=off", wish=BEST),
    Guest(GRUB_MULTIBOOT1, "demo-multiboot1", "512G", "max", machine="q35"),
]

_CPU_MODELS = [
    Guest(QEMU_PVH, "demo-best", "128M", "kvm64"),
    Guest(QEMU_PVH, "demo-best", "128M", "Opteron_G1"),
    Guest(QEMU_PVH, "demo-best", "128M", "Nehalem"),
    Guest(QEMU_PVH, "demo-best", "128M", "Icelake-Server"),
    Guest(QEMU_PVH, "demo-best", "128M", "qemu64,+pdpe1gb"),
    Guest(QEMU_PVH, "demo-best", "128M", "max,pdpe1gb=off,la57=off"),
    Guest(QEMU_PVH, "demo", "128M", "max"),
    Guest(QEMU_PVH, "demo", "128M", "max,pdpe1gb=off"),
]

# Where the image goes: each on a CPU with 1 GiB pages and one without.
_PLACES = [
    Guest(QEMU_PVH, "demo", "64M", "max", base=0x101000),
    Guest(QEMU_PVH, "demo-best", "64M", "max,pdpe1gb=off", base=0x1FF000),
    Guest(QEMU_PVH, "demo", "64M", "qemu64", base=0x200000),
    Guest(QEMU_PVH, "demo-five", "64M", "max", base=0x345000),
    Guest(QEMU_PVH, "demo", "64M", "qemu64", base=0x7FF000, note="straddling 8 MiB"),
    Guest(QEMU_PVH, "demo", "64M", "EPYC", base=0x2A00000),
    Guest(QEMU_PVH, "demo", "2G", "qemu64", base=0x3FF00000, note="below 1 GiB"),
    Guest(QEMU_PVH, "demo", "2G", "qemu64", base=0x3FFFF000, note="straddling 1 GiB"),
    Guest(QEMU_PVH, "demo-best", "2G", "max", base=0x3FFF8000, note="straddling 1 GiB"),
    Guest(QEMU_PVH, "demo", "3G", "qemu64", base=0x80000000),
    Guest(QEMU_PVH, "demo-best", "3G", "max", base=0x7FFFC000, note="straddling 2 GiB"),
    Guest(QEMU_PVH, "demo-best", "3583M", "max,pdpe1gb=off", base=0xDFE01000),
    Guest(QEMU_PVH, "demo", "4070M", "max", base=0xFE5A1000, machine=_NEAR_4G),
    Guest(QEMU_PVH, "demo-five", "4070M", "qemu64,+la57", base=0xFE5A1000, machine=_NEAR_4G),
    Guest(QEMU_MULTIBOOT1, "demo-multiboot1", "64M", "qemu64", base=0x101000),
    Guest(QEMU_MULTIBOOT1, "demo-multiboot1", "64M", "max", base=0x7FF000, wish=FIVE),
    Guest(QEMU_MULTIBOOT1, "demo-multiboot1", "2G", "qemu64", base=0x3FFFF000),
    Guest(QEMU_MULTIBOOT1, "demo-multiboot1", "3G", "max", base=0x80000000, wish=BEST),
    Guest(QEMU_MULTIBOOT1, "demo-multiboot1", "4070M", "qemu64", 0xFE5A1000, machine=_NEAR_4G),
    Guest(GRUB_MULTIBOOT1, "demo-multiboot1", "64M", "qemu64", base=0x345000),
    Guest(GRUB_MULTIBOOT1, "demo-multiboot1", "2G", "max", base=0x3FFFF000),
    Guest(GRUB_MULTIBOOT2, "demo", "64M", "max", base=0x1FF000),
    Guest(GRUB_MULTIBOOT2, "demo-five", "64M", "max,pdpe1gb=off", base=0x345000),
    Guest(GRUB_MULTIBOOT2, "demo", "2G", "qemu64", base=0x3FFFF000),
    Guest(GRUB_MULTIBOOT2, "demo-best", "3G", "max", base=0xB0000000),
    Guest(GRUB_MULTIBOOT2, "demo-low", "64M", "max", note="moved out of the first MiB"),
    Guest(GRUB_MULTIBOOT2, "demo-low", "64M", "qemu64", note="moved out of the first MiB"),
]

_WORDS = [
    Guest(QEMU_PVH, "demo", "64M", "max", cmdline="", note="empty command line"),
    Guest(QEMU_PVH, "demo", "64M", "max", cmdline="  a  b  ", note="spaces"),
    Guest(QEMU_PVH, "demo", "64M", "max", cmdline=_LONG, note="4,095 bytes"),
    Guest(QEMU_PVH, "demo-best", "64M", "qemu64", cmdline=_LONG, base=0x345000, note="4,095 bytes"),
    Guest(QEMU_PVH, "demo", "64M", "max", cmdline=_LONGEST, note="4,127 bytes"),
    Guest(QEMU_PVH, "demo", "64M", "max", cmdline=_LONGEST, reads=_LONGEST[:4096], modules=_ONE,
          note="4,127 bytes, and a module"),
    Guest(QEMU_MULTIBOOT1, "demo-multiboot1", "64M", "max", cmdline="", note="empty command line"),
    Guest(QEMU_MULTIBOOT1, "demo-multiboot1", "64M", "max", cmdline="one", note="a word"),
    Guest(QEMU_MULTIBOOT1, "demo-multiboot1", "64M", "max", cmdline=" a  b ", reads="a  b ",
          note="spaces"),
    Guest(QEMU_MULTIBOOT1, "demo-multiboot1", "64M", "max", cmdline=_LONGER, note="8,189 bytes"),
    Guest(GRUB_MULTIBOOT1, "demo-multiboot1", "64M", "max", cmdline="/a b=/c", note="two words"),
    Guest(GRUB_MULTIBOOT1, "demo-multiboot1", "64M", "max", cmdline=_LONGER, note="8,189 bytes"),
    Guest(GRUB_MULTIBOOT2, "demo", "64M", "max", cmdline="/a b=/c", note="two words"),
    Guest(GRUB_MULTIBOOT2, "demo", "64M", "max", cmdline="'a  b' c", reads='"a  b" c',
          note="quoted"),
    Guest(GRUB_MULTIBOOT2, "demo", "64M", "max", cmdline=_LONGER, note="8,189 bytes"),
]

_MODULES = [
    Guest(QEMU_PVH, "demo", "64M", "max", modules=_ONE, note="a module"),
    Guest(QEMU_PVH, "demo-best", "64M", "qemu64", modules=_ONE, base=0x345000, note="a module"),
    Guest(QEMU_PVH, "demo", "6G", "max", modules=[(1, "")], note="a byte"),
    Guest(QEMU_PVH, "demo", "512M", "qemu64", modules=[(100 << 20, "")], note="100 MiB"),
    Guest(QEMU_MULTIBOOT1, "demo-multiboot1", "64M", "max", modules=_ONE, cmdline="a b",
          note="a module"),
    Guest(QEMU_MULTIBOOT1, "demo-multiboot1", "64M", "qemu64", modules=_SEVERAL,
          note="several modules"),
    Guest(QEMU_MULTIBOOT1, "demo-multiboot1", "512M", "max", modules=[(100 << 20, "large")],
          note="100 MiB"),
    Guest(GRUB_MULTIBOOT1, "demo-multiboot1", "64M", "max", modules=_SEVERAL, cmdline="a b",
          note="several modules"),
    Guest(GRUB_MULTIBOOT2, "demo", "64M", "max", modules=_SEVERAL, cmdline="a b",
          note="several modules"),
    Guest(GRUB_MULTIBOOT2, "demo-low", "64M", "qemu64", modules=_SEVERAL,
          note="moved, several modules"),
    Guest(GRUB_MULTIBOOT2, "demo", "64M", "qemu64", modules=[(8 << 20, "large")], note="8 MiB"),
]


def guest_case(guest: Guest) -> Case:
    return Case(f"boots: {guest.name}", lambda: boot_guest(guest) and None)


def qemu_writes_over_its_start_info(length: int) -> None:
    """The text's last bytes, its end, and what is left of the magic behind that."""
    result = machine.run(machine.Boot(kernel=cases.BUILD / "demo.elf", memory="64M",
                                      append="z" * length))
    start = (b"z" * (length - len(_LONGEST) - 1) + b"\0" + b"\x78\xc5\x6e\x33"[
        length - len(_LONGEST):])[:4]
    expect_fatal(result, "entry: text stands where a start info should, as with QEMU's PVH loader, "
                 "which writes a command line of 4128 bytes and more over it: text, address "
                 f"({int.from_bytes(start, 'little'):x}, <*>)")


def grub_moves_an_image() -> None:
    """Linked where conventional memory ends, so GRUB has to use the relocatable tag."""
    guest = Guest(GRUB_MULTIBOOT2, "demo-low", "128M", "max")
    linked = Image(cases.BUILD / "demo-low.elf").base
    base = boot_guest(guest).load_base
    assert linked < 1 << 20 <= base, f"linked at {linked:#x}, loaded at {base:#x}"


_KVM = [
    Guest(QEMU_PVH, "demo", "128M", "qemu64"),
    Guest(QEMU_MULTIBOOT1, "demo-multiboot1", "128M", "qemu64"),
    Guest(GRUB_MULTIBOOT2, "demo", "128M", "qemu64"),
    Guest(GRUB_MULTIBOOT1, "demo-multiboot1", "128M", "qemu64"),
]
_KVM_TIMEOUT = 4


def boots_under_kvm() -> None:
    """Each loader, after TCG has passed; the first that this KVM cannot run ends it."""
    missing = machine.kvm_missing()
    if missing:
        note(f"not tried: {missing}")
        return
    for guest in _KVM:
        boot_guest(guest)
        trouble = trouble_under_kvm(guest)
        if trouble:
            note(f"{guest.loader}: {trouble}")
            return


def trouble_under_kvm(guest: Guest) -> str:
    """Why this KVM cannot run the guest. What our code says for itself is a failure."""
    try:
        boot_guest(guest, accel="kvm", timeout=_KVM_TIMEOUT)
    except AssertionError:
        result = cases.journal().results[-1]
        if result.outcome in (machine.OK, machine.FATAL):
            raise
        lines = [line for line in result.errors.splitlines() if "warning" not in line]
        return f"{result.outcome} {lines[0]}" if lines else result.outcome
    return ""


CASES = [
    *map(guest_case, _MEMORY),
    *map(guest_case, _CPU_MODELS),
    *map(guest_case, _PLACES),
    *map(guest_case, _WORDS),
    *map(guest_case, _MODULES),
    *(Case(f"boots: QEMU's PVH writes {length} bytes of a command line over its start info",
           lambda length=length: qemu_writes_over_its_start_info(length)) for length in _OVER),
    Case("boots: GRUB moves an image", grub_moves_an_image),
    Case("boots: each loader under KVM", boots_under_kvm),
]
