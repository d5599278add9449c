#!/usr/bin/python3
"""Tests of count.py: tiny kernels with known figures, booted in QEMU.

One line a test, `ok NAME` or `FAIL NAME: why`; the status tells if all passed.
QEMU=... in the environment names another QEMU.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import types

import count
import counted_image
import pages
import tcg_log

QEMU = os.environ.get("QEMU", "qemu-system-x86_64")
COUNT = pathlib.Path(count.__file__)

MULTIBOOT = """
    .code32
image:
    .long 0x1badb002, 0, -0x1badb002
    .globl _start
_start:
"""
MULTIBOOT_SCRIPT = "ENTRY(_start) SECTIONS { . = 0x100000; .text : { *(.text) } }"

# Linked at the top of memory, loaded at 1 MiB, entered through PVH.
HIGH_KERNEL = """
    .set OFFSET, 0xffffffff80000000
    .section .note.pvh, "a", @note
    .long 4, 8, 18
    .asciz "Xen"
    .quad _start - OFFSET

    .section .rodata
gdt: .quad 0, 0x00af9a000000ffff, 0x00cf92000000ffff
gdtr: .word . - gdt - 1
    .quad gdt - OFFSET
    .balign 4096
pml4: .quad pdpt - OFFSET + 3
    .fill 510, 8, 0
    .quad pdpt - OFFSET + 3
pdpt: .quad 0x83
    .fill 509, 8, 0
    .quad 0x83, 0

    .text
    .code32
    .globl _start
_start:
    lgdt gdtr - OFFSET
    mov $pml4 - OFFSET, %eax
    mov %eax, %cr3
    mov $0x20, %eax
    mov %eax, %cr4
    mov $0xc0000080, %ecx
    rdmsr
    or $0x100, %eax
    wrmsr
    mov %cr0, %eax
    or $0x80000000, %eax
    mov %eax, %cr0
    ljmp $8, $low64 - OFFSET

    .code64
low64:
    movabs $high64, %rax
    jmp *%rax
high64:
    mov $0x101000 + 0x800, %esp
    mov $3, %ebx
1:  call work
    dec %ebx
    jnz 1b
    jmp kernel_main

    .type work, @function
work:
    nop
inner:
    ret
    .size work, . - work
kernel_main:
    hlt
"""
HIGH_SCRIPT = """
ENTRY(_start)
PHDRS { text PT_LOAD FLAGS(5); rodata PT_LOAD FLAGS(4); note PT_NOTE FLAGS(4); }
SECTIONS {
    . = 0xffffffff80100000;
    .text : AT(ADDR(.text) - 0xffffffff80000000) { *(.text) } :text
    . = ALIGN(4096);
    .rodata : AT(ADDR(.rodata) - 0xffffffff80000000) { *(.rodata) } :rodata
    .note.pvh : AT(ADDR(.note.pvh) - 0xffffffff80000000) { *(.note.pvh) } :rodata :note
}
"""

# A boot sector that is not used, a sector of 16-bit setup, 32-bit code.
BZIMAGE = """
image:
    .org 0x1f1
    .byte 1
    .org 0x200
    .code16
    jmp setup
    .ascii "HdrS"
    .word 0x20c
    .org 0x211
    .byte 1
    .org 0x260
    .long 0x2000
setup:
    cli
    lgdtl gdtr - image
    mov %cr0, %eax
    or $1, %al
    mov %eax, %cr0
    ljmpl $8, $0x100000
gdt: .quad 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
gdtr: .word . - gdt - 1
    .long gdt - image + 0x10000
    .org 0x400
    .code32
    nop
    cpuid
    nop
    hlt
"""
BZIMAGE_SCRIPT = "SECTIONS { . = 0; .text : { *(.text) } }"


class Kernels:
    """Builds kernels from assembly in a directory."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)

    def build(self, assembly, script, link_arguments):
        source, linker, object_file, kernel = (
            self.directory / name for name in ("kernel.S", "kernel.ld", "kernel.o", "kernel.elf"))
        source.write_text(assembly)
        linker.write_text(script)
        target = "i386" if "elf_i386" in link_arguments else "x86_64"
        subprocess.run(["clang", f"--target={target}-elf", "-c",
                       source, "-o", object_file], check=True)
        subprocess.run(["ld.lld", *link_arguments, "-T", linker,
                       object_file, "-o", kernel], check=True)
        return str(kernel)

    def multiboot(self, body):
        return self.build(MULTIBOOT + body + "\ndone: hlt\n jmp done\n", MULTIBOOT_SCRIPT,
                          ["-m", "elf_i386"])

    def high(self):
        return self.build(HIGH_KERNEL, HIGH_SCRIPT, ["-z", "max-page-size=4096"])

    def bzimage(self):
        return self.build(BZIMAGE, BZIMAGE_SCRIPT, ["-m", "elf_i386", "--oformat=binary"])


def measure(kernel, **options):
    return count.count(kernel, qemu=QEMU, **options)


def figures_to_done(kernels, body):
    result = measure(kernels.multiboot(body), until="done")
    expect(result.ended, "reached")
    return result.tally.until


def expect(got, wanted):
    assert got == wanted, f"got {got!r}, not {wanted!r}"


def test_straight_line(kernels):
    expect(figures_to_done(kernels, "nop\n" * 10).instructions, 10)


def test_nothing_before_the_end(kernels):
    expect(figures_to_done(kernels, "").instructions, 0)


def test_loop(kernels):
    figures = figures_to_done(kernels, "mov $1000, %eax\n 1: dec %eax\n jnz 1b\n")
    expect(figures.instructions, 1 + 2 * 1000)


def test_instruction_that_jumps_to_itself_is_no_rep(kernels):
    figures = figures_to_done(kernels, "mov $5, %ecx\n 1: loop 1b\n")
    expect((figures.instructions, figures.reps), (6, 0))


def test_rep_counts_once_and_its_iterations_beside_it(kernels):
    lengths = (0, 1, 2, 8, 70000)  # the last is more than QEMU 10 runs in one block
    reps = "".join(f"mov ${length}, %ecx\n rep movsb\n" for length in lengths)
    figures = figures_to_done(kernels, "mov $0x200000, %edi\n mov %edi, %esi\n" + reps)
    expect((figures.instructions, figures.reps, figures.rep_iterations),
           (2 + 2 * 5, 5, sum(lengths)))


def test_rep_that_a_flag_ends(kernels):
    figures = figures_to_done(kernels, """
        mov $0x200000, %edi
        xor %eax, %eax
        mov $100, %ecx
        repe scasb
        mov $100, %ecx
        repne scasb
        """)
    expect((figures.instructions, figures.reps, figures.rep_iterations), (6, 2, 101))


def test_rep_that_counts_in_cx(kernels):
    figures = figures_to_done(kernels, "mov $0x10003, %ecx\n addr16 rep lodsb\n")
    expect((figures.instructions, figures.rep_iterations), (2, 3))


def test_two_reps_in_a_row(kernels):
    figures = figures_to_done(kernels, "mov $0x200000, %edi\n mov $3, %ecx\n" + "rep stosb\n" * 2)
    expect((figures.instructions, figures.reps, figures.rep_iterations), (4, 2, 3))


def test_cpuid_and_msr_accesses_are_listed(kernels):
    result = measure(kernels.multiboot("""
        mov $0x80000001, %eax
        cpuid
        mov $0xc0000080, %ecx
        rdmsr
        wrmsr
        """), until="done")
    figures = result.tally.until
    expect((figures.cpuid, figures.rdmsr, figures.wrmsr), (1, 1, 1))
    expect(sorted((a.kind, result.image.describe(a.pc), a.number) for a in result.tally.accesses),
           [("cpuid", "_start+0x5", 0x80000001), ("rdmsr", "_start+0xc", 0xC0000080),
            ("wrmsr", "_start+0xe", 0xC0000080)])


def test_every_form_of_port_access(kernels):
    figures = figures_to_done(kernels, """
        mov $0x80, %edx
        in $0x80, %al
        in $0x80, %eax
        inb %dx, %al
        inw %dx, %ax
        out %al, $0x80
        out %eax, $0x80
        outb %al, %dx
        outw %ax, %dx
        mov $0x200000, %esi
        mov $5, %ecx
        rep outsb
        """)
    expect((figures.instructions, figures.port_in, figures.port_out), (12, 4, 4 + 5))


def test_opcode_bytes_in_an_operand_do_not_count(kernels):
    figures = figures_to_done(kernels, "mov $0xa20fa20f, %eax\n mov $0xeeeeeeee, %eax\n")
    expect((figures.cpuid, figures.port_out), (0, 0))


def test_decoding_by_mode():
    rex_cpuid, rep_stosq, addr32_rep = b"\x48\x0f\xa2", b"\xf3\x48\xab", b"\x67\xf3\xaa"
    expect(counted_image.decode(rex_cpuid, True).kind, "cpuid")
    expect(counted_image.decode(rex_cpuid, False).kind, None)
    expect(counted_image.decode(rep_stosq, True).repeats, True)
    expect(counted_image.decode(b"\xf3\x90", True).repeats, False)
    expect(counted_image.decode(rep_stosq, True).count_mask, (1 << 64) - 1)
    expect(counted_image.decode(addr32_rep, True).count_mask, (1 << 32) - 1)
    expect(counted_image.decode(b"", True).known, False)


def test_faulting_instruction_counts_once(kernels):
    figures = figures_to_done(kernels, """
        mov $0x210000, %esp
        lidt idtr
        ud2
        jmp done
    handler:
        addl $2, (%esp)
        iret
    idtr: .word 8 * 7 - 1
        .long idt
    idt: .fill 6, 8, 0
        .word handler - image, 8, 0x8e00, 0x10
        """)
    expect(figures.instructions, 6)


def test_way_from_the_physical_to_the_virtual_address(kernels):
    result = measure(kernels.high(), until="kernel_main")
    tally = result.tally
    physical, virtual = sorted(result.image.run_addresses("kernel_main"))
    expect(virtual - physical, 0xFFFFFFFF80000000)
    expect((tally.entry, tally.until.pc), (0x100000, virtual))
    expect((result.image.describe(tally.first64.pc), tally.first64.pc < physical),
           ("low64+0x0", True))
    expect((tally.long_mode.instructions, tally.first64.instructions, tally.until.instructions),
           (12, 13, 13 + 2 + 2 + 3 * 5 + 1))
    expect((tally.until.rdmsr, tally.until.wrmsr, tally.until.undecoded), (1, 1, 0))
    expect(tally.profile(), [("_start", 13), ("high64", 12), ("work", 6), ("low64", 2)])


def test_without_until_it_ends_at_the_first_64_bit_instruction(kernels):
    result = measure(kernels.high())
    expect((result.ended, result.image.describe(result.tally.first64.pc)), ("reached", "low64+0x0"))


def test_from_a_symbol(kernels):
    result = measure(kernels.high(), start="low64", until="high64")
    expect((result.tally.until.instructions, result.tally.first64.instructions), (2, 0))


def test_until_an_address(kernels):
    result = measure(kernels.multiboot("nop\n" * 10), until="0x100010")
    expect(result.tally.until.instructions, 4)


def test_given_range_alone_is_watched(kernels):
    result = measure(kernels.multiboot("nop\n" * 10), until="done", ranges=[(0x100014, 0x100)])
    expect((result.tally.entry, result.tally.until.instructions), (0x100014, 2))


def test_bzimage(kernels):
    result = measure(kernels.bzimage(), until="0x100004")
    expect(result.ranges, [(0x100000, 0x2000)])
    expect((result.tally.until.instructions, result.tally.until.cpuid), (3, 1))


def test_five_runs_are_equal(kernels):
    kernel = kernels.high()
    reports = [count.as_object(measure(kernel, until="kernel_main"), profile=True)
               for _ in range(5)]
    expect(reports, [reports[0]] * 5)


LOG_HEAD = "Trace {cpu}: 0x7f0000000000 [0000000000000000/{pc:016x}/000000b0/ff000201] \n"
LOG_REGISTERS = "EAX=00000000 EBX=00000000 ECX={rcx:08x} EDX=00000000\nESI=00000000 EDI=00000000\n"
LOG_STOPPED = "Stopped execution of TB chain before 0x7f0000000000 [{pc:016x}] \n"


def tally_of_log(lines, code, processor=None):
    """The figures at address 9 of a log of (pc, rcx), or (pc, "stopped"), and perhaps whose line
    it is, cut in small chunks."""
    log = "".join(LOG_STOPPED.format(pc=pc) if rcx == "stopped"
                  else (LOG_HEAD + LOG_REGISTERS).format(pc=pc, rcx=rcx, cpu=(*cpu, 0)[0])
                  for pc, rcx, *cpu in lines)
    image = types.SimpleNamespace(code_at=lambda pc: code.get(pc, b"\x90"),
                                  run_addresses=lambda place: {int(place)})
    tally = count.Tally(image, until="9")
    chunks = (log[i:i + 7].encode() for i in range(0, len(log), 7))
    for event in tcg_log.log_events(chunks, processor):
        tally.event(event)
    return tally.until


def test_one_of_several_processors_is_counted():
    lines = [(1, 0), (9, 0, 1), (2, 0), (7, 0, 1), (7, "stopped"), (3, 0), (3, "stopped"),
             (8, 0, 1), (3, 0), (9, 0)]
    expect(tally_of_log(lines, code={}, processor=0).instructions, 3)
    expect(tally_of_log(lines, code={}, processor=1).instructions, 0)


def test_stopped_instruction_is_taken_back():
    figures = tally_of_log([(1, 0), (2, 0), (2, "stopped"), (2, 0), (3, 0), (3, "stopped"),
                            (5, 0), (3, 0), (9, 0)], code={})
    expect(figures.instructions, 4)


def test_stopped_iteration_leaves_its_rep():
    rep = {2: b"\xf3\xa4"}
    figures = tally_of_log([(1, 3), (2, 3), (2, "stopped"), (2, 3), (2, 2), (2, "stopped"),
                            (2, 2), (2, 1), (9, 0)], rep)
    expect((figures.instructions, figures.reps, figures.rep_iterations), (2, 1, 3))


def test_code_that_is_not_in_the_file_is_told():
    figures = tally_of_log([(1, 3), (2, 3), (2, 2), (2, 1), (9, 0)], {2: b""})
    expect((figures.instructions, figures.undecoded), (2, 1))


def test_end_without_the_symbol_is_told(kernels):
    triple_fault = kernels.multiboot("nop\n lidt zero\n ud2\n zero: .word 0, 0, 0\n")
    result = measure(triple_fault, until="done")
    expect((result.ended, result.tally.until), ("QEMU ended with status 0", None))
    leaves = kernels.multiboot("mov $1, %al\n out %al, $0xf4\n 1: jmp 1b")
    expect(measure(leaves, until="done").ended, "QEMU ended with status 3")


def test_timeout(kernels):
    result = measure(kernels.multiboot("1: jmp 1b"), until="done", timeout=3)
    expect(result.ended, "not reached in 3 s")


def test_bad_questions_are_refused(kernels):
    kernel = kernels.multiboot("nop")
    for options in ({"until": "nowhere"}, {"qemu_args": ["-nonsense"]},
                    {"start": "0x1", "timeout": 0.5}):
        try:
            measure(kernel, **options)
        except count.CountError:
            continue
        raise AssertionError(f"{options} was taken")


def test_command(kernels):
    run = subprocess.run([sys.executable, COUNT, "--kernel", kernels.high(),
                          "--until", "kernel_main", "--qemu", QEMU, "--qemu-arg", "-serial null",
                          "--json", "--profile"],
                         capture_output=True, text=True, check=True)
    report = json.loads(run.stdout)
    expect((report["first64"]["instructions"], report["until"]["symbol"]), (13, "kernel_main+0x0"))


def test_pages_touched_first(kernels):
    """Two read or written, one of them twice; one that the loader wrote; one before the
    beginning."""
    kernel = kernels.multiboot("""
        movb $1, 0x500000
        .globl begin
    begin:
        movb $1, 0x500008
        movb $1, 0x600000
        mov 0x600ff8, %eax
        mov 0x701000, %eax
        movb $1, 0x100ff0
    """)
    new = pages.of_boot(str(kernel), start="begin", until="done", qemu=QEMU)
    expect((new.others, len(new.image)), ({0x600, 0x701}, 0))


def test_pages_of_a_guest_that_ends_are_refused(kernels):
    leaves = kernels.multiboot("mov $1, %al\n out %al, $0xf4\n 1: jmp 1b")
    try:
        pages.of_boot(str(leaves), until="done", qemu=QEMU)
    except count.CountError:
        return
    raise AssertionError("a count of pages came of it")


def run_test(test, kernels):
    """Why the test failed, or None."""
    try:
        test(*[kernels][:test.__code__.co_argcount])
    except (AssertionError, count.CountError, subprocess.CalledProcessError) as error:
        return str(error)
    return None


def main():
    tests = [(name, test) for name, test in globals().items() if name.startswith("test_")]
    failed = 0
    with tempfile.TemporaryDirectory() as directory:
        for name, test in tests:
            why = run_test(test, Kernels(directory))
            failed += why is not None
            print(f"ok {name}" if why is None else f"FAIL {name}: {why}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
