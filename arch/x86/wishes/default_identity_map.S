// No word about the identity map, where there is one about other mappings.
#include "wished_maps.h"

        .section .rodata
        .balign 4
        .globl  prologue_wish_identity_map
prologue_wish_identity_map:
        .quad   IDENTITY_MAP_BY_DEFAULT, 0

        .section .note.GNU-stack, "", @progbits
