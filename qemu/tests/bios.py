"""A bzImage's 16-bit code on the BIOSes of the field: an option ROM takes the place of SeaBIOS's
INT 15 and INT 10, and does what some of those have done."""

import functools
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Sequence

import cases
import machine
from assembler import assemble
from cases import Case
from guests import expected_paging
from handoff_report import MIB, RAM_KINDS, Report, expect_report, merged

_BZIMAGE = cases.BUILD / "demo-every.bzImage"
_ROM_BYTES = 2048

# By an old chipset: with a hole at 15 MiB, which no other way to ask tells of.
_MAP = [(0, 0x9FC00, 1), (0x9FC00, 0x400, 2), (0xF0000, 0x10000, 2), (MIB, 0xE00000, 1),
        (16 * MIB, 0x6FE0000, 1), (0x7FE0000, 0x20000, 2), (0xFFFC0000, 0x40000, 2)]
_RAM = [(0x1000, 0x9F000), (MIB, 15 * MIB), (16 * MIB, 0x7FE0000)]
_RAM_BY_E801 = [(0x1000, 0x9F000), (MIB, 0x7FE0000)]
_RAM_BY_88 = [(0x1000, 0x9F000), (MIB, 64 * MIB)]

# What stands in for the BIOS: settings are symbols, 0 where they are not named.
_SETTINGS = ("SAME_BUFFER", "CLOBBER", "SET_FLAGS", "ENTRIES", "STOPS_SAYING_SMAP",
             "FAILS_AT_THE_END", "NEVER_ENDS", "WRITES_MORE", "NO_E801", "E801_IN_AX", "CLOSE_A20",
             "A20_LIES")
_ROM = """
        .code16
        .byte   0x55, 0xaa, 2048 / 512
        jmp     init
        .org    0x18
        .short  0, 0
init:   pushw   %ds
        pushl   %eax
        xorw    %ax, %ax
        movw    %ax, %ds
        movl    4 * 0x15, %eax
        movl    %eax, 4 * 0x60          // the BIOS's own
        movw    $system, 4 * 0x15
        movw    %cs, 4 * 0x15 + 2
        movw    $video, 4 * 0x10
        movw    %cs, 4 * 0x10 + 2
        popl    %eax
        popw    %ds
        lret

.macro BACK carry
        .if CLOBBER
        movl    $0xdead0000, %esi
        movl    $0xdead0000, %edi
        movl    $0xdead0000, %ebp
        movw    $0x40, %si
        movw    %si, %ds
        movw    %si, %es
        movw    %si, %fs
        movw    %si, %gs
        .endif
        pushw   %bp
        movw    %sp, %bp
        andw    $~0x0001, 6(%bp)
        .if SET_FLAGS
        orw     $0x0600, 6(%bp)         // DF and IF
        .endif
        .if \\carry
        orw     $0x0001, 6(%bp)
        .endif
        popw    %bp
        iret
.endm

system: cmpw    $0xe820, %ax
        je      e820
        cmpw    $0xe801, %ax
        je      e801
        .if A20_LIES
        cmpw    $0x2401, %ax
        je      done
        .endif
as_the_bios:
        int     $0x60
        jc      failed
done:   BACK    0
failed: BACK    1

e801:   .if NO_E801
        jmp     failed
        .elseif E801_IN_AX
        movw    $0x3c00, %ax
        movw    $0x06fe, %bx
        xorl    %ecx, %ecx
        xorl    %edx, %edx
        jmp     done
        .endif
        jmp     as_the_bios

e820:
        .if CLOSE_A20
        pushw   %ax
        inb     $0x92, %al
        andb    $~0x02, %al
        outb    %al, $0x92
        popw    %ax
        .endif
        .if SET_FLAGS                   // who leaves them on is interrupted at once
        pushw   %ax
        movb    $0x34, %al
        outb    %al, $0x43
        xorw    %ax, %ax
        outb    %al, $0x40
        incw    %ax
        outb    %al, $0x40
        popw    %ax
        .endif
        .if ENTRIES == 0
        jmp     failed
        .endif
        movzwl  %bx, %esi
        imull   $20, %esi, %esi
        addl    $table, %esi
        pushl   %edx
        movl    $5, %ecx
2:      movl    %cs:(%si), %edx
        .if SAME_BUFFER
        testw   %bx, %bx
        jz      5f
        cmpl    %cs:-20(%si), %edx
        je      6f
5:
        .endif
        movl    %edx, %es:(%di)
6:      addw    $4, %si
        addw    $4, %di
        loop    2b
        popl    %edx
        .if WRITES_MORE
        movl    $11, %ecx
7:      movl    $0xcccccccc, %es:(%di)
        addw    $4, %di
        loop    7b
        .endif
        movl    $(20 + 44 * WRITES_MORE), %ecx
        incw    %bx
        movzwl  %bx, %ebx
        movl    $0x534d4150, %eax
        .if FAILS_AT_THE_END
        cmpw    $(ENTRIES + 1), %bx
        je      failed
        jmp     done
        .endif
        cmpw    $ENTRIES, %bx
        jne     done
        .if NEVER_ENDS
        decw    %bx                     // the last one again
        jmp     done
        .endif
        .if STOPS_SAYING_SMAP
        xorl    %eax, %eax
        .endif
        xorl    %ebx, %ebx
        jmp     done

video:  cmpb    $0x0e, %ah
        jne     done
        pushw   %dx
        movw    $0x2f8, %dx             // the screen of these tests
        outb    %al, %dx
        popw    %dx
        jmp     done
        .balign 4
table:
"""


@dataclass(frozen=True)
class Bios:
    """How it differs from a good one."""

    settings: Sequence[str] = ()
    entries: int = len(_MAP)  # 0: it knows no E820


@functools.lru_cache(maxsize=None)
def _rom(bios: Bios) -> Path:
    values = {**dict.fromkeys(_SETTINGS, 0), **dict.fromkeys(bios.settings, 1),
              "ENTRIES": bios.entries}
    source = "".join(f"{name} = {value}\n" for name, value in values.items()) + _ROM
    table = b"".join(struct.pack("<QQI", *entry) for entry in _MAP)
    rom = bytearray((assemble(source, 32) + table).ljust(_ROM_BYTES, b"\0"))
    assert len(rom) == _ROM_BYTES
    rom[-1] = -sum(rom) & 0xFF
    return cases.scratch_file(bytes(rom), "rom")


# The 16-bit code's own ways to open A20, and the same without an effect.
_KEYBOARD = bytes.fromhex("b0df e660"), bytes.fromhex("b0dd e660")
_PORT_92 = bytes.fromhex("e492 0c02 24fe e692"), bytes.fromhex("e492 24fd 24fe e692")


def _without(ways: Sequence) -> Path:
    image = _BZIMAGE.read_bytes()
    for way, none in ways:
        assert image.count(way) == 1, way.hex()
        image = image.replace(way, none)
    return cases.scratch_file(image, "bzImage")


def _run(bios: Bios, without: Sequence = (), extra: Sequence[str] = (), **more) -> machine.Result:
    return machine.run(machine.Boot(kernel=_without(without), append="a b",
                                    extra=["-option-rom", str(_rom(bios)), *extra], **more))


def _ram(report: Report) -> list:
    ranges = merged(r._replace(kind="RAM") for r in report.of_kind(*RAM_KINDS))
    return [(max(r.start, 0x1000), r.end) for r in ranges]


def boots(name: str, bios: Bios, ram: Sequence = _RAM, **more) -> Case:
    def function() -> None:
        report = expect_report(_run(bios, **more), cases.BUILD / "demo-every.elf", loader="linux",
                               load_base=MIB, cmdline="a b", modules=[],
                               **expected_paging("demo", "max"))
        assert _ram(report) == ram, [f"{start:#x}-{end:#x}" for start, end in _ram(report)]
        half = report.of_kind("reserved") if ram != _RAM else []
        assert not half, f"half a map has been believed: {half}"

    return Case(f"bios: {name}", function)


def a20_stays_closed() -> None:
    """On the screen, on the serial port and on port 0xe9."""
    screen = cases.scratch_directory() / "screen"
    result = _run(Bios(("CLOSE_A20", "A20_LIES", "CLOBBER", "SET_FLAGS")),
                  [_KEYBOARD, _PORT_92], ["-serial", f"file:{screen}"], timeout=3)
    line = ("prologue: fatal: linux: the A20 gate stays closed (the BIOS, the keyboard controller "
            "and port 92 have been tried)\r\n")
    assert result.outcome == machine.HANG, result.outcome
    for said in (result.serial, result.debugcon, machine.read_text(screen)):
        assert said.endswith(line) and said.count("fatal") == 1, said


_CLOSED = ("CLOSE_A20", "CLOBBER")
_LIES = (*_CLOSED, "A20_LIES")

CASES = [
    boots("a good one", Bios()),
    boots("E820 changes registers and segments", Bios(("CLOBBER",))),
    boots("E820 turns interrupts on, and strings backwards", Bios(("SET_FLAGS",))),
    boots("E820 writes only what differs from the entry before", Bios(("SAME_BUFFER",))),
    boots("E820 writes more than it is asked for", Bios(("WRITES_MORE",))),
    boots("E820 has no last entry", Bios(("NEVER_ENDS",))),
    boots("all of that", Bios(("CLOBBER", "SET_FLAGS", "SAME_BUFFER"))),
    boots("E820 stops saying SMAP: E801", Bios(("STOPS_SAYING_SMAP",), entries=3), _RAM_BY_E801),
    boots("E820 ends half-way, by the carry: what it gave", Bios(("FAILS_AT_THE_END",)), _RAM),
    boots("no E820: E801", Bios(("CLOBBER", "SET_FLAGS"), entries=0), _RAM_BY_E801),
    boots("no E820: E801 in AX and BX", Bios(("E801_IN_AX",), entries=0), _RAM_BY_E801),
    boots("no E820, no E801: 88", Bios(("NO_E801", "CLOBBER", "SET_FLAGS"), entries=0), _RAM_BY_88),
    boots("A20 is closed: the BIOS opens it", Bios(_CLOSED), without=[_KEYBOARD, _PORT_92]),
    boots("A20 is closed, the BIOS lies: the keyboard controller", Bios(_LIES),
          without=[_PORT_92]),
    boots("A20 is closed, the BIOS lies, the keyboard controller does nothing: port 0x92",
          Bios(_LIES), without=[_KEYBOARD]),
    Case("bios: A20 stays closed: the last words", a20_stays_closed),
]
