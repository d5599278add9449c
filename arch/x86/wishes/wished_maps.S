// Pulled in by any wish for mappings: the part of the 64-bit stage that knows
// how to grant it, and the end of the list of windows.
#include "part.inc"
#include "contract_magic.h"

        PART    WISHED_MAPS_MAGIC, prologue_plan_maps, prologue_finish_maps

        .globl  prologue_wished_maps
        .set    prologue_wished_maps, part

        // Keeps the list in existence where it has no window.
        .section prologue_windows, "a", @note
        .balign 4

        .section .note.GNU-stack, "", @progbits
