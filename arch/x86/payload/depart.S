// The way out of the loader image: what must move moves, what must be zero is cleared, and
// the payload runs. Copied into a page that none of that touches, so nothing here may know
// where it lies.
//
// Expects: RDI = a Departure that lies there too; this page, it, and all that moves mapped
// at their own addresses, writable; interrupts off; DF clear.
// Leaves: the payload's tables, GDT and stack, no IDT, DS to SS = its data selector, FS and
// GS with a base of 0, RAX, RBX and RSI as the Departure says; in 64-bit mode RDI too; all
// others 0.

#include "bits.h"
#include "departure.h"

        .section .rodata.prologue_depart, "a"
        .code64
        .globl  prologue_depart
        .hidden prologue_depart
        .balign 16
prologue_depart:
        movq    %rdi, %rbp
        leaq    DEPARTURE_MOVES(%rbp), %rbx
next_move:
        movq    MOVE_BYTES(%rbx), %rcx
        testq   %rcx, %rcx
        jz      moved
        movq    MOVE_FROM(%rbx), %rsi
        movq    MOVE_TO(%rbx), %rdi
        addq    $MOVE_SIZE, %rbx
        movq    %rdi, %rax
        subq    %rsi, %rax
        cmpq    %rcx, %rax // below it, only if the source reaches into the destination
        jb      move_up
        rep     movsb
        jmp     next_move

        // From the last byte on: the few above a multiple of eight, then words.
move_up:
        std
        leaq    -1(%rsi,%rcx), %rsi
        leaq    -1(%rdi,%rcx), %rdi
        movq    %rcx, %rdx
        andl    $7, %ecx
        rep     movsb
        subq    $7, %rsi
        subq    $7, %rdi
        shrq    $3, %rdx
        movq    %rdx, %rcx
        rep     movsq
        cld
        jmp     next_move

moved:
        xorl    %eax, %eax
        leaq    DEPARTURE_CLEARS(%rbp), %rbx
next_clear:
        movq    8(%rbx), %rcx // a Span
        movq    (%rbx), %rdi
        addq    $16, %rbx
        subq    %rdi, %rcx
        jz      cleared
        rep     stosb
        jmp     next_clear

        // Everything is in registers before the tables change: behind that the Departure
        // need not be mapped. The old IDT's handlers may be gone.
cleared:
        lidt    DEPARTURE_NO_IDT(%rbp)
        lgdt    DEPARTURE_GDT(%rbp)
        movq    DEPARTURE_RDI(%rbp), %rdi
        movq    DEPARTURE_RSI(%rbp), %rsi
        movq    DEPARTURE_RBX(%rbp), %rbx
        movq    DEPARTURE_ENTRY(%rbp), %rax
        movl    DEPARTURE_CODE(%rbp), %r8d
        movl    DEPARTURE_DATA(%rbp), %r9d
        movl    DEPARTURE_TSS(%rbp), %r10d
        movl    DEPARTURE_CODE32(%rbp), %ecx
        testl   %ecx, %ecx
        jnz     to_32_bits
        movq    DEPARTURE_CR3(%rbp), %rcx
        movq    DEPARTURE_RSP(%rbp), %rsp
        movq    DEPARTURE_RAX(%rbp), %r11
        xorl    %ebp, %ebp
        movq    %rcx, %cr3
        movl    %r9d, %ds
        movl    %r9d, %es
        movl    %r9d, %ss
        movl    %r9d, %fs
        movl    %r9d, %gs
        testl   %r10d, %r10d
        jz      1f
        ltr     %r10w
1:      pushq   %r8
        pushq   %rax
        movq    %r11, %rax
        xorl    %ecx, %ecx
        xorl    %edx, %edx
        xorl    %r8d, %r8d
        xorl    %r9d, %r9d
        xorl    %r10d, %r10d
        xorl    %r11d, %r11d
        xorl    %r12d, %r12d
        xorl    %r13d, %r13d
        xorl    %r14d, %r14d
        xorl    %r15d, %r15d
        lretq

        // By compatibility mode, out of paging, and only then out of long mode (SDM vol. 3,
        // 9.8.5.4). R9 = the data selector, R10 = the TSS's, RAX = the entry.
to_32_bits:
        leaq    DEPARTURE_BYTES(%rbp), %rsp
        pushq   %rax
        pushq   DEPARTURE_RAX(%rbp)
        movl    %r9d, %edi
        movl    %r10d, %ebp
        pushq   %rcx
        leaq    in_32_bits(%rip), %rcx
        pushq   %rcx
        lretq
        .code32
in_32_bits:
        movl    %edi, %ds
        movl    %edi, %es
        movl    %edi, %ss
        movl    %edi, %fs
        movl    %edi, %gs
        movl    $CR0_PE, %eax
        movl    %eax, %cr0
        xorl    %eax, %eax
        xorl    %edx, %edx
        movl    $MSR_EFER, %ecx
        wrmsr
        movl    %eax, %cr4
        ltr     %bp
        xorl    %edi, %edi
        xorl    %ebp, %ebp
        xorl    %ecx, %ecx
        popl    %eax
        addl    $4, %esp
        ret     // to the entry, whose upper half stays behind

        // Another processor, which waits here for a payload of the Limine protocol.
        // Expects: RDI = its LimineProcessor as the payload sees it, RSI = the Departure, RDX = the
        // end of its stack as the payload sees it, RCX = a count of those that have come.
        // Leaves, where its goto_address says: what the payload's first processor has, RDI as it is.
        .code64
        .balign 16
        .globl  prologue_park
        .hidden prologue_park
prologue_park:
        lock incl (%rcx)
        lidt    DEPARTURE_NO_IDT(%rsi)
        lgdt    DEPARTURE_GDT(%rsi)
        movl    DEPARTURE_CODE(%rsi), %r8d
        movl    DEPARTURE_DATA(%rsi), %r9d
        movq    DEPARTURE_CR3(%rsi), %rax
        movq    %rax, %cr3
        movq    %rdx, %rsp
        movl    %r9d, %ds
        movl    %r9d, %es
        movl    %r9d, %ss
        movl    %r9d, %fs
        movl    %r9d, %gs
        leaq    parked(%rip), %rax
        pushq   %r8
        pushq   %rax
        lretq
parked:
        pause
        movq    LIMINE_GOTO_ADDRESS(%rdi), %rax
        testq   %rax, %rax
        jz      parked
        xorl    %ebx, %ebx
        xorl    %ecx, %ecx
        xorl    %edx, %edx
        xorl    %esi, %esi
        xorl    %ebp, %ebp
        xorl    %r8d, %r8d
        xorl    %r9d, %r9d
        pushq   $0 // as if called from nowhere
        jmp     *%rax

        .globl  prologue_depart_end
        .hidden prologue_depart_end
prologue_depart_end:

        .text
        // To the copy of it, on other tables that show this page where it is now.
        // RDI = the Departure, RSI = the copy, RDX = those tables.
        .globl  prologue_leave_image
        .hidden prologue_leave_image
prologue_leave_image:
        cli
        cld
        movq    %rdx, %cr3
        jmp     *%rsi

        // The same for another processor, which goes to prologue_park in the copy: that one's
        // registers, R8 = those tables, R9 = where it is.
        .globl  prologue_park_other
        .hidden prologue_park_other
prologue_park_other:
        movq    %r8, %cr3
        jmp     *%r9
        .section .note.GNU-stack, "", @progbits
