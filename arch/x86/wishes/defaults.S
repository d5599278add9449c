// What is wished for where the kernel says nothing: prologue-wishes.ld gives these the
// names that the boot reads. Always linked; kept by prologue-parts.ld.
#include "bits.h"
#include "prologue/handoff.h"
#include "prologue/wishes.h"
#include "wished_maps.h"

.macro DEFAULT name
        .globl  prologue_default_\name
prologue_default_\name:
.endm

        .section .prologue.defaults, "aR", @progbits
        .balign 8

        // Where the 64-bit stage sees physical memory, as an entry of the top-level table
        // (times 8) and as an address, with four levels and with five: where the direct
        // map will be, so that its pointers hold for the kernel; or, with a wish for
        // that map, where the kernel cannot be.
        DEFAULT window
        .quad   8 * UPPER_HALF_ENTRY, PROLOGUE_DIRECT_MAP_4_LEVEL, PROLOGUE_DIRECT_MAP_5_LEVEL
        DEFAULT window_beside_wish
        .quad   8 * 1, 0x8000000000, 0x1000000000000

        DEFAULT direct_map
        .quad   DIRECT_MAP_BY_DEFAULT
        DEFAULT identity_map
        .quad   IDENTITY_MAP_BY_DEFAULT, 0
        DEFAULT snp_accept
        .quad   PROLOGUE_ACCEPT_BY_LOADER
        DEFAULT free_behind_image
        .quad   0
        DEFAULT paging
        .long   PROLOGUE_PAGING_FOUR
        DEFAULT sev_wish
        .long   PROLOGUE_SEV_SERVED
        DEFAULT relocatable
        DEFAULT writable_text
        DEFAULT qemu_exit
        .long   0

        // Not loaded: behind it nothing is. See prologue-symbols.ld.
        .section .prologue.end, "", @progbits
        .byte   0

        .section .note.GNU-stack, "", @progbits
