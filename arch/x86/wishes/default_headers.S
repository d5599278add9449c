// The headers that an image carries: what QEMU boots without further ado, and GRUB.
// Pulled from the archive where nothing that was linked before has PROLOGUE_WISH_HEADERS.
// Weak, so that prologue-wishes.ld has the word where the wish comes behind it.
#include "prologue/wishes.h"

        .section .prologue.headers, "aR", @progbits
        .globl  prologue_default_headers
        .weak   prologue_wish_headers
prologue_default_headers:
prologue_wish_headers:
        PROLOGUE_PULL_(prologue_pvh)
        PROLOGUE_PULL_(prologue_multiboot2)

        .section .note.GNU-stack, "", @progbits
