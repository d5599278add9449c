"""A kernel's own file on firmware that is odd: OVMF, behind a program of the tests' that starts the
kernel and stands between both (qemu/kernels/odd_firmware.cpp)."""

import cases
import machine
from cases import Case
from efi_program import efi_program
from esp import BOOT_FILE, fat_image
from guests import expected_paging
from handoff_report import GIB, Range, Report, expect_report
from tests.uefi import image_of, shell, stick
from uefi_map import expect_efi

_HIGH = {"memory": "5G", "machine": "q35"}
_LOADER_CODE = 1  # UEFI's type
_MANY = 10000
_RANGE = 2  # PROLOGUE_LEFT_OUT_RANGE


def started(odd: str, kernel: str, **options) -> machine.Result:
    program = efi_program("odd_firmware.cpp", f"ODD={odd}")
    image = fat_image({BOOT_FILE: program, "kernel.efi": image_of(kernel)})
    return machine.run(stick(image, **options))


def boots(odd: str, kernel: str, options=(), **expected) -> Report:
    result = started(odd, kernel, cpu="max", **dict(options))
    expected = {**expected_paging(kernel.removesuffix("-every"), "max"), **expected}
    return expect_report(result, cases.BUILD / f"{kernel}.elf", loader="efi", entry_mode="long64",
                         **expected)


def other_depth(kernel: str) -> Case:
    """The depth that is wished for, on a firmware that runs five levels."""
    return Case(f"uefi: firmware with five levels, {kernel}", lambda: expect_efi(
        boots("FIVE_LEVELS", kernel, cmdline="")))


def lies_above_4g() -> None:
    """The kernel and the file that it comes from, where nearly all memory below is taken."""
    report = boots("LITTLE_LOW_MEMORY", "demo-every", options=_HIGH)
    expect_efi(report)
    assert report.load_base >= 4 * GIB, hex(report.load_base)
    code = sum(end - start for start, end, kind in report.efi_memory
               if kind == _LOADER_CODE and start >= 4 * GIB)
    kernel, = report.of_kind("kernel")
    both = kernel.end - kernel.start + image_of("demo-every").stat().st_size
    assert code >= both, f"{code:#x} bytes of code are above 4 GiB, not {both:#x}"


def many_descriptors() -> None:
    """The shell starts what makes the map long, and then the kernel."""
    image = fat_image({"long.efi": efi_program("fragments.c", f"PAGES={_MANY}"),
                       "kernel.efi": image_of("demo-every"), **shell("long.efi\r\nkernel.efi")})
    report = expect_report(
        machine.run(stick(image, cpu="max")), cases.BUILD / "demo-every.elf", loader="efi",
        entry_mode="long64", **expected_paging("demo", "max"))
    expect_efi(report)
    assert len(report.efi_memory) > _MANY, len(report.efi_memory)


def goes_on() -> None:
    """All that can be done without is, or is left out."""
    report = boots("STALE_KEY|STRANGE_MAP|LESS_INITRD|NO_FRAME_BUFFER|LYING_TABLES|BROKEN_OPTIONS",
                   "demo-every", options={"extra": ["-vga", "std"]}, modules=[(None, 2500, "")],
                   cmdline="a \ufffdb\ufffd".encode().decode("latin-1"), left_out=_RANGE)
    assert report.fields["rsdp"] == 0x1000, "of two tables the first that can be"
    assert report.fields["smbios"] == 0, "there is no memory so far up"
    assert report.fields["framebuffer"] == "0x0 0 0 0 0", report.fields["framebuffer"]
    assert Range(0x200000, 0x210000, "reserved") in report.memory, "the stricter type holds"
    assert Range(0x300000, 0x310000, "reserved") in report.memory, "an unknown type is reserved"


def is_refused(odd: str, line: str, **options) -> Case:
    def function() -> None:
        started(odd, "demo-every", **options).expect(
            machine.FATAL, rf"^prologue: fatal: efi: {line}\r?$")

    words = odd.lower().replace("_", " ")
    return Case(f"uefi: firmware with {words} is refused", function)


CASES = [
    other_depth("demo-every"),
    other_depth("demo-five-every"),
    other_depth("demo-best-every"),
    Case("uefi: firmware with memory above 4 GiB alone", lies_above_4g),
    Case("uefi: firmware with a map of 10,000 descriptors", many_descriptors),
    Case("uefi: firmware with what can be done without", goes_on),
    is_refused("NO_LOW_MEMORY", r"no memory below 4 GiB: status, bytes \(8000000000000009, "
               r"[0-9a-f]+\)", **_HIGH),
    is_refused("NO_EXIT", r"ExitBootServices fails twice: status, and before that "
               r"\(8000000000000002, 8000000000000002\)"),
    is_refused("LONGER_MAP", r"the firmware's memory map is not to be had: status, bytes "
               r"\(8000000000000005, [0-9a-f]+\)"),
    is_refused("MORE_INITRD", r"LoadFile2 does not load the initrd: status, bytes "
               r"\(8000000000000005, 2710\)"),
    is_refused("ENDLESS_INITRD", r"no memory for the initrd: status, bytes "
               r"\(8000000000000009, 10000000000\)"),
    is_refused("TABLES_WITHOUT_END", r"there are too many configuration tables: tables, at most "
               r"\(ffffffffffffffff, 1000\)"),
]
