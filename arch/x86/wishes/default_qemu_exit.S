// A fatal end only halts.

        .section .rodata
        .balign 4
        .globl  prologue_wish_qemu_exit
prologue_wish_qemu_exit:
        .long   0

        .section .note.GNU-stack, "", @progbits
