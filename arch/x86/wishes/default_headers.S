// The headers that an image carries: what QEMU boots without further ado, and
// GRUB.
#include "prologue/wishes.h"

        .section .prologue.headers, "aR", @progbits
        .globl  prologue_wish_headers
prologue_wish_headers:
        PROLOGUE_PULL_(prologue_pvh)
        PROLOGUE_PULL_(prologue_multiboot2)

        .section .note.GNU-stack, "", @progbits
