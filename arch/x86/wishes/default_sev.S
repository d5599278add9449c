// SEV guests are served: plain, SEV-ES and SNP.
#include "prologue/wishes.h"

        .section .rodata
        .balign 4
        .globl  prologue_wish_sev
prologue_wish_sev:
        .long   1
        PROLOGUE_PULL_(prologue_sev)
        PROLOGUE_PULL_(prologue_sev_any_mode)

        .section .note.GNU-stack, "", @progbits
