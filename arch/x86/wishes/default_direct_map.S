// No word about the direct map, where there is one about other mappings.
#include "wished_maps.h"

        .section .rodata
        .balign 4
        .globl  prologue_wish_direct_map
prologue_wish_direct_map:
        .quad   DIRECT_MAP_BY_DEFAULT

        .section .note.GNU-stack, "", @progbits
