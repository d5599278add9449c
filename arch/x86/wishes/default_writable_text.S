// Each segment has its own rights, where there is a wish about other mappings.

        .section .rodata
        .balign 4
        .globl  prologue_wish_writable_text
prologue_wish_writable_text:
        .long   0

        .section .note.GNU-stack, "", @progbits
