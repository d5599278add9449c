"""A kernel's own file started by UEFI, by loaders and firmware that others wrote."""

import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import Callable, Optional

import cases
import machine
from cases import Case
from esp import BOOT_FILE, fat_image
from guests import expected_paging
from handoff_report import GIB, MIB, Report, expect_report
from images import Image, patch
from iso import EFI, OVMF, grub_iso
from linux_image import bzimage
from pe_file import EXECUTE, NX_COMPAT, WRITE, headers_of
from uefi_map import MEANS_RUNNING, expect_efi

_TIMEOUT = 60


def image_of(kernel: str) -> Path:
    return cases.BUILD / f"{kernel}.bzImage"


def expect_started(result: machine.Result, kernel: str, cpu: str = "max",
                   size: Optional[int] = None, **expected) -> Report:
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


# --- Other firmware ---------------------------------------------------------------------------

_TRIXIE = cases.BUILD / "debian" / "trixie"
_BOOKWORM = Path("/usr/share/OVMF")
_SNAKEOIL = Path("/usr/share/ovmf/PkKek-1-snakeoil")
_PLAIN = "OVMF_CODE_4M.fd"
_STRICT_NX, _SECURE = "OVMF_CODE_4M.secboot.strictnx.fd", "OVMF_CODE_4M.secboot.fd"


def flash(code: Path, variables: str = "OVMF_VARS_4M.fd") -> dict:
    """Firmware in flash, with variables of its own; what has SMM wants it protected."""
    assert code.exists(), f"{code} is not there: make debian-guests fetches it"
    own = cases.scratch_file((code.parent / variables).read_bytes(), "variables")
    drives = [(0, code, "on"), (1, own, "off")]
    extra = [word for unit, file, readonly in drives for word in (
        "-drive", f"if=pflash,unit={unit},format=raw,readonly={readonly},file={file}")]
    extra += ["-global", "driver=cfi.pflash01,property=secure,value=on"] * (code.name != _PLAIN)
    return {"firmware": None, "machine": "q35" if code.name == _PLAIN else "q35,smm=on",
            "extra": extra}


def debian13(name: str, kernel: str, cpu: str = "max") -> Case:
    def function() -> None:
        options = flash(_TRIXIE / name)
        result = machine.run(machine.Boot(
            kernel=image_of(kernel), append="a b", initrd=[cases.scratch_file(b"m" * 9, "initrd")],
            memory="256M", cpu=cpu, timeout=_TIMEOUT, **options))
        expect_started(result, kernel, cpu, 9)

    return Case(f"uefi: Debian 13's {name}, {kernel} on {cpu}", function)


def boot_services(cpu: str, memory: str) -> Case:
    """A kernel that wishes for them calls them, and ends them itself."""
    def function() -> None:
        kernel = "demo-services-every"
        result = machine.run(machine.Boot(
            kernel=image_of(kernel), append="a b", initrd=[cases.scratch_file(b"m" * 9, "initrd")],
            firmware=OVMF, memory=memory, cpu=cpu, timeout=_TIMEOUT))
        report = expect_report(
            result, cases.BUILD / f"{kernel}.elf", loader="efi", entry_mode="long64",
            cmdline="a b initrd=initrd", modules=[(None, 9, "")], boot_services="0x1",
            get_memory_map="0x0", exit_with_wrong_key="0x8000000000000002", map_for_exit="0x0",
            exit="0x0", **expected_paging("demo", cpu))
        expect_efi(report, MEANS_RUNNING)
        own = sum(r.end - r.start for r in report.of_kind("usable", "prologue"))
        assert own == 8 * MIB, f"{own:#x} bytes are usable, or Prologue's"

    return Case(f"uefi: boot services by wish on {cpu}, {memory}", function)


# --- A FAT image -------------------------------------------------------------------------------


def stick(image: Path, **options) -> machine.Boot:
    """A machine with that image as a USB stick, and nothing else to start from."""
    extra = ["-drive", f"id=stick,if=none,format=raw,snapshot=on,file={image}",
             "-device", "qemu-xhci", "-device", "usb-storage,drive=stick"]
    return machine.Boot(extra=[*extra, *options.pop("extra", ())],
                        **{"firmware": OVMF, "memory": "256M", "timeout": _TIMEOUT, **options})


def boot_file() -> None:
    """The stick that docs/loaders/uefi.md makes, by its own commands up to `dd`."""
    page = (cases.ROOT / "docs" / "loaders" / "uefi.md").read_text()
    commands = re.search(r"(    mformat .*\n(?:    m.*\n)+)    dd ", page)[1]
    directory = cases.scratch_directory()
    shutil.copy(image_of("demo-every"), directory / "kernel.efi")
    subprocess.run(["sh", "-e", "-c", commands], cwd=directory, check=True)
    report = expect_started(machine.run(stick(directory / "stick.img")), "demo-every", cmdline="")
    assert report.fields["framebuffer"] == "0x0 0 0 0 0", "there is no display"


# --- Loaders that others wrote ----------------------------------------------------------------

_SYSTEMD = Path("/usr/lib/systemd/boot/efi")
_UKIFY = cases.BUILD / "debian" / "tools" / "ukify"
_INITRD = b"i" * 5000


def starts(name: str, files: dict, cmdline: str, size: Optional[int] = None, **options) -> Case:
    """A stick with these files beside the kernel's, which is `kernel.efi`."""
    def function() -> None:
        image = fat_image({"kernel.efi": image_of("demo-every"), **files})
        expect_started(machine.run(stick(image, **options)), "demo-every", size=size,
                       cmdline=cmdline)

    return Case(f"uefi: {name}", function)


def shell(line: str) -> dict:
    return {"startup.nsh": f"fs0:\r\n{line}\r\n".encode("utf-16")}


def systemd_boot() -> dict:
    entry = "title ours\nlinux /kernel.efi\ninitrd /initrd\noptions a b=c\n"
    return {BOOT_FILE: _SYSTEMD / "systemd-bootx64.efi", "initrd": _INITRD,
            "loader/loader.conf": b"timeout 0\n", "loader/entries/ours.conf": entry.encode()}


def grub_2_12() -> dict:
    script = "linux /kernel.efi a b=c\ninitrd /initrd\nboot\n"
    return {BOOT_FILE: _TRIXIE / "grubx64.efi", "initrd": _INITRD,
            "EFI/debian/grub.cfg": script.encode()}


def chainloaded() -> None:
    """By GRUB 2.06, which passes on what stands behind the file's name."""
    iso = grub_iso(image_of("demo-every"), "chainloader", "a b=c", platform=EFI)
    result = machine.run(machine.Boot(iso=iso, firmware=OVMF, memory="256M", timeout=_TIMEOUT))
    expect_started(result, "demo-every", cmdline="a b=c")


def goes_back_to_the_shell() -> None:
    """A kernel without QEMU's exit device is refused: the shell gets a status, and goes on."""
    elf = Image(cases.BUILD / "demo-every.elf")
    note_type = elf.virtual("prologue_wish_qemu_exit") - 16  # before the owner's name
    made = bzimage(patch(elf.path, note_type, struct.pack("<I", 0x7F)))
    script = ("fs0:\r\nkernel.efi initrd=nothere\r\necho status %lasterror%\r\n"
              "kernel.efi once more\r\n")
    image = fat_image({"kernel.efi": made, "startup.nsh": script.encode("utf-16")})
    result = machine.run(stick(image))
    expect_started(result, "demo-every", cmdline="once more")
    for line in ("prologue: fatal: efi: a file that initrd= names cannot be opened: status, "
                 r"characters of its name \(800000000000000e, 7\)", "status 0x8*0*E"):
        assert re.search(line, result.serial), f"there is no {line!r}"


def refusal_ends_qemu() -> None:
    """With the wish for it, a refusal ends the machine as any fatal line does."""
    image = fat_image({"kernel.efi": image_of("demo-every"), **shell("kernel.efi initrd=a")})
    machine.run(stick(image)).expect(machine.FATAL, "^prologue: fatal: efi: a file that initrd= ")


def fault_in_the_stub() -> None:
    """An instruction that is none, before the boot services have ended: told on the serial port, on
    the firmware's console, which is there too, and on the debug port."""
    symbols = Image(cases.BUILD / "prologue-efi.elf").symbols
    offset, = (at for name, at in symbols.items() if "load_initrd" in name)
    contents = bytearray(image_of("demo-every").read_bytes())
    place = headers_of(contents).sections[".text"].place + offset
    contents[place:place + 2] = b"\x0f\x0b"  # ud2
    image = fat_image({"kernel.efi": bytes(contents), **shell("kernel.efi")})
    result = machine.run(stick(image))
    line = (r"prologue: fatal: efi: exception 6 \(error 0\) at ([0-9a-f]+), while the stub lies at "
            r"([0-9a-f]+); cr2 [0-9a-f]+, stack [0-9a-f]+\r?\n")
    said = re.findall(line, result.serial)
    assert len(said) == 2 and said[0] == said[1], said
    assert len(re.findall(line, result.debugcon)) == 1, result.debugcon
    at, start = (int(number, 16) for number in said[0])
    assert at - start == offset, said
    assert result.outcome == machine.FATAL, result.outcome


def unified(cmdline: str) -> Path:
    """A unified kernel image by ukify: systemd's stub with the kernel, its words and its initrd."""
    made = cases.scratch_directory() / "unified.efi"
    subprocess.run(
        [sys.executable, cases.made(_UKIFY), "build", f"--stub={_SYSTEMD / 'linuxx64.efi.stub'}",
         f"--linux={image_of('demo-every')}", f"--initrd={cases.scratch_file(_INITRD)}",
         f"--cmdline={cmdline}", f"--output={made}"], check=True, capture_output=True)
    return made


def unified_image() -> None:
    image = fat_image({BOOT_FILE: unified("a b=c")})
    expect_started(machine.run(stick(image)), "demo-every", size=len(_INITRD), cmdline="a b=c")


# --- Secure Boot ------------------------------------------------------------------------------


def signed(image: Path) -> bytes:
    """By the key that this firmware's variables have enrolled."""
    key, made = cases.scratch_file(b"", "key"), cases.scratch_directory() / "signed.efi"
    subprocess.run(["openssl", "rsa", "-in", f"{_SNAKEOIL}.key", "-passin", "pass:snakeoil",
                    "-out", key], check=True, capture_output=True)
    subprocess.run(["sbsign", "--key", key, "--cert", f"{_SNAKEOIL}.pem", "--output", made, image],
                   check=True, capture_output=True)
    return made.read_bytes()


def shim() -> bytes:
    return signed(Path("/usr/lib/shim/shimx64.efi"))


def secure(files: Callable[[bytes], dict], change: int = 0) -> machine.Result:
    """Started with Secure Boot on. `change` flips a bit of the kernel in the signed file."""
    ours = bytearray(signed(image_of("demo-every")))
    ours[len(ours) // 2] ^= change
    options = flash(_BOOKWORM / _SECURE, "OVMF_VARS_4M.snakeoil.fd")
    return machine.run(stick(fat_image(files(bytes(ours))), **options))


def alone(ours: bytes) -> dict:
    return {BOOT_FILE: ours}


def behind_shim(ours: bytes) -> dict:
    return {BOOT_FILE: shim(), "EFI/BOOT/grubx64.efi": ours}


def starts_signed(name: str, files: Callable[[bytes], dict]) -> Case:
    return Case(f"uefi: Secure Boot, signed, {name}",
                lambda: expect_started(secure(files), "demo-every", cmdline=""))


def is_not_started(name: str, files: Callable[[bytes], dict], says: str) -> Case:
    def function() -> None:
        result = secure(files, change=1)
        assert "loader: " not in result.serial, "it was started"
        assert says in result.serial, f"the firmware does not say {says!r}"

    return Case(f"uefi: Secure Boot, a bit changed, {name}", function)


# --- The file ---------------------------------------------------------------------------------

_MOST_MORE_BYTES = 10 * 1024


def is_a_sound_pe_image() -> None:
    image = image_of("demo-every").read_bytes()
    headers = headers_of(image)
    assert headers.characteristics & NX_COMPAT, "it does not say NX_COMPAT"
    sections = headers.sections
    assert set(sections) == {".sbat", ".reloc", ".text", ".data", ".kernel"}, sections
    end, file_end = 0x1000, headers.headers_bytes
    for name, (address, memory, place, size, rights) in sections.items():
        assert not (rights & WRITE and rights & EXECUTE), f"{name} can be written and executed"
        assert address == end and address % 0x1000 == 0, f"{name} is not behind the one before it"
        assert (place, size) == (0, 0) or place == file_end, f"{name} is not in order in the file"
        end, file_end = address + -(-memory // 0x1000) * 0x1000, file_end + size
    assert (end, file_end) == (headers.image_bytes, len(image)), "file or image do not end there"
    assert image[sections[".sbat"].place:].startswith(b"sbat,1,"), "shim wants that line first"


def costs_no_more() -> None:
    """What a kernel pays for being a PE image, and that without it it pays nothing."""
    elf = cases.BUILD / "demo-every.elf"
    plain = bzimage(elf, "--no-efi").read_bytes()
    assert not plain.startswith(b"MZ"), "it is a PE image"
    more = image_of("demo-every").stat().st_size - len(plain)
    assert more <= _MOST_MORE_BYTES, f"{more} bytes more"


CASES = [
    Case("uefi: the file is a sound PE image", is_a_sound_pe_image),
    Case("uefi: what the PE image costs", costs_no_more),
    ovmf_kernel(),
    ovmf_kernel("demo-best-every", "max", "1G", "q35", size=5000),
    ovmf_kernel("demo-five-every", "qemu64,+la57", "5G", "q35", size=3 << 20),
    ovmf_kernel("demo-every", "qemu64", "128M", cmdline="x" * 2000),
    debian13(_PLAIN, "demo-five-every"),
    debian13(_STRICT_NX, "demo-every"),
    boot_services("max", "256M"),
    boot_services("qemu64", "1G"),
    Case("uefi: the boot file of a USB stick", boot_file),
    starts("the shell, with arguments", shell('kernel.efi a b=c "d e"'), 'a b=c "d e"'),
    starts("the shell, a path in quotes and initrd=",
           {**shell('"\\kernel.efi" initrd=\\initrd a'), "initrd": _INITRD},
           "initrd=\\initrd a", len(_INITRD)),
    Case("uefi: a refusal goes back to the shell", goes_back_to_the_shell),
    Case("uefi: a refusal ends QEMU by wish", refusal_ends_qemu),
    Case("uefi: a fault in the stub is told by all", fault_in_the_stub),
    starts("systemd-boot", systemd_boot(), "initrd=\\initrd a b=c", len(_INITRD)),
    starts("GRUB 2.12, linux and initrd", grub_2_12(), "BOOT_IMAGE=/kernel.efi a b=c",
           len(_INITRD)),
    Case("uefi: GRUB 2.06, chainloader", chainloaded),
    Case("uefi: a unified kernel image by ukify", unified_image),
    starts_signed("alone", alone),
    starts_signed("behind shim", behind_shim),
    is_not_started("alone", alone, "Access Denied"),
    is_not_started("behind shim", behind_shim, "Security Violation"),
]
