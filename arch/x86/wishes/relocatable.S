// Pulled in by PROLOGUE_WISH_RELOCATABLE: PVH's note that lets a loader move
// the image. (Multiboot 2's header does by prologue_relocate_max, which the
// linker script makes of this symbol being there.)
// Source: Xen public/elfnote.h.
#include "bits.h"

#define XEN_ELFNOTE_PHYS32_RELOC 19

        .section .prologue.notes, "a", @note
        .balign 4
        .long   4, 12, XEN_ELFNOTE_PHYS32_RELOC
        .asciz  "Xen"
        .globl  prologue_relocatable
prologue_relocatable:
        .long   PAGE_BYTES // alignment, lowest start, highest end
        .long   prologue_relocate_min, prologue_relocate_max

        .section .note.GNU-stack, "", @progbits
