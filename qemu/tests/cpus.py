"""prologue/cpus.h: a kernel (qemu/kernels/cpus.c) starts the other processors; each looks at its
own state and adds its number under a lock."""

import re
from typing import Sequence

import acpi
import cases
import machine
from cases import Case, note
from images import Image, patch
from machine import Boot

_UD2 = b"\x0f\x0b"
_DONE, _NO_MADT, _BAD_TABLE, _SOME = 0, 1, 2, 7
_BOOT, _RUNNING, _SILENT, _UNREACHABLE, _PARKED = 1, 3, 4, 5, 6
_TABLES_AT = 0x3000000


def _kernel(levels: int):
    return cases.BUILD / {4: "cpus-four.elf", 5: "cpus-five.elf"}[levels]


def _boot(cpus: int, words: str = "", levels: int = 4, **options) -> Boot:
    extra = [*options.pop("extra", ()), "-smp", str(cpus)]
    return Boot(**{"kernel": _kernel(levels), "append": words, "extra": extra, "timeout": 60,
                   **options})


def _value(serial: str, key: str) -> int:
    return int(re.search(rf"^{key}: (0x[0-9a-f]+)\r?$", serial, re.MULTILINE)[1], 16)


def _all_come(cpus: int, words: str = "", levels: int = 4, times: int = 1, **options) -> str:
    """`times` is how often each starts, on the average."""
    serial = machine.run(_boot(cpus, words, levels, **options)).expect(machine.OK).serial
    assert _value(serial, "cpus") == cpus
    started = [int(number, 16) for number in re.findall(r"^started: (\S+)", serial, re.MULTILINE)]
    rounds = 100 if cpus > 101 else 10000  # as the kernel has it
    assert sum(started) == times * (cpus - 1), started
    assert _value(serial, "sum") == times * rounds * (cpus - 1) * cpus // 2
    assert _value(serial, "faults") == 0 and _value(serial, "wrong") == 0
    return serial


def _states(serial: str) -> list:
    return [int(state, 16) for state in re.findall(r"^state: (\S+)\r?$", serial, re.MULTILINE)]


def _put(tables: acpi.Tables) -> list:
    """QEMU's arguments that put the tables into memory."""
    image = cases.scratch_file(tables.image(), "tables")
    return ["-device", f"loader,file={image},addr={tables.at:#x},force-raw=on"]


def _come(title: str, cpus: int, words: str = "", levels: int = 4, **options) -> Case:
    return Case(f"cpus: {title}", lambda: _all_come(cpus, words, levels, **options))


def _halves() -> None:
    serial = _all_come(8, "half")
    assert re.findall(r"^started: (\S+)\r?$", serial, re.MULTILINE) == ["0x3", "0x4"]


def _parked_half() -> None:
    """Eight others: 1, 3, 5 and 7 return and are started again, one by one."""
    serial = machine.run(_boot(9, "park")).expect(machine.OK).serial
    assert re.findall(r"^started: (\S+)\r?$", serial, re.MULTILINE) == ["0x8", *["0x1"] * 4]
    assert _value(serial, "sum") == 10000 * (sum(range(9)) + 1 + 3 + 5 + 7)
    assert _value(serial, "wrong") == 0


def _off(entries: bytes) -> None:
    """The only processor, without an APIC, and tables that say otherwise."""
    _told(entries, [_BOOT, *[_UNREACHABLE] * 3], cpus=1, cpu="max,-apic")


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


def _fault_on_the_stack_of_all() -> None:
    """On the kernel's tables, before the processor has a TSS and stacks of its own."""
    image = Image(_kernel(4))
    broken = patch(_kernel(4), image.symbols["prologue_ap_own"], _UD2)
    machine.run(_boot(2, kernel=broken)).expect(
        machine.FATAL, r"^prologue: fatal: #UD invalid opcode \(vector 6\), error 0000, 64-bit")


def _told(entries: bytes, states: list, found: int = 0, at: int = _TABLES_AT,
          is_first: bool = False, cpus: int = 4, **options) -> None:
    """Tables of our own, as a rule with four processors in the machine; what becomes of each that
    is listed."""
    tables = acpi.Tables(at, acpi.madt(entries), is_first)
    serial = machine.run(_boot(cpus, f"some rsdp={at:#x}", extra=_put(tables), **options)).expect(
        machine.OK).serial
    assert _value(serial, "find") == _DONE and _value(serial, "found") == (found or len(states))
    assert _states(serial) == states, serial
    come = sum(state in (_RUNNING, _PARKED) for state in states)
    assert _value(serial, "started") == come, serial


def _refused(lie: acpi.Tables, result: int, about: int) -> None:
    serial = machine.run(_boot(4, f"some rsdp={_TABLES_AT:#x}", extra=_put(lie))).expect(
        machine.OK).serial
    assert _value(serial, "find") == result and _value(serial, "cpus") == 1, serial
    assert _value(serial, "refused") == about, serial
    assert _states(serial) == [_BOOT]


def _unsealed(table: bytes) -> bytes:
    return table[:-1] + bytes([table[-1] ^ 1])


def _lies() -> dict:
    """(tables, result, the address that is refused)"""
    at, madt = _TABLES_AT, acpi.madt(acpi.apic(0) + acpi.apic(1))
    entries = at + 0x2000 + 44
    long_xsdt = acpi.table(acpi.XSDT, b"")[:4] + b"\xff\xff\xff\xff"
    lost = (1 << 64) - 0x1000

    def of(table: bytes, **lies) -> acpi.Tables:
        return acpi.Tables(at, table, **lies)
    return {
        "no RSDP": (of(madt, rsdp_lie=(0, b"RSD PTX ")), _BAD_TABLE, at),
        "RSDP's checksum": (of(madt, rsdp_lie=(9, b"X")), _BAD_TABLE, at),
        "XSDT's length": (of(madt, xsdt_lie=(0, long_xsdt)), _BAD_TABLE, at + 0x40),
        "XSDT's checksum": (of(madt, xsdt_lie=(10, b"X")), _BAD_TABLE, at + 0x40),
        "XSDT leads nowhere": (of(madt, xsdt_lie=(36, lost.to_bytes(8, "little") * 2)), _BAD_TABLE,
                               at + 0x40),
        "no MADT": (of(acpi.table(b"HPET", b"")), _NO_MADT, 0),
        "MADT's checksum": (of(_unsealed(madt)), _BAD_TABLE, at + 0x2000),
        "MADT without a body": (of(acpi.table(acpi.MADT, b"")), _BAD_TABLE, at + 0x2000),
        "an entry without bytes": (of(acpi.madt(acpi.apic(0) + bytes(8))), _BAD_TABLE, entries + 8),
        "an entry behind the end": (of(acpi.madt(acpi.apic(0) + b"\0\x08\1")), _BAD_TABLE,
                                    entries + 8),
        "an entry too short": (of(acpi.madt(b"\0\x04\0\0")), _BAD_TABLE, entries),
        "a mailbox off a page": (of(acpi.madt(acpi.mailbox(at + 0x1ff8))), _BAD_TABLE, entries),
        "a mailbox nowhere": (of(acpi.madt(acpi.apic(1) + acpi.mailbox(lost))), _BAD_TABLE,
                              entries + 8),
    }


_LISTS = {
    "those that are not there": (
        b"".join(acpi.apic(i) for i in range(6)), [_BOOT, *[_PARKED] * 3, *[_SILENT] * 2]),
    "twice, not enabled, in another order": (
        acpi.apic(2) + acpi.x2apic(2) + acpi.apic(1) + acpi.apic(3, enabled=False) + acpi.apic(0) +
        acpi.apic(1), [_BOOT, _PARKED, _PARKED]),
    "ids that are out of reach": (
        acpi.apic(0) + acpi.x2apic(1) + acpi.x2apic(255) + acpi.x2apic(0x1001) +
        acpi.x2apic(0xFFFFFFFF), [_BOOT, _PARKED, _UNREACHABLE, _UNREACHABLE]),
    "without the boot processor": (acpi.apic(1), [_BOOT, _PARKED]),
    "a thousand times": (b"".join(acpi.apic(i % 4) for i in range(1000)), [_BOOT, *[_PARKED] * 3]),
    "among what is of no use here": (
        b"\2\x0a" + bytes(8) + acpi.apic(0) + b"\xff\2" + acpi.apic(1) + b"\x7f\xff" + bytes(253) +
        acpi.x2apic(1) + acpi.x2apic(3), [_BOOT, _PARKED, _PARKED]),
}
_FOUR = b"".join(acpi.apic(i) for i in range(4))


def _more_than_there_is_room_for() -> None:
    entries = b"".join(acpi.apic(i) for i in range(2)) + b"".join(
        acpi.x2apic(0x10000 + i) for i in range(1000))
    _told(entries, [_BOOT, _PARKED, *[_UNREACHABLE] * 298], found=1002)


def _late() -> None:
    serial = machine.run(_boot(4, "late")).expect(machine.OK).serial
    assert re.findall(r"^started: (\S+)\r?$", serial, re.MULTILINE) == ["0x0", "0x3"], serial
    assert _value(serial, "wrong") == 0 and _value(serial, "sum") == 10000 * (1 + 2 + 3)


def _by_mailbox(word: str, starts: list, last_state: int) -> None:
    """A firmware of ours has the others wait at ACPI's mailbox; whoever it has lost is silent."""
    tables = acpi.Tables(_TABLES_AT, b"")
    madt = acpi.madt(b"".join(acpi.apic(i) for i in range(4)) + acpi.mailbox(tables.mailbox))
    put = _put(acpi.Tables(_TABLES_AT, madt))
    serial = machine.run(_boot(4, f"rsdp={_TABLES_AT:#x} {word}", extra=put,
                               kernel=cases.BUILD / "cpus_mailbox.elf")).expect(machine.OK).serial
    assert _value(serial, "mailbox") == tables.mailbox
    assert re.findall(r"^started: (\S+)\r?$", serial, re.MULTILINE) == ["0x3", *starts], serial
    assert _states(serial) == [_BOOT, _PARKED, last_state, _PARKED], serial


def _shootdown(skips: bool) -> None:
    """Nobody reads a page that was taken away; a kernel that asks nobody finds who does."""
    boot = _boot(4, "skip" * skips, kernel=cases.BUILD / "cpus_shootdown.elf")
    result = machine.run(boot).expect(machine.FATAL if skips else machine.OK)
    assert _value(result.serial, "cpus") == 4
    assert (_value(result.serial, "wrong") != 0) == skips


def _fault_before_an_idt() -> None:
    machine.run(_boot(3, "fault")).expect(
        machine.FATAL, r"^prologue: fatal: #UD invalid opcode \(vector 6\)")


# The word, how many come at each start, the state of the third in the end.
_MAILBOXES = {
    "wakes them": ("", ["0x3", "0x3"], _PARKED),
    "wakes all but one": ("absent", ["0x2", "0x2"], _SILENT),
    "wakes them too late for the first call": ("late", ["0x0", "0x3", "0x3"], _PARKED),
}

# Ids from 255 on are for an IOMMU that remaps interrupts of devices to them.
_WITH_WIDE_IDS = ("-machine", "kernel-irqchip=split", "-device", "intel-iommu,intremap=on,eim=on")


def _has_x2apic() -> bool:
    has = _value(_all_come(4, "x2apic"), "x2apic") == 1
    if not has:
        note("this QEMU's TCG has no x2APIC: it has from QEMU 9 on")
    return has


def _x2apic() -> None:
    _has_x2apic()


def _more_than_255() -> None:
    if _has_x2apic():
        serial = _all_come(280, "x2apic", machine="q35", extra=_WITH_WIDE_IDS, memory="512M",
                           timeout=200)
        assert "id: 0x117\n" in serial


CASES: Sequence[Case] = [
    _come("one alone", 1),
    *(_come(f"{count} start, {levels} levels", count, levels=levels)
      for count in (2, 8) for levels in (4, 5)),
    _come("64 start", 64),
    _come("255 start", 255, timeout=200),
    *(_come(f"4 start, CPU {cpu}", 4, cpu=cpu) for cpu in ("qemu64", "Nehalem", "EPYC")),
    *(_come(f"4 start, {board}", 4, machine=board) for board in ("q35", "microvm")),
    Case("cpus: they start half by half", _halves),
    Case("cpus: half of them park, and start again while the others run", _parked_half),
    _come("each has its base of GS", 4, "gs"),
    *(Case(f"cpus: tables list {what}", lambda entries=entries, states=states:
           _told(entries, states)) for what, (entries, states) in _LISTS.items()),
    Case("cpus: tables list more than there is room for", _more_than_there_is_room_for),
    Case("cpus: tables of ACPI 1.0", lambda: _told(_FOUR, [_BOOT, *[_PARKED] * 3], is_first=True)),
    Case("cpus: tables say that there are more, and the APIC is off", lambda: _off(_FOUR)),
    Case("cpus: tables above 4 GiB", lambda: _told(_FOUR, [_BOOT, *[_PARKED] * 3], at=0x140000000,
                                                   memory="6G")),
    *(Case(f"cpus: tables lie: {what}", lambda lie=lie: _refused(*lie))
      for what, lie in _lies().items()),
    *(Case(f"cpus: ACPI's mailbox {title}", lambda given=given: _by_mailbox(*given))
      for title, given in _MAILBOXES.items()),
    Case("cpus: none reads a page that was taken away", lambda: _shootdown(False)),
    Case("cpus: a page that was taken away is read where nobody is told", lambda: _shootdown(True)),
    Case("cpus: one that is late stays away until it is called again", _late),
    _come("they return, and start again", 8, "again", times=2),
    Case("cpus: they start on the kernel's own tables, above 4 GiB", _own_tables_above_4_gib),
    Case("cpus: without ACPI there is the boot processor alone",
         lambda: _alone("microvm,acpi=off")),
    *(Case(f"cpus: an exception on the way is counted and named, {mode}",
           lambda symbol=symbol: _fault_on_the_way(symbol))
      for mode, symbol in (("real mode", "prologue_ap_catches"),
                           ("64-bit mode", "prologue_ap_leaves"))),
    Case("cpus: an exception before it has stacks of its own is reported",
         _fault_on_the_stack_of_all),
    Case("cpus: an exception before it has an IDT is reported", _fault_before_an_idt),
    Case("cpus: x2APIC mode", _x2apic),
    Case("cpus: 280 start in x2APIC mode", _more_than_255),
]
