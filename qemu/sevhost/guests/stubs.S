// A stub for each vector: it saves what exceptions.h calls a Frame, and calls on_exception
// with it. What that changes in it, the interrupted code will see.

        .text

#ifdef __x86_64__
#define PUSH pushq
#else
#define PUSH pushl
#endif

        // Vectors 8, 10 to 14, 17, 21, 29, 30
        PUSHES_ERROR_CODE = 0x60227d00

// Every stub is 16 bytes.
        .globl  stubs
        .balign 16
stubs:
        .set    vector, 0
        .rept   32
        .balign 16
        .if     !(PUSHES_ERROR_CODE >> vector & 1)
        PUSH    $0
        .endif
        PUSH    $vector
        jmp     common
        .set    vector, vector + 1
        .endr

common:
#ifdef __x86_64__
        pushq   %rax
        pushq   %rcx
        pushq   %rdx
        pushq   %rbx
        pushq   %rbp
        pushq   %rsi
        pushq   %rdi
        pushq   %r8
        pushq   %r9
        pushq   %r10
        pushq   %r11
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        movq    %rsp, %rdi
        call    on_exception
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %r11
        popq    %r10
        popq    %r9
        popq    %r8
        popq    %rdi
        popq    %rsi
        popq    %rbp
        popq    %rbx
        popq    %rdx
        popq    %rcx
        popq    %rax
        addq    $16, %rsp               // vector and error code
        iretq
#else
        pushal
        pushl   %esp
        call    on_exception
        addl    $4, %esp
        popal
        addl    $8, %esp                // vector and error code
        iretl
#endif

// For an interrupt that nobody asked for: it is not acknowledged, so that none follows.
        .globl  ignore_interrupt, ticks
ignore_interrupt:
        incl    ticks
#ifdef __x86_64__
        iretq
#else
        iretl
#endif

        .section .bss
        .balign 4
ticks:  .space  4

        .section .note.GNU-stack, "", @progbits
