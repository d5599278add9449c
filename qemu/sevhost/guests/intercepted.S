// A guest whose host intercepts the instructions on tables of descriptors: it marks the error
// code of the #VC that each of them becomes, and halts.

        MARKER = 0x4b52414d             // qemu/sevhost/host/exits.cpp
        IDT = 0x5000                    // where it is entered with one
        VECTOR_VC = 29
        CODE = 8
        GATE = 0x8e00                   // present, interrupt gate

        .macro  TRY instruction:vararg
        movl    $1001f, resume
        \instruction
1001:
        .endm

        .section .start, "ax", @progbits
        .code32
        .globl  start
start:
        movl    $handler, %eax
        movzwl  %ax, %ecx
        orl     $CODE << 16, %ecx
        movl    %ecx, IDT + 8 * VECTOR_VC
        movw    $GATE, %ax
        movl    %eax, IDT + 8 * VECTOR_VC + 4

        TRY     sidt table
        TRY     sgdt table
        TRY     sldt %ax
        TRY     str %ax
        TRY     lidt table
        TRY     lgdt table
        TRY     lldt %ax
        TRY     ltr %ax
        hlt

handler:
        popl    %ebx                    // the error code
        movl    $MARKER, %eax
        vmmcall
        movl    resume, %eax
        movl    %eax, (%esp)
        iretl

        .section .bss
resume: .space  4
table:  .space  6

        .section .note.GNU-stack, "", @progbits
