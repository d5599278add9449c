"""prologue/cpus.h: a kernel (qemu/kernels/cpus.c) starts the other processors; each looks at its
own state and adds its number under a lock."""

import re
from typing import Sequence

import cases
import machine
from cases import Case, note
from images import Image, patch
from machine import Boot

_UD2 = b"\x0f\x0b"
_NO_MADT, _SOME = 1, 7


def _kernel(levels: int):
    return cases.BUILD / {4: "cpus-four.elf", 5: "cpus-five.elf"}[levels]


def _boot(cpus: int, words: str = "", levels: int = 4, **options) -> Boot:
    extra = [*options.pop("extra", ()), "-smp", str(cpus)]
    return Boot(**{"kernel": _kernel(levels), "append": words, "extra": extra, "timeout": 60,
                   **options})


def _value(serial: str, key: str) -> int:
    return int(re.search(rf"^{key}: (0x[0-9a-f]+)\r?$", serial, re.MULTILINE)[1], 16)


def _all_come(cpus: int, words: str = "", levels: int = 4, **options) -> str:
    serial = machine.run(_boot(cpus, words, levels, **options)).expect(machine.OK).serial
    assert _value(serial, "cpus") == cpus
    started = [int(number, 16) for number in re.findall(r"^started: (\S+)", serial, re.MULTILINE)]
    starts = 2 if "again" in words else 1
    rounds = 100 if cpus > 101 else 10000  # as the kernel has it
    assert sum(started) == starts * (cpus - 1), started
    assert _value(serial, "sum") == starts * rounds * (cpus - 1) * cpus // 2
    assert _value(serial, "faults") == 0 and _value(serial, "wrong") == 0
    return serial


def _come(title: str, cpus: int, words: str = "", levels: int = 4, **options) -> Case:
    return Case(f"cpus: {title}", lambda: _all_come(cpus, words, levels, **options))


def _halves() -> None:
    serial = _all_come(8, "half")
    assert re.findall(r"^started: (\S+)\r?$", serial, re.MULTILINE) == ["0x3", "0x4"]


def _own_tables_above_4_gib() -> None:
    assert _value(_all_come(4, "own", memory="5G"), "tables") >= 1 << 32


def _alone(board: str) -> None:
    serial = machine.run(_boot(4, machine=board)).expect(machine.OK).serial
    assert _value(serial, "find") == _NO_MADT and _value(serial, "cpus") == 1


def _fault_on_the_way(symbol: str) -> None:
    """Its code overwritten: the exception is counted and named, and the machine goes on."""
    image = Image(_kernel(4))
    broken = patch(_kernel(4), image.symbols[symbol], _UD2)
    serial = machine.run(_boot(3, "hurry", kernel=broken)).expect(machine.FATAL).serial
    assert _value(serial, "start") == _SOME and _value(serial, "started") == 0
    assert _value(serial, "faults") == 2 and _value(serial, "vector") == 6, serial


def _fault_before_an_idt() -> None:
    machine.run(_boot(3, "fault")).expect(
        machine.FATAL, r"^prologue: fatal: #UD invalid opcode \(vector 6\)")


def _x2apic() -> None:
    if not _value(_all_come(4, "x2apic"), "x2apic"):
        note("this QEMU's TCG has no x2APIC: it has from QEMU 9 on")


CASES: Sequence[Case] = [
    _come("one alone", 1),
    *(_come(f"{count} start, {levels} levels", count, levels=levels)
      for count in (2, 8) for levels in (4, 5)),
    _come("64 start", 64),
    _come("255 start", 255, timeout=200),
    *(_come(f"4 start, CPU {cpu}", 4, cpu=cpu) for cpu in ("qemu64", "Nehalem", "EPYC")),
    *(_come(f"4 start, {board}", 4, machine=board) for board in ("q35", "microvm")),
    Case("cpus: they start half by half", _halves),
    _come("they return, and start again", 8, "again"),
    Case("cpus: they start on the kernel's own tables, above 4 GiB", _own_tables_above_4_gib),
    Case("cpus: without ACPI there is the boot processor alone",
         lambda: _alone("microvm,acpi=off")),
    *(Case(f"cpus: an exception on the way is counted and named, {mode}",
           lambda symbol=symbol: _fault_on_the_way(symbol))
      for mode, symbol in (("real mode", "prologue_ap_catches"),
                           ("64-bit mode", "prologue_ap_leaves"))),
    Case("cpus: an exception before it has an IDT is reported", _fault_before_an_idt),
    Case("cpus: x2APIC mode", _x2apic),
]
