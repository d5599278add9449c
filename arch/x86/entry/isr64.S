// Exceptions in 64-bit mode, Prologue's own and the kernel's until it loads an
// IDT: all 32 vectors, reported by prologue_exception.

#include "bits.h"

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
    .if (VECTORS_WITH_ERROR_CODE >> vector) & 1 == 0
        pushq   $0
    .endif
        pushq   $vector
        jmp     report
    .set vector, vector + 1
  .endr

        // Stack: vector, error code, RIP, CS, RFLAGS, RSP, SS. The CPU aligned
        // it to 16 before; 22 quadwords later it is so again.
report:
        pushq   %r15
        pushq   %r14
        pushq   %r13
        pushq   %r12
        pushq   %r11
        pushq   %r10
        pushq   %r9
        pushq   %r8
        pushq   %rdi
        pushq   %rsi
        pushq   %rbp
        pushq   %rbx
        pushq   %rdx
        pushq   %rcx
        pushq   %rax
        cld
        movq    %rsp, %rdi
        call    prologue_exception

        .section .note.GNU-stack, "", @progbits
