"""A kernel's own file started by UEFI, by loaders and firmware that others wrote."""

import subprocess
from pathlib import Path
from typing import Optional, Sequence

import cases
import machine
from cases import Case
from esp import BOOT_FILE, fat_image
from guests import expected_paging
from handoff_report import GIB, MIB, Report, expect_report
from iso import OVMF
from uefi_map import expect_efi

_TIMEOUT = 60
_SMBIOS_ALIGNMENT = 16


def image_of(kernel: str) -> Path:
    return cases.BUILD / f"{kernel}.bzImage"


def expect_started(result: machine.Result, kernel: str, cpu: str = "max", size: Optional[int] = None,
                   **expected) -> Report:
    """What must hold of each start by UEFI."""
    modules = [] if size is None else [(None, size, "")]
    expected = {**expected_paging(kernel.removesuffix("-every"), cpu), **expected}
    report = expect_report(result, cases.BUILD / f"{kernel}.elf", loader="efi",
                           entry_mode="long64", modules=modules, **expected)
    expect_efi(report)
    assert report.fields["rsdp"] != 0, "UEFI tells where the RSDP is"
    assert report.fields["smbios"] != 0, "UEFI tells where SMBIOS is"
    return report


def expect_screen(report: Report) -> None:
    start, width, height, pitch, bits = report.fields["framebuffer"].split(" ")
    assert int(start, 16) >= GIB // 2 and int(bits) == 32, report.fields["framebuffer"]
    assert int(width) >= 640 and int(height) >= 480 and int(pitch) >= 4 * int(width)


# --- OVMF's own loader: QEMU's -kernel ---------------------------------------------------------


def ovmf_kernel(kernel: str = "demo-every", cpu: str = "max", memory: str = "256M",
                board: str = "pc", cmdline: str = "a b=c", size: Optional[int] = None,
                load_base: int = MIB) -> Case:
    def function() -> None:
        files = []
        if size is not None:
            files = [cases.scratch_file(b"m" * size, "initrd")]
        result = machine.run(machine.Boot(
            kernel=image_of(kernel), append=cmdline, initrd=files, firmware=OVMF, memory=memory,
            cpu=cpu, machine=board, timeout=_TIMEOUT, extra=["-vga", "std"]))
        # OVMF names the file that it serves by LoadFile2, too.
        said = cmdline if size is None else f"{cmdline} initrd=initrd"
        report = expect_started(result, kernel, cpu, size, cmdline=said, load_base=load_base)
        expect_screen(report)

    words = ["uefi: OVMF's -kernel,", kernel, "on", cpu, memory, board]
    return Case(" ".join(words + [f"initrd of {size}"] * (size is not None)), function)


# --- A FAT image -------------------------------------------------------------------------------


def stick(image: Path, **options) -> machine.Boot:
    """A machine with that image as a USB stick, and nothing else to start from."""
    extra = ["-drive", f"id=stick,if=none,format=raw,snapshot=on,file={image}",
             "-device", "qemu-xhci", "-device", "usb-storage,drive=stick"]
    return machine.Boot(extra=[*extra, *options.pop("extra", ())],
                        **{"firmware": OVMF, "memory": "256M", "timeout": _TIMEOUT, **options})


def boot_file() -> None:
    """What a stick says that has the kernel's file as its boot file, and nothing else."""
    report = expect_started(machine.run(stick(fat_image({BOOT_FILE: image_of("demo-every")}))),
                            "demo-every", cmdline="")
    assert report.fields["framebuffer"] == "0x0 0 0 0 0", "there is no display"


CASES = [
    ovmf_kernel(),
    ovmf_kernel("demo-best-every", "max", "1G", "q35", size=5000),
    ovmf_kernel("demo-five-every", "qemu64,+la57", "5G", "q35", size=3 << 20),
    ovmf_kernel("demo-every", "qemu64", "128M", cmdline="x" * 2000),
    Case("uefi: the boot file of a USB stick", boot_file),
]
