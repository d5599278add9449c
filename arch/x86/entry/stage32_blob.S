// The 32-bit stage, linked apart, inside the 64-bit image.

        .text
        .balign 16
        .skip   4 // so that the stage is 16-byte aligned
        .long   prologue_vector_names - prologue_stage32
        .long   __ehdr_start - prologue_stage32
        .long   prologue_wish_qemu_exit - prologue_stage32
        .globl  prologue_stage32
        .hidden prologue_stage32
prologue_stage32:
        .incbin "stage32.bin"

        .section .note.GNU-stack, "", @progbits
