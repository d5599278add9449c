"""A kernel of docs/own-tables.md's kind: static page tables, a physmap of its own, descriptors with
other selectors, memory from its end on."""

import functools

import cases
import machine
from cases import Case
from linking import CLANG, GCC, GNU, INCLUDE, LLD, compiled, link
from machine import Boot

_SOURCE = cases.ROOT / "qemu/kernels/own_tables.c"
_FLAGS = ["-O2", "-std=c11", "-ffreestanding", "-fno-pic", "-fno-stack-protector",
          "-mcmodel=kernel", "-mno-red-zone", "-Wall", "-Wextra", "-Werror", INCLUDE,
          f"-I{_SOURCE.parent}"]


def boots(compiler: list, linker: str) -> None:
    made = compiled(_SOURCE.read_text(), *compiler, *_FLAGS)
    kernel = link(linker, cases.ROOT / "linker/prologue.ld", [made])
    for memory in ("32M", "128M"):
        result = machine.run(Boot(kernel=kernel, memory=memory, append="a b=c"))
        result.expect(machine.OK, r"^command line: a b=c\r?$", r"^result: ok\r?$")


CASES = [
    Case("own tables: static ones, clang and lld", functools.partial(boots, CLANG, LLD)),
    Case("own tables: static ones, gcc and GNU ld", functools.partial(boots, GCC, GNU)),
]
