// SNP: memory is accepted before the kernel, unless the loader has done so.
#include "prologue/wishes.h"

        .section .rodata
        .balign 8
        .globl  prologue_wish_snp_accept
prologue_wish_snp_accept:
        .quad   PROLOGUE_ACCEPT_BY_LOADER

        .section .note.GNU-stack, "", @progbits
