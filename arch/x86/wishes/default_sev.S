// SEV guests are served: plain, SEV-ES and SNP. As default_headers.S.
#include "prologue/wishes.h"

        .section .prologue.headers, "aR", @progbits
        .globl  prologue_default_sev
        .weak   prologue_wish_sev
prologue_default_sev:
prologue_wish_sev:
        PROLOGUE_PULL_(prologue_sev)
        PROLOGUE_PULL_(prologue_sev_any_mode)

        .section .note.GNU-stack, "", @progbits
