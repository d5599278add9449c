// The image is loaded where it is linked for, or not at all.

        .section .rodata
        .balign 4
        .globl  prologue_wish_relocatable
prologue_wish_relocatable:
        .long   0

        .section .note.GNU-stack, "", @progbits
