// Pulled in by PROLOGUE_WISH_RELOCATABLE: PVH's note that lets a loader move the image,
// and Multiboot 2's tag. Without the wish there is neither: GRUB 2.06 on UEFI refuses an
// image with the tag that is larger than its address less 1 MiB, if it may not be moved.
// Sources: Xen public/elfnote.h; Multiboot2 Specification 2.0, section 3.1.11.
#include "bits.h"

#define XEN_ELFNOTE_PHYS32_RELOC 19
#define TAG_RELOCATABLE 10
#define PREFER_LOWEST 1

        .section .prologue.notes, "a", @note
        .balign 4
        .long   4, 12, XEN_ELFNOTE_PHYS32_RELOC
        .asciz  "Xen"
        .globl  prologue_relocatable
prologue_relocatable:
        .long   PAGE_BYTES // alignment, lowest start, highest end
        .long   prologue_relocate_min, prologue_relocate_max

        .section .prologue.headers.multiboot2.wishes, "aR", @progbits
        .balign 8
        .short  TAG_RELOCATABLE, 0
        .long   24
        .long   prologue_relocate_min, prologue_relocate_max
        .long   PAGE_BYTES
        .long   PREFER_LOWEST

        .section .note.GNU-stack, "", @progbits
