"""The edges of the memory that Prologue takes for itself: full to the last page, beside strings
that are empty, and not where GRUB keeps the image's symbols."""

import iso
import machine
from any_loader import PVH, Load, Placed, fed
from cases import BUILD, Case
from handoff_report import MIB, Report

_PIECE, _PIECE_BYTES = 0x2000000, 0x10000


def scarce(cmdline_bytes: int) -> machine.Result:
    """One piece of 64 KiB is free, a module lies right behind it, the command line fills it."""
    module = Placed(_PIECE + _PIECE_BYTES, b"\xee" * 0x10000, "m")
    memory = ((0x1000, 0x9E000, 1), (MIB, MIB, 2), (_PIECE, 2 * _PIECE_BYTES, 1))
    load = Load(PVH, memory_map=memory, modules=[module], cmdline="c" * cmdline_bytes)
    return machine.run(fed(load))


def ends_with_its_last_page() -> None:
    """Whatever does not fit ends in a line; nothing is written behind the piece."""
    for cmdline_bytes in range(30000, 65001, 2500):
        result = scarce(cmdline_bytes)
        if result.outcome == machine.OK:
            report = Report(result.serial)
            ours = report.of_kind("prologue")
            assert all(r.end <= _PIECE + _PIECE_BYTES for r in ours), (cmdline_bytes, ours)
        else:
            result.expect(machine.FATAL, r"^prologue: fatal: (memory|paging): ")
    assert scarce(1000).outcome == machine.OK and scarce(65000).outcome == machine.FATAL


def empty_string_is_kept() -> None:
    """A module's string that is only its NUL, at the start of what is free."""
    at = _PIECE + 0x200
    memory = ((0x1000, 0x9E000, 1), (MIB, 2 * MIB, 2), (_PIECE, 64 * MIB, 1))
    load = Load(PVH, memory_map=memory, modules=[Placed(0x1800000, b"m" * 4096, "")],
                cmdline="abcdefghij" * 30)
    boot = fed(load, change=lambda info: info.set("modlist[0].cmdline_paddr", at),
               damage=[(at, b"\0")])
    machine.run(boot).expect(machine.OK, r"^module: 0 0x1800000 4096 \r?$")


def beyond_the_width() -> None:
    load = Load(PVH)
    boot = fed(load, change=lambda info: info.set("cmdline_paddr", 0x7000000000),
               cpu="max,phys-bits=36")
    machine.run(boot).expect(machine.FATAL, r"^prologue: fatal: pvh command line: .* at 7000000000 ")


def grubs_sections_are_the_loaders() -> None:
    """GRUB loads symbols and debug sections behind the image, some 150 KiB of this kernel's."""
    path = iso.grub_iso(BUILD / "demo.elf", "multiboot2")
    report = Report(machine.run(machine.Boot(iso=path)).expect(machine.OK).serial)
    (kernel,) = report.of_kind("kernel")
    behind = [r for r in report.of_kind("loader") if r.start >= kernel.end]
    assert behind and behind[0].start == kernel.end, report.memory
    assert sum(r.end - r.start for r in behind) > 64 * 1024, behind


CASES = [
    Case("arena: ends with its last page", ends_with_its_last_page),
    Case("arena: an empty string of a module's is kept", empty_string_is_kept),
    Case("arena: a string beyond the CPU's width is refused", beyond_the_width),
    Case("arena: sections that GRUB loads are the loader's", grubs_sections_are_the_loaders),
]
