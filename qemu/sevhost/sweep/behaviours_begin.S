// Where the state of the hostile behaviours begins: linked before them (sevhost.mk).

        .section .data.behaviours_begin, "aw", @progbits
        .globl  behaviours_data_begin
        .balign 8
behaviours_data_begin:
        .quad   0

        .section .bss.behaviours_begin, "aw", @nobits
        .globl  behaviours_bss_begin
        .balign 8
behaviours_bss_begin:
        .skip   8

        .section .note.GNU-stack, "", @progbits
