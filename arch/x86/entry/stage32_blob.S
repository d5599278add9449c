// The 32-bit stage, linked apart, inside the 64-bit image.

        .section .text.prologue_stage32, "ax", @progbits
        .balign 16
        .skip   8 // so that the stage is 16-byte aligned
        .long   __ehdr_start - prologue_stage32
        .long   prologue_wishes - prologue_stage32
        .globl  prologue_stage32
        .hidden prologue_stage32
prologue_stage32:
        .incbin "stage32.bin"

        .section .note.GNU-stack, "", @progbits
