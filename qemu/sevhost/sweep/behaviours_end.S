// And where it ends: linked behind them.

        .section .data.behaviours_end, "aw", @progbits
        .globl  behaviours_data_end
        .balign 8
behaviours_data_end:
        .quad   0

        .section .bss.behaviours_end, "aw", @nobits
        .globl  behaviours_bss_end
        .balign 8
behaviours_bss_end:
        .skip   8

        .section .note.GNU-stack, "", @progbits
