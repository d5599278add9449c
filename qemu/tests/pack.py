"""prologue-pack: one file of a kernel that was not built for Prologue, its modules and its command
line, started by every kind of loader, and made into what the other tools make."""

import struct
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Callable

import cases
import machine
from any_loader import VMD, Load, fed
from cases import Case
from handoff_report import expect_report
from iso import OVMF, grub_iso, run_iso
from refusals import expect_fatal
from tests.payload import (
    INITRAMFS, LINUX, LINUX_CMDLINE, PC_256M, expect_user_space, fnv, loader, noise)
from tests.random_places import expect_random, place

_TOOLS = cases.ROOT / "linker"
_HIGH = cases.BUILD / "payload-high.elf"
_SUMS = cases.BUILD / "payload-sums.elf"
_UNPACKING = cases.BUILD / "prologue-unpack.elf"
_LOADER_1 = cases.BUILD / "prologue-multiboot1.elf"


def made(tool: str, *words) -> subprocess.CompletedProcess:
    return subprocess.run([_TOOLS / tool, *map(str, words)], capture_output=True, text=True)


def packed(*words, kernel: Path = _HIGH) -> Path:
    output = cases.scratch_directory() / "packed.elf"
    result = made("prologue-pack", "-o", output, *words, kernel)
    assert result.returncode == 0, result.stderr
    return output


def bzimage(kernel: Path) -> Path:
    output = kernel.with_suffix(".bzImage")
    result = made("prologue-bzimage", kernel, output)
    assert result.returncode == 0, result.stderr
    return output


# ---- The demonstration kernel, with two modules ----

_SIZES = (5000, 3)


def with_modules(*words) -> Path:
    first, second = (cases.scratch_file(b"x" * size) for size in _SIZES)
    return packed("--initrd", f"{first}:first one", "--initrd", second, "--cmdline", "a b", *words)


def by_kernel_option(name: str, loader: str, given: str, *words,
                     make: Callable[[Path], Path] = lambda path: path,
                     entry_mode: str = "protected32", **options) -> Case:
    """By QEMU's -kernel; the loader's own command line stands behind the packed one, and its
    module behind the packed ones."""

    def function() -> None:
        initrd = cases.scratch_file(b"z" * 7, "initrd")
        result = machine.run(machine.Boot(kernel=make(with_modules(*words)), append="c",
                                          initrd=[initrd], memory="256M", **options))
        report = expect_report(result, _HIGH, loader=loader, entry_mode=entry_mode,
                               cmdline=f"a b c{given}")
        seen = [(m.bytes, m.cmdline) for m in report.modules]
        assert seen[:2] == [(5000, "first one"), (3, "")], seen
        assert [size for size, _ in seen[2:]] == [7], seen

    return Case(f"pack: {name}", function)


def by_grub() -> None:
    """GRUB 2.12 takes no file without a table of sections: one has to be there, if an empty one."""
    image = with_modules()
    table, = struct.unpack_from("<Q", image.read_bytes(), 0x28)
    assert image.read_bytes()[table:] == bytes(64), "a table of one empty header, at the end"
    result = run_iso(grub_iso(image, "multiboot2", "c", []), memory="128M")
    expect_report(result, _HIGH, loader="multiboot2", cmdline="a b c",
                  modules=[(None, 5000, "first one"), (None, 3, "")])


def by_vmd() -> None:
    result = machine.run(fed(Load(VMD, str(with_modules().with_suffix("")))))
    expect_report(result, _HIGH, loader="vmd", cmdline="a b",
                  modules=[(None, 5000, "first one"), (None, 3, "")])


def at_random() -> None:
    kernel = packed("--random", kernel=cases.BUILD / "payload-pie.elf")
    expect_random([place(machine.run(machine.Boot(kernel=kernel, memory="256M")))
                   for _ in range(3)], (None, 0xFFFFFFFF80200000, None))


# ---- Compressed ----


def compressed(method: str) -> Case:
    """All bytes of the kernel and its module are there, and the file is smaller."""

    def function() -> None:
        module = noise(5000, 1)
        file = packed("--compress", method, "--initrd", cases.scratch_file(module),
                      kernel=_SUMS)
        whole = packed("--loader", _UNPACKING, kernel=_SUMS)
        assert file.stat().st_size < whole.stat().st_size
        result = machine.run(machine.Boot(kernel=file)).expect(machine.OK, "^image: whole\r?$")
        assert f"sum: {fnv(module):#x}" in result.serial

    return Case(f"pack: compressed by {method}", function)


def a_compressed_module(method: str) -> Case:
    def function() -> None:
        result = machine.run(machine.Boot(kernel=_UNPACKING, initrd=[squeezed(method)]))
        result.expect(machine.OK, "^image: whole\r?$")

    return Case(f"pack: a module that {method} has compressed", function)


def squeezed(method: str) -> Path:
    program = {"gzip": ("gzip", "-c"), "lz4": ("lz4", "-q", "--content-size", "-c")}[method]
    return cases.scratch_file(subprocess.run([*program, _SUMS], capture_output=True,
                                             check=True).stdout)


def damaged(method: str, at: int, says: str) -> Case:
    """A byte of the size, or of the checksum, is another."""

    def function() -> None:
        file = bytearray(squeezed(method).read_bytes())
        file[at] ^= 1
        expect_fatal(machine.run(machine.Boot(kernel=loader(_UNPACKING),
                                              initrd=[cases.scratch_file(bytes(file))])), says)

    return Case(f"pack: refused, a file of {method}'s that is damaged", function)


def without_decoders() -> None:
    expect_fatal(machine.run(machine.Boot(kernel=loader(), initrd=[squeezed("gzip")])),
                 "payload: <*> bytes at <*> are no ELF file and no bzImage (<*>, <*>)")


# ---- Linux to user space ----


def linux() -> Path:
    return packed("--initrd", INITRAMFS, "--cmdline", LINUX_CMDLINE, kernel=LINUX)


def linux_by(name: str, boot: Callable[[], machine.Boot]) -> Case:
    return Case(f"pack: Linux by {name}",
                lambda: expect_user_space(machine.run(replace(boot(), timeout=60)).serial))


def by_uefi() -> machine.Boot:
    return machine.Boot(kernel=bzimage(linux()), memory="512M", firmware=OVMF)


def linux_by_vmd() -> machine.Boot:
    kernel = str(linux().with_suffix(""))
    return fed(Load(VMD, kernel, memory_map=PC_256M), memory="256M")


# ---- What cannot be ----


def refused(name: str, says: str, *words) -> Case:
    def function() -> None:
        result = made("prologue-pack", "-o", cases.scratch_directory() / "packed", *words)
        assert result.returncode != 0 and says in result.stderr, result

    return Case(f"pack: refused, {name}", function)


def igvm_file() -> None:
    """prologue-igvm makes one for each platform, and measures all that is packed."""
    one, other = packed("--cmdline", "a"), packed("--cmdline", "b")
    digests = []
    for kernel in (one, other):
        result = made("prologue-igvm", "-o", kernel.with_suffix(".igvm"), kernel)
        assert result.returncode == 0, result.stderr
        digests.append(result.stdout)
    assert digests[0] != digests[1] and len(digests[0]) > 90, digests


CASES = [
    by_kernel_option("QEMU by PVH", "pvh", ""),
    by_kernel_option("QEMU by Multiboot 1", "multiboot1", "", "--loader", _LOADER_1),
    by_kernel_option("a bzImage", "linux", "", make=bzimage),
    by_kernel_option("UEFI", "efi", " initrd=initrd", make=bzimage, entry_mode="long64",
                     firmware=OVMF, timeout=60),
    Case("pack: GRUB by Multiboot 2", by_grub),
    Case("pack: vmd", by_vmd),
    Case("pack: a PIE at random", at_random),
    Case("pack: an IGVM file", igvm_file),
    linux_by("PVH", lambda: machine.Boot(kernel=linux(), memory="256M")),
    linux_by("vmd", linux_by_vmd),
    linux_by("UEFI", by_uefi),
    refused("another kernel for the loader image", "its last segment is not its .bss",
            "--loader", _HIGH, _HIGH),
    *map(compressed, ("gzip", "lz4")),
    *map(a_compressed_module, ("gzip", "lz4")),
    damaged("gzip", -4, "payload: gzip: it does not end where it should (<*>, <*>)"),
    damaged("lz4", -1, "payload: lz4: its checksum is another (<*>, <*>)"),
    Case("pack: refused, a compressed module without decoders", without_decoders),
    refused("zstd", "invalid choice: 'zstd'", "--compress", "zstd", _HIGH),
    refused("no file", "No such file", "/nowhere"),
]
