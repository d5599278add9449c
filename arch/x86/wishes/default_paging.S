// Four levels: pulled from the archive only where the kernel has no
// PROLOGUE_WISH_PAGING. So it is with every file of this folder.
#include "prologue/wishes.h"

        .section .rodata
        .balign 4
        .globl  prologue_wish_paging
prologue_wish_paging:
        .long   PROLOGUE_PAGING_FOUR

        .section .note.GNU-stack, "", @progbits
