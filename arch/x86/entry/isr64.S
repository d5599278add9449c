// Exceptions in 64-bit mode, Prologue's own and the kernel's until it loads an
// IDT: all 32 vectors, reported by prologue_exception.

#include "bits.h"
#include "frame64.inc"

        .text
        .code64

        // One stub each ISR64_STRIDE bytes, from an address whose low bits are
        // zero: gates are then made by counting, without a carry.
        .balign VECTORS * ISR64_STRIDE
        .globl  prologue_isr64
        .hidden prologue_isr64
prologue_isr64:
  .set vector, 0
  .rept VECTORS
        .balign ISR64_STRIDE
        pushq   $vector
    .if vector == VECTOR_VC
        jmp     prologue_isr64_vc
    .else
        jmp     report
    .endif
    .set vector, vector + 1
  .endr

        // #VC has a handler of its own in a kernel that serves SEV guests, and so has
        // #DF in such a guest.
        .weak   prologue_isr64_vc, prologue_isr64_sev_df
        .hidden prologue_isr64_vc, prologue_isr64_sev_df
prologue_isr64_vc:
prologue_isr64_sev_df:

        // Stack: vector, error code where the vector has one, RIP, CS, RFLAGS,
        // RSP, SS. Where it has none, a zero is put in its place.
report:
        pushq   %rax
        movl    8(%rsp), %eax
        btl     %eax, with_error_code(%rip)
        jc      1f
        pushq   (%rsp)
        movq    %rax, 8(%rsp)
        movq    $0, 16(%rsp)
1:      SAVE_FRAME64_BUT_RAX
        cld
        movq    %rsp, %rdi
        call    prologue_exception // aligned: the CPU was at 16, 22 quadwords ago
with_error_code:
        .long   VECTORS_WITH_ERROR_CODE

        .section .note.GNU-stack, "", @progbits
