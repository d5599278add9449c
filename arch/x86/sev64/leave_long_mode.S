// An SEV guest that was entered in 64-bit mode: back to 32-bit mode, where with paging
// off all memory is private, and on as if it had been entered there. The loader's
// tables are the loader's: they may show shared memory for private.

#include "bits.h"
#include "prologue/sev_reasons.h"
#include "sev32.h"
#include "sev_state.h"

#define GATE32(vector) (8 * (vector))
#define GATE64(vector) (16 * (vector))

        .text
        .code64

        .globl  prologue_sev_any_mode // by which the wish pulls this in
prologue_sev_any_mode:

        // Expects: RAX = SEV_STATUS, our GDT and 64-bit IDT, CR4 ours, and on the stack
        // the loader's information and its magic. Leaves, at prologue_gdt_known, what
        // entry32.S expects there.
        .globl  prologue_sev_long_mode
        .hidden prologue_sev_long_mode
prologue_sev_long_mode:
        movl    %eax, prologue_sev_state + SEV_STATUS(%rip)
        popq    %rbx
        popq    %r9
        leaq    prologue_image_end(%rip), %rcx
        orq     %rbx, %rcx
        shrq    $32, %rcx
        jnz     too_high

        // The based code segment, into which 32-bit gates lead.
        leaq    prologue_entry_base(%rip), %rbp
        leaq    prologue_gdt + SELECTOR_CODE32_BASED(%rip), %rdi
        movl    %ebp, %eax
        movw    %ax, 2(%rdi)
        shrl    $16, %eax
        movb    %al, 4(%rdi)
        movb    %ah, 7(%rdi)

        // The IDT for the way: the gates of 64-bit mode as they are, with those of
        // 32-bit mode between them.
        leaq    prologue_switch_idt(%rip), %rdi
        subq    $16, %rsp
        sidt    6(%rsp)
        movq    8(%rsp), %rsi
        addq    $16, %rsp
        leaq    prologue_idt32(%rip), %r8
  .irp vector, VECTOR_NMI, VECTOR_DOUBLE_FAULT, VECTOR_GENERAL_PROTECTION, \
               VECTOR_MACHINE_CHECK, VECTOR_VC
        movq    GATE32(\vector)(%r8), %rax
        movq    %rax, GATE32(\vector)(%rdi)
        movq    GATE64(\vector)(%rsi), %rax
        movq    %rax, GATE64(\vector)(%rdi)
        movq    GATE64(\vector) + 8(%rsi), %rax
        movq    %rax, GATE64(\vector) + 8(%rdi)
  .endr
        pushq   %rdi
        pushw   $(SWITCH_IDT_BYTES - 1)
        lidt    (%rsp)

        pushq   $SELECTOR_CODE32_FLAT
        leaq    compatibility(%rip), %rcx
        pushq   %rcx
        movl    %r9d, %esi
        lretq

        .code32
compatibility:
        movl    $CR0_PROTECTED_MODE, %eax
        movl    %eax, %cr0
        movl    %esi, %eax
        jmp     prologue_gdt_known

        .code64
too_high:
        movl    $PROLOGUE_SEV_TOO_HIGH, %edi
        call    prologue_sev_terminate

        .section .note.GNU-stack, "", @progbits
