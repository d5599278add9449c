"""The harness tested with itself: throw-away kernels, assembled here."""

import os
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Tuple
from unittest import mock

import cases
import composers
import feeding
import machine
import modes
import psutil
from bochs import run_bochs
from cases import Case, note
from elftools.elf.elffile import ELFFile
from feeding import Registers, feed, gdt_record
from images import Image, patch, rebased
from iso import LOADER_GAVE_UP, grub_iso, run_iso
from patience import Patience

_CLANG = os.environ.get("CLANG", "clang")
_LLD = os.environ.get("LLD", "ld.lld")
_BASE = 0x200000

_EXIT = """
  mov $0x10, %al
  out %al, $0xf4
1: hlt
  jmp 1b
"""


def assemble(source: str, bits: int = 64, base: int = _BASE) -> Path:
    """An ELF64 linked at `base` whose code starts there; `bits` of the code, 32 or 64."""
    directory = cases.scratch_directory()
    start = f".code{bits}\n.text\n.globl _start\n_start:\n"
    (directory / "kernel.S").write_text(start + source)
    subprocess.run(
        [_CLANG, "--target=x86_64-unknown-none-elf", "-c", "kernel.S", "-o", "kernel.o"],
        cwd=directory,
        check=True,
    )
    place = [f"--image-base={base - 0x1000:#x}", f"-Ttext={base:#x}", "-z", "max-page-size=4096"]
    subprocess.run(
        [_LLD, "-static", *place, "kernel.o", "-o", "kernel.elf"], cwd=directory, check=True
    )
    return directory / "kernel.elf"


# Stores what it was entered with, then shows it as raw bytes on the debug port.
_SHOW_STATE = (
    """
  mov %eax, seen
  mov %ebx, seen+4
  mov %ecx, seen+8
  mov %edx, seen+12
  mov %esi, seen+16
  mov %edi, seen+20
  mov %ebp, seen+24
  mov %esp, seen+28
  mov $stack, %esp
  pushf
  popl seen+36
  call 1f
1: pop %eax
  sub $1b - _start, %eax
  mov %eax, seen+32
  mov %cr0, %eax
  mov %eax, seen+40
  mov %cr3, %eax
  mov %eax, seen+44
  mov %cr4, %eax
  mov %eax, seen+48
  mov $0xc0000080, %ecx
  rdmsr
  mov %eax, seen+52
  mov %cs, seen+56
  mov %ds, seen+58
  mov %es, seen+60
  mov %ss, seen+62
  mov %fs, seen+64
  mov %gs, seen+66
  sgdt seen+68
  sidt seen+74
  cld
  mov $seen, %esi
  mov $80, %ecx
  mov $0xe9, %dx
  rep outsb
"""
    + _EXIT
    + """
  .data
seen: .skip 80
  .bss
  .skip 64
stack:
"""
)

_STATE_FORMAT = "<14I6HHIHI"


def seen_state(records: list, registers: Registers) -> tuple:
    result = machine.run(feed(records, registers)).expect(machine.OK)
    return struct.unpack(_STATE_FORMAT, result.debugcon.encode("latin-1"))


def registers_arrive_exactly() -> None:
    image = Image(assemble(_SHOW_STATE, bits=32))
    general = [0x11111111 * i for i in range(1, 9)]
    registers = Registers(*general, eip=image.entry)
    seen = seen_state(image.records(), registers)
    assert list(seen[:8]) == general, [hex(value) for value in seen[:8]]
    assert seen[8:14] == (image.entry, 2, 0x11, 0, 0, 0), seen
    assert seen[14:20] == (8, 0x10, 0x10, 0x10, 0, 0), seen
    assert seen[20] == 23 and seen[22:] == (0, 0), seen


def leftovers_arrive_exactly() -> None:
    """What an unkind loader leaves in control registers, flags and GDTR."""
    image = Image(assemble(_SHOW_STATE, bits=32))
    registers = Registers(
        eip=image.entry,
        eflags=0x402,
        cr0=0x10033,
        cr3=0x12000,
        cr4=0x10,
        efer=0x800,
        gdt_base=0x10000,
        gdt_limit=0xFFFF,
        cs=0x10,
        data=0x18,
    )
    gdt = gdt_record(0x10000, [0, feeding.FLAT_CODE32, feeding.FLAT_DATA])
    seen = seen_state([gdt, *image.records()], registers)
    assert seen[9:14] == (0x402, 0x10033, 0x12000, 0x10, 0x800), seen
    assert seen[14:18] == (0x10, 0x18, 0x18, 0x18), seen
    assert seen[20:22] == (0xFFFF, 0x10000), seen


def gdt_can_be_gone() -> None:
    image = Image(assemble(_SHOW_STATE, bits=32))
    seen = seen_state(image.records(), Registers(eip=image.entry, gdt_gone=True))
    assert seen[20:22] == (0, 0), seen


def enters_each_mode() -> None:
    """CR0, CR4 and EFER say which it is, and CS whether the code is 64-bit."""
    for mode, (paging, pae, lme, la57, wide) in {
        modes.PROTECTED32: (0, 0, 0, 0, False),
        modes.PAGED32: (1, 0, 0, 0, False),
        modes.PAE32: (1, 1, 0, 0, False),
        modes.COMPAT32: (1, 1, 1, 0, False),
        modes.LONG64: (1, 1, 1, 0, True),
        modes.LONG64_FIVE: (1, 1, 1, 1, True),
    }.items():
        image = Image(assemble(_SHOW_MODE[wide], bits=64 if wide else 32))
        entry = modes.entered(mode, Registers(eip=image.entry))
        result = machine.run(feed([*entry.records, *image.records()], entry.registers))
        cr0, cr4, efer = struct.unpack("<3I", result.expect(machine.OK).debugcon.encode("latin-1"))
        seen = (cr0 >> 31, cr4 >> 5 & 1, efer >> 8 & 1, cr4 >> 12 & 1)
        assert seen == (paging, pae, lme, la57), f"{mode}: {seen}"


_SHOW_MODE = {
    wide: f"""
      mov %cr0, %{r}ax
      mov %eax, room(%{b})
      mov %cr4, %{r}ax
      mov %eax, room + 4(%{b})
      mov $0xc0000080, %ecx
      rdmsr
      mov %eax, room + 8(%{b})
      lea room(%{b}), %{r}si
      mov $12, %ecx
      cld
      mov $0xe9, %dx
      rep outsb
    """.replace("(%none)", "") + _EXIT + "\n.data\nroom: .skip 12"
    for wide, r, b in ((False, "e", "none"), (True, "r", "rip"))
}


def registers_are_64_bits_wide() -> None:
    """In 64-bit mode, with the tables above 4 GiB too, and memory there filled."""
    kernel = """
      mov $0xe9, %dx
      mov %rax, room(%rip)
      mov %cr3, %rbx
      mov %rbx, room + 8(%rip)
      mov (%rsi), %rbx
      mov %rbx, room + 16(%rip)
      lea room(%rip), %rsi
      mov $24, %ecx
      cld
      rep outsb
    """
    image = Image(assemble(kernel + _EXIT + "\n.data\nroom: .skip 24"))
    high = 0x140001000
    registers = Registers(eax=0x123456789ABCDEF0, esi=0x140000008, eip=image.entry)
    entry = modes.entered(modes.LONG64, registers, high=6)
    pml4 = next(data for at, data in entry.records if at == entry.registers.cr3)
    entry = modes.moved(entry, [(0x140000008, b"from low"), (high, pml4)], 0x3800000)
    entry.registers.wide_cr3 = high
    boot = feed([*entry.records, *image.records()], entry.registers, memory="6G")
    seen = machine.run(boot).expect(machine.OK).debugcon.encode("latin-1")
    assert seen == struct.pack("<QQ", 0x123456789ABCDEF0, high) + b"from low", seen


_SHOW_MEMORY = "cld\n mov $0xe9, %dx\n rep outsb\n" + _EXIT


def shown_memory(records: list, start: int, count: int, **options) -> bytes:
    image = Image(assemble(_SHOW_MEMORY, bits=32))
    registers = Registers(esi=start, ecx=count, eip=image.entry)
    boot = feed(image.records() + records, registers, **options)
    return machine.run(boot).expect(machine.OK).debugcon.encode("latin-1")


def records_arrive_exactly() -> None:
    """Sizes and addresses that nothing divides, side by side."""
    start = 0x3FFFFD
    pieces = [bytes([65 + i]) * size for i, size in enumerate((1, 2, 3, 4096, 70001, 0, 5))]
    records, at = [], start
    for piece in pieces:
        records.append((at, piece))
        at += len(piece)
    expected = b"".join(pieces)
    assert shown_memory(records, start, len(expected)) == expected


def second_feeder_frees_the_first_ones_place() -> None:
    record = (0x05000000, b"here")
    seen = shown_memory([record], record[0], 4, feeder="feeder-high.elf", memory="1G")
    assert seen == b"here", seen


def bss_is_filled_when_asked() -> None:
    image = Image(assemble(_SHOW_MEMORY + "\n.bss\nhole: .skip 100", bits=32))
    registers = Registers(esi=image.physical("hole"), ecx=100, eip=image.entry)
    result = machine.run(feed(image.records(bss=0xCC), registers)).expect(machine.OK)
    assert result.debugcon == "\xcc" * 100, result.debugcon


def image_runs_where_it_is_put() -> None:
    """The distance between segments is kept: code finds its data relative to itself."""
    kernel = "call 1f\n1: pop %esi\n add $text - 1b, %esi\n mov $4, %ecx\n" + _SHOW_MEMORY
    image = Image(assemble(kernel + "\n.data\ntext: .ascii \"text\"", bits=32))
    base = 0x2345000
    registers = Registers(eip=image.physical("_start", base), esp=0x9000)
    result = machine.run(feed(image.records(base), registers)).expect(machine.OK)
    assert result.debugcon == "text", result.debugcon


def refusal(name: str, contents: bytes, message: str, **options) -> Case:
    def function() -> None:
        boot = feeding.boot_script(contents, **options)
        machine.run(boot).expect(machine.REFUSED, f"^feeder: {message}$")

    return Case(f"harness: feeder refuses {name}", function)


def refuses_to_overwrite_itself() -> None:
    with open(cases.BUILD / "feeder.elf", "rb") as stream:
        (segment,) = ELFFile(stream).iter_segments("PT_LOAD")
    first, last = segment["p_paddr"], segment["p_paddr"] + segment["p_memsz"] - 1
    for dest in (first - 3, last):
        boot = feed([(dest, b"1234")], Registers())
        message = f"^feeder: a record overlaps the feeder; dest, bytes {dest:#x} 0x4$"
        machine.run(boot).expect(machine.REFUSED, message)


def refuses_to_run_without_a_script() -> None:
    boot = machine.Boot(kernel=cases.BUILD / "feeder.elf")
    machine.run(boot).expect(machine.REFUSED, "^feeder: no script; give one as the first -initrd$")


def _script(*records: Tuple[int, bytes]) -> bytes:
    return feeding.script(records, Registers())


_REFUSALS = [
    # QEMU puts the module on the page behind the feeder.
    refusal(
        "a record over its script",
        _script((0x05002000, bytes(0x10000))),
        "a record overlaps the script; dest, bytes 0x5002000 0x10000",
    ),
    refusal(
        "a record past 4 GiB",
        _script((0xFFFFFFFC, b"12345")),
        "a record passes 4 GiB; dest, bytes 0xfffffffc 0x5",
    ),
    refusal(
        "a record in ROM",
        _script((0xF0000, b"\0\1\2\3")),
        "memory does not keep what is written at 0xf000[0-3]",
    ),
    refusal(
        "a record behind the end of RAM",
        _script((0x07FFFFFF, b"12")),
        "memory does not keep what is written at 0x8000000",
    ),
    refusal("a wrong magic", b"FEET" + bytes(4), "the script's magic is 0x54454546"),
    refusal(
        "a script without registers",
        _script()[:-4],
        "the script ends early; wanted, left 0x90 0x8c",
    ),
    refusal(
        "a record longer than the script",
        struct.pack("<IIII", 0x44454546, 1, 0x1000, 0xFFFFFFFF),
        "the script ends early; wanted, left 0xffffffff 0x0",
    ),
]


_PVH_KERNEL = (
    """
  mov $0x9000, %esp
  call 1f
1: pop %eax
  sub $1b - _start, %eax
  push %eax
  mov %esp, %esi
  mov $4, %ecx
"""
    + _SHOW_MEMORY
    + """
  .section .note.pvh, "a", @note
  .balign 4
  .long 4, 8, 18
  .asciz "Xen"
  .quad _start
"""
)

_MULTIBOOT1_WITH_ADDRESSES = (
    """
  jmp entry
  .balign 4
header:
  .long 0x1badb002, 1 << 16, -(0x1badb002 + (1 << 16))
  .long header, _start, 0, 0, entry
entry:
"""
    + _PVH_KERNEL
)


def shown_entry(kernel: Path) -> int:
    result = machine.run(machine.Boot(kernel=kernel)).expect(machine.OK)
    return int.from_bytes(result.debugcon.encode("latin-1"), "little")


def rebased_pvh_boots_elsewhere() -> None:
    kernel = assemble(_PVH_KERNEL, bits=32)
    moved = rebased(kernel, 0x1234000)
    distance = 0x1234000 - Image(kernel).base
    assert Image(moved).entry == Image(kernel).entry
    assert Image(moved).pvh_entry() == _BASE + distance
    assert shown_entry(kernel) == _BASE
    assert shown_entry(moved) == _BASE + distance


def rebased_multiboot_boots_elsewhere() -> None:
    kernel = assemble(_MULTIBOOT1_WITH_ADDRESSES, bits=32)
    assert shown_entry(kernel) == _BASE
    assert shown_entry(rebased(kernel, Image(kernel).base + 0x700000)) == _BASE + 0x700000


def patch_changes_code() -> None:
    """By symbol and by address; the original file stays as it was."""
    kernel = assemble(_PVH_KERNEL, bits=32)
    assert shown_entry(kernel) == _BASE
    broken = patch(kernel, "_start", b"\x0f\x0b")
    machine.run(machine.Boot(kernel=broken)).expect(machine.RESET)
    assert patch(kernel, _BASE, b"\x0f\x0b").read_bytes() == broken.read_bytes()
    assert shown_entry(kernel) == _BASE


def hang_is_a_hang() -> None:
    image = Image(assemble("jmp .", bits=32))
    boot = feed(image.records(), Registers(eip=image.entry), timeout=1.5)
    result = machine.run(boot).expect(machine.HANG)
    assert result.timed_out and result.status is None


def fault_before_any_idt_is_a_reset() -> None:
    image = Image(assemble("ud2", bits=32))
    machine.run(feed(image.records(), Registers(eip=image.entry))).expect(machine.RESET)


def failed_expectation_says_why() -> None:
    result = machine.Result(serial="a\nb\n", debugcon="", errors="", status=0x41)
    result.expect(machine.FATAL, "^b$")
    for outcome, pattern in ((machine.OK, "^b$"), (machine.FATAL, "^c$")):
        try:
            result.expect(outcome, pattern)
        except AssertionError as error:
            assert str(error)
        else:
            raise AssertionError(f"expect({outcome!r}, {pattern!r}) passed")


def huge_guest_starts() -> None:
    image = Image(assemble(_EXIT, bits=32))
    boot = feed(image.records(), Registers(eip=image.entry), memory="512G")
    machine.run(boot).expect(machine.OK)


def kvm_boots_or_says_why_not() -> None:
    missing = machine.kvm_missing()
    if missing:
        note(f"not tried: {missing}")
        return
    image = Image(assemble(_EXIT, bits=32))
    boot = feed(image.records(), Registers(eip=image.entry), accel="kvm", cpu="qemu64")
    result = machine.run(boot)
    if result.outcome != machine.OK:
        note(f"KVM is there but cannot run this: {result.outcome}. {result.errors.strip()}")


_MULTIBOOT_BOTH = (
    """
  jmp entry
  .balign 8
  .long 0xe85250d6, 0, 16, 0x100000000 - 0xe85250d6 - 16
  .short 0, 0
  .long 8
  .long 0x1badb002, 0, -0x1badb002
entry:
  mov $0x9000, %esp
  push %eax
  mov %esp, %esi
  mov $4, %ecx
  mov $0x3f8, %dx
  cld
  rep outsb
"""
    + _EXIT
)


def grub_boot(protocol: str, magic: int, engine: str, run) -> Case:
    """The kernel tells its EAX, the last four bytes on the serial port."""

    def function() -> None:
        module = cases.scratch_file(b"module")
        kernel = assemble(_MULTIBOOT_BOTH, bits=32)
        result = run(grub_iso(kernel, protocol, "verbose", [(module, "a b")])).expect(machine.OK)
        expected = magic.to_bytes(4, "little").decode("latin-1")
        assert result.serial.endswith(expected), repr(result.serial[-40:])

    return Case(f"harness: GRUB boots {protocol} in {engine}", function)


def grub_that_gives_up_says_so() -> None:
    result = run_iso(grub_iso(cases.scratch_file(b"no kernel"), "multiboot2"))
    result.expect(LOADER_GAVE_UP, "error: ", "the loader gave up")


def bochs_reports_a_triple_fault() -> None:
    kernel = patch(assemble(_MULTIBOOT_BOTH, bits=32), "entry", b"\x0f\x0b")
    run_bochs(grub_iso(kernel, "multiboot2")).expect(machine.RESET)


class NoTime:
    """A process' times, as if it had got no processor."""

    user = system = 0.0


def patience_with_who_gets_no_processor() -> None:
    """A thread that could run is not idle, however little it ran; who waits in all threads is."""
    spins = "import threading, time\n" \
            "threading.Thread(target=lambda: [None for _ in iter(int, 1)], daemon=True).start()\n" \
            "time.sleep(60)"
    for program, idle in ((spins, False), ("import time; time.sleep(60)", True)):
        process = subprocess.Popen([sys.executable, "-c", program])
        try:
            with mock.patch.object(psutil.Process, "cpu_times", lambda self: NoTime):
                patience = Patience(process.pid, 100, idle=1)
                end = time.monotonic() + 4
                while not (over := patience.over()) and time.monotonic() < end:
                    time.sleep(0.05)
            assert over == idle, program
        finally:
            process.kill()
            process.wait()


CASES = [
    Case("harness: who could run and gets no processor is not idle",
         patience_with_who_gets_no_processor),
    Case("harness: registers arrive exactly", registers_arrive_exactly),
    Case("harness: a loader's leftovers arrive exactly", leftovers_arrive_exactly),
    Case("harness: the loader's GDT can be gone", gdt_can_be_gone),
    Case("harness: feeder enters each mode", enters_each_mode),
    Case("harness: feeder's registers are 64 bits wide", registers_are_64_bits_wide),
    Case("harness: records arrive exactly", records_arrive_exactly),
    Case("harness: the second feeder lives elsewhere", second_feeder_frees_the_first_ones_place),
    Case("harness: BSS is filled when asked", bss_is_filled_when_asked),
    Case("harness: an image runs where it is put", image_runs_where_it_is_put),
    Case("harness: feeder refuses a record over itself", refuses_to_overwrite_itself),
    Case("harness: feeder refuses to run without a script", refuses_to_run_without_a_script),
    *_REFUSALS,
    Case("harness: rebased PVH kernel boots elsewhere", rebased_pvh_boots_elsewhere),
    Case("harness: rebased Multiboot kernel boots elsewhere", rebased_multiboot_boots_elsewhere),
    Case("harness: patch changes code", patch_changes_code),
    Case("harness: a hang is reported as a hang", hang_is_a_hang),
    Case("harness: a fault before any IDT is a reset", fault_before_any_idt_is_a_reset),
    Case("harness: a failed expectation says why", failed_expectation_says_why),
    Case("harness: a guest of 512G starts", huge_guest_starts),
    Case("harness: KVM boots, or why not", kvm_boots_or_says_why_not),
    grub_boot("multiboot", composers.MULTIBOOT1_MAGIC, "QEMU", run_iso),
    grub_boot("multiboot", composers.MULTIBOOT1_MAGIC, "Bochs", run_bochs),
    grub_boot("multiboot2", composers.MULTIBOOT2_MAGIC, "QEMU", run_iso),
    grub_boot("multiboot2", composers.MULTIBOOT2_MAGIC, "Bochs", run_bochs),
    Case("harness: GRUB that gives up says so", grub_that_gives_up_says_so),
    Case("harness: Bochs reports a triple fault", bochs_reports_a_triple_fault),
]
