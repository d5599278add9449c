"""kexec-tools of Debian 12 under Debian's kernel, by each of its types: what serves is held against
what was given, and what does not ends in a line that says why."""

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Callable, Sequence

import cases
import linking
import machine
import under_linux
from cases import Case
from guests import expected_paging
from handoff_report import expect_report
from prologue_check import REFUSED, check
from wrong_kernels import at

_CMDLINE = "a b=c"
_NOWHERE_SECONDS = 15  # a third of which Linux takes; the rest goes on zeros, or what is there
_MODULE_BYTES = 5000
_IMAGE, _MULTIBOOT1 = "demo-best-every", "demo-best-multiboot1"


def built(name: str, suffix: str) -> Callable[[], Path]:
    return lambda: cases.BUILD / f"{name}{suffix}"


def flat() -> Path:
    """Linked to run where it is loaded: kexec goes to e_entry as that stands."""
    objects = [cases.BUILD / f"kernels/{name}.o" for name in (_IMAGE, "console")]
    return linking.link(linking.LLD, linking.DEFAULT, objects, *at(virtual=0))


def physical(name: str, *options: str) -> Callable[[], Path]:
    """What prologue-elf32 makes of a kernel of the higher half."""

    def made() -> Path:
        file = cases.scratch_directory() / "kernel"
        subprocess.run([cases.ROOT / "linker/prologue-elf32", *options, built(name, ".elf")(),
                        file], check=True)
        return file

    return made


def run(kernel: Callable[[], Path], options: Sequence[str], **boot) -> machine.Result:
    files = {"kernel": kernel().read_bytes(), "module": bytes(_MODULE_BYTES)}
    words = [*options, f"--command-line={_CMDLINE}"]
    return machine.run(replace(machine.Boot(**under_linux.boot_by_kexec(files, words),
                                            memory="512M"), **boot))


def serves(name: str, kernel: Callable[[], Path], *options: str, elf: Callable[[], Path],
           strings: Sequence[str] = (), **expected) -> Case:
    def function() -> None:
        modules = [(None, _MODULE_BYTES, string) for string in strings]
        expect_report(run(kernel, options), elf(), cmdline=_CMDLINE, modules=modules,
                      **expected_paging("demo-best", "max"), **expected)

    return Case(f"kexec: {name}", function)


def ends(name: str, kernel: Callable[[], Path], *options: str, line: str) -> Case:
    def function() -> None:
        run(kernel, options).expect(machine.FATAL, f"^prologue: fatal: {line}\r?$")

    return Case(f"kexec: {name}", function)


def says_nothing(name: str, kernel: Callable[[], Path], *options: str) -> Case:
    """kexec jumps to where nothing of the kernel is; prologue-check foresees it."""

    def function() -> None:
        told = check("--loader", "kexec-elf", kernel())
        assert told.status == REFUSED and "entry-not-physical" in told.output, told
        result = run(kernel, options, timeout=_NOWHERE_SECONDS)
        assert result.outcome in (machine.RESET, machine.HANG), result.outcome
        assert "prologue:" not in result.serial and "loader: " not in result.serial

    return Case(f"kexec: {name}", function)


_BZIMAGE, _ELF = built(_IMAGE, ".bzImage"), built(_IMAGE, ".elf")
_INITRD = "--initrd=/module"
# kexec counts the bytes of a module's string without what aligns the next tag: its information is
# cut off, unless it needs none.
_ALIGNED, _CUT = "/module one two", "/module one"

CASES = [
    serves("bzImage64, by kexec_load", _BZIMAGE, "--kexec-syscall", "--type=bzImage64", _INITRD,
           elf=_ELF, strings=[""], loader="linux", entry_mode="long64"),
    serves("bzImage, in real mode", _BZIMAGE, "--kexec-syscall", "--type=bzImage", "--real-mode",
           _INITRD, elf=_ELF, strings=[""], loader="linux"),
    serves("bzImage, in 32-bit mode", _BZIMAGE, "--kexec-syscall", "--type=bzImage", _INITRD,
           elf=_ELF, strings=[""], loader="linux"),
    serves("multiboot-x86", built(_MULTIBOOT1, ".elf"), "--type=multiboot-x86",
           "--module=/module one two", "--module=/module", elf=built(_MULTIBOOT1, ".elf"),
           strings=["/module one two", "/module"], loader="multiboot1"),
    serves("multiboot2-x86", flat, "--type=multiboot2-x86", f"--module={_ALIGNED}", elf=flat,
           strings=[_ALIGNED], loader="multiboot2"),
    serves("multiboot2-x86, the higher half by prologue-elf32", physical("demo-best"),
           "--type=multiboot2-x86", f"--module={_ALIGNED}", elf=built("demo-best", ".elf"),
           strings=[_ALIGNED], loader="multiboot2"),
    says_nothing("multiboot2-x86 enters no higher half", built("demo-best", ".elf"),
                 "--type=multiboot2-x86"),
    ends("multiboot2-x86, information cut off", flat, "--type=multiboot2-x86", f"--module={_CUT}",
         line="multiboot2: no end tag before .*, where the information ends"),
    serves("elf-x86_64 with Linux's arguments", flat, "--type=elf-x86_64", "--args-linux", _INITRD,
           elf=flat, strings=[""], loader="linux", entry_mode="long64"),
    serves("elf-x86_64, the higher half by prologue-elf32", physical(_IMAGE, "--elf64"),
           "--type=elf-x86_64", "--args-linux", _INITRD, elf=_ELF, strings=[""], loader="linux",
           entry_mode="long64"),
    says_nothing("elf-x86_64 enters no higher half", _ELF, "--type=elf-x86_64", "--args-linux"),
    ends("elf-x86_64 with ELF's arguments", flat, "--type=elf-x86_64",
         line=r"entry: no contract is known by magic 0 \(information at 0\)"),
]
