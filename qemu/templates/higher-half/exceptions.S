# What the IDT's gates point to: 32 stubs of 16 bytes, one a vector. Each leaves the
# vector above an error code, which is 0 where the CPU pushes none.

    .set WITH_ERROR_CODE, 0x60227d00 # a bit a vector

    .text
    .globl exception_stubs
    .balign 16
exception_stubs:
    .set vector, 0
    .rept 32
    .balign 16
    .if !(WITH_ERROR_CODE >> vector & 1)
    pushq $0
    .endif
    pushq $vector
    jmp exception
    .set vector, vector + 1
    .endr

# Completes an ExceptionFrame on the stack, which the CPU has aligned to 16 bytes,
# and goes back to where it came from, unless on_exception never returns. The
# kernel is compiled without SSE, so its registers need no saving.
exception:
    pushq %r15
    pushq %r14
    pushq %r13
    pushq %r12
    pushq %r11
    pushq %r10
    pushq %r9
    pushq %r8
    pushq %rbp
    pushq %rdi
    pushq %rsi
    pushq %rdx
    pushq %rcx
    pushq %rbx
    pushq %rax
    movq %rsp, %rdi
    cld
    call on_exception
    popq %rax
    popq %rbx
    popq %rcx
    popq %rdx
    popq %rsi
    popq %rdi
    popq %rbp
    popq %r8
    popq %r9
    popq %r10
    popq %r11
    popq %r12
    popq %r13
    popq %r14
    popq %r15
    addq $16, %rsp
    iretq

    .section .note.GNU-stack, "", @progbits
