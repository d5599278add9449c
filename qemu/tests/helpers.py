"""prologue/kernel.h, used by a kernel in C (qemu/kernels/helpers.c) that ends on its own tables."""

import re
import subprocess

import cases
import machine
from cases import Case
from machine import Boot

_SPARE_PAGES = 7  # of which a page at a new address takes two or three
_DIRECT_MAP = {4: 0xFFFF800000000000, 5: 0xFF00000000000000}


def _value(serial: str, key: str) -> int:
    found = re.search(rf"^{key}: (0x[0-9a-f]+)\r?$", serial, re.MULTILINE)
    assert found, f"no line {key!r}"
    return int(found[1], 16)


def _run(levels: int = 4, **options) -> str:
    name = {4: "helpers", 5: "helpers-five"}[levels]
    boot = Boot(kernel=cases.BUILD / f"{name}.elf", **options)
    return machine.run(boot).expect(machine.OK, "^fault: 0x1000\r?$").serial


def _memory_is_walked() -> None:
    serial = _run(memory="64M")
    assert _value(serial, "usable-ranges") >= 2
    assert 60 << 20 < _value(serial, "usable-bytes") < 64 << 20
    assert _value(serial, "bad-bytes") == 0
    assert _value(serial, "seen") == _DIRECT_MAP[4] + 0x100000
    assert _value(serial, "unseen") == 0


def _ram_is_walked() -> None:
    """Conventional memory, and all from 1 MiB to the firmware's share; page 0 is RAM, too."""
    serial = _run(memory="64M")
    starts, ends = ([int(value, 16) for value in re.findall(rf"^ram-{what}: (\S+)\r?$", serial,
                                                            re.MULTILINE)]
                    for what in ("start", "end"))
    assert (starts, ends) == ([0, 0x100000], [0x9F000, 0x3FE0000]), (starts, ends)


def _no_exception_is_lost() -> None:
    """At each instruction from the first LGDT to LTR: by Prologue's report, then by the
    kernel's."""
    kernel = cases.BUILD / "helpers.elf"
    listing = subprocess.run(["llvm-objdump", "-d", "--no-show-raw-insn",
                              "--disassemble-symbols=use_own_descriptors", kernel], check=True,
                             capture_output=True, text=True).stdout
    lines = re.findall(r"^\s*([0-9a-f]+):\s+(\S+)", listing, re.MULTILINE)
    names = [name for _, name in lines]
    first, last = (names.index(next(name for name in names if name.startswith(what)))
                   for what in ("lgdt", "ltr"))
    assert names[first:last].count("lidtq") == 1 and last - first > 10, listing
    by_kernel = []
    for address, name in lines[first:last + 1]:
        result = machine.run(Boot(kernel=kernel, append=f"stop=0x{address}"))
        result.expect(machine.FATAL)
        by_kernel.append("reported by the kernel" in result.serial)
        assert by_kernel[-1] or "fatal: #DB debug (vector 1)" in result.serial, name
    assert by_kernel == sorted(by_kernel) and by_kernel[-1] and not by_kernel[0], by_kernel


def _module_is_found() -> None:
    """By its first word, or by the end of a path; QEMU's PVH loader gives no string at all."""
    module = cases.scratch_file(b"the second", "second")
    other = cases.scratch_file(b"the first", "other")
    kernel = cases.BUILD / "helpers-multiboot1.elf"

    def boot(append: str) -> str:
        return machine.run(Boot(kernel=kernel, append=append,
                                initrd=(other, f"{module} x"))).expect(machine.OK).serial
    assert "option: second\n" in boot("a=b find=second c")
    assert "module: the second\n" in boot("find=other find=second")
    assert "module: the first\n" in boot("find=other")
    assert "module: the second\n" in boot("a=b find=second c"), "a word in the middle"
    for absent in ("find=seco", "find=econd", "find=", "find=x"):
        assert "no module\n" in boot(absent), absent
    assert "no option\n" in boot("finder=other refind=other")


def _pages_are_mapped(levels: int) -> None:
    serial = _run(levels)
    assert _value(serial, "mapped") == 0x1234
    assert _value(serial, "more-tables") == _SPARE_PAGES - 2
    assert _value(serial, "large-page") == 0


def _descriptors_are_loaded() -> None:
    serial = _run()
    assert _value(serial, "cs") == 0x18 and _value(serial, "tr") == 0x20
    assert re.findall(r"^data: (\S+)\r?$", serial, re.MULTILINE) == ["0x8"] * 5


def _identity_map_is_left(levels: int) -> None:
    serial = _run(levels)
    assert _value(serial, "identity") == 1 and _value(serial, "left") == 1


CASES = [
    Case("helpers: the memory map is walked by type", _memory_is_walked),
    Case("helpers: RAM is walked, whatever it is used for", _ram_is_walked),
    Case("helpers: no exception is lost while descriptors are loaded", _no_exception_is_lost),
    Case("helpers: a module and an option are found by name", _module_is_found),
    *(Case(f"helpers: pages are mapped until none is left for tables, {n} levels",
           lambda n=n: _pages_are_mapped(n)) for n in (4, 5)),
    Case("helpers: own GDT, IDT and TSS are loaded", _descriptors_are_loaded),
    *(Case(f"helpers: the identity map is left, on an own top-level table, {n} levels",
           lambda n=n: _identity_map_is_left(n)) for n in (4, 5)),
]
