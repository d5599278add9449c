"""kexec-tools of Debian 12 under Debian's kernel, by each of its types: what serves is held against
what was given, and what does not ends in a line that says why."""

from pathlib import Path
from typing import Callable, Sequence

import cases
import linking
import machine
import under_linux
from cases import Case
from guests import expected_paging
from handoff_report import expect_report
from wrong_kernels import at

_CMDLINE = "a b=c"
_MODULE_BYTES = 5000
_IMAGE, _MULTIBOOT1 = "demo-best-every", "demo-best-multiboot1"


def built(name: str, suffix: str) -> Callable[[], Path]:
    return lambda: cases.BUILD / f"{name}{suffix}"


def flat() -> Path:
    """Linked to run where it is loaded: kexec goes to e_entry as that stands."""
    objects = [cases.BUILD / f"kernels/{name}.o" for name in (_IMAGE, "console")]
    return linking.link(linking.LLD, linking.DEFAULT, objects, *at(virtual=0))


def run(kernel: Callable[[], Path], options: Sequence[str]) -> machine.Result:
    files = {"kernel": kernel().read_bytes(), "module": bytes(_MODULE_BYTES)}
    words = [*options, f"--command-line={_CMDLINE}"]
    return machine.run(machine.Boot(**under_linux.boot_by_kexec(files, words), memory="512M"))


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
    ends("bzImage, in 32-bit mode, does not know init_size", _BZIMAGE, "--kexec-syscall",
         "--type=bzImage", _INITRD,
         line="information: .* lies on the kernel image .*"),
    serves("multiboot-x86", built(_MULTIBOOT1, ".elf"), "--type=multiboot-x86",
           "--module=/module one two", "--module=/module", elf=built(_MULTIBOOT1, ".elf"),
           strings=["/module one two", "/module"], loader="multiboot1"),
    serves("multiboot2-x86", flat, "--type=multiboot2-x86", f"--module={_ALIGNED}", elf=flat,
           strings=[_ALIGNED], loader="multiboot2"),
    ends("multiboot2-x86, information cut off", flat, "--type=multiboot2-x86", f"--module={_CUT}",
         line="multiboot2: no end tag before .*, where the information ends"),
    serves("elf-x86_64 with Linux's arguments", flat, "--type=elf-x86_64", "--args-linux", _INITRD,
           elf=flat, strings=[""], loader="linux", entry_mode="long64"),
    ends("elf-x86_64 with ELF's arguments", flat, "--type=elf-x86_64",
         line=r"entry: no contract is known by magic 0 \(information at 0\)"),
]
