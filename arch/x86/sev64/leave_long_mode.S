// An SEV guest that was entered in 64-bit mode: back to 32-bit mode, where with paging
// off all memory is private, and on as if it had been entered there. The loader's
// tables are the loader's: they may show shared memory for private.

#include "bits.h"
#include "prologue/sev_reasons.h"
#include "sev_state.h"

        .text
        .code64

        .globl  prologue_sev_any_mode // by which the wish pulls this in
prologue_sev_any_mode:

        // Expects: RAX = SEV_STATUS, our GDT, CR4 ours, and on the stack the loader's
        // information and its magic. Leaves, at prologue_moved, what entry32.S
        // expects there. On the way there is no IDT, as on the one to 64-bit mode.
        .globl  prologue_sev_long_mode
        .hidden prologue_sev_long_mode
prologue_sev_long_mode:
        movl    %eax, prologue_sev_state + SEV_STATUS(%rip)
        movl    $0, prologue_sev_state + SEV_UNKNOWN(%rip)
        popq    %rbx
        popq    %r9
        leaq    prologue_segments_end(%rip), %rcx
        orq     %rbx, %rcx
        shrq    $32, %rcx
        jnz     too_high

        lidt    prologue_no_idt(%rip)
        leaq    prologue_entry_base(%rip), %rbp
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
        jmp     prologue_moved

        .code64
too_high:
        movl    $PROLOGUE_SEV_TOO_HIGH, %edi
        call    prologue_sev_terminate

        .section .note.GNU-stack, "", @progbits
