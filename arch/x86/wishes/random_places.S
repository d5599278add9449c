// Pulled in by PROLOGUE_WISH_RANDOM: the part of the 64-bit stage that knows how to grant it.
// What it changes of the maps is done by the part of theirs.
#include "part.inc"
#include "contract_magic.h"

        PART    RANDOM_PLACES_MAGIC, prologue_choose_places, prologue_slide_image

        .globl  prologue_random_places
        .set    prologue_random_places, part

        // From the image's first byte on.
        .section .rodata.prologue_dynamic, "a", @progbits
        .globl  prologue_dynamic
        .hidden prologue_dynamic
        .balign 8
prologue_dynamic:
        .quad   prologue_linked_dynamic

        .section .note.GNU-stack, "", @progbits
