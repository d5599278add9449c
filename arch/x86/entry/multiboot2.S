// Multiboot 2: the header, which must lie in the first 32 KiB of the file, and
// the contract's record. GRUB enters at e_entry, moved along with the image.
// Source: Multiboot2 Specification 2.0, sections 3.1.1 to 3.1.12.

#include "part.inc"
#include "contract_magic.h"

#define HEADER_MAGIC 0xe85250d6
#define ARCHITECTURE_I386 0
#define TAG_END 0
#define TAG_MODULE_ALIGN 6

        // Its length is the link's to know: tags of a wish may stand before the end.
        .section .prologue.headers.multiboot2, "aR", @progbits
        .balign 8
        .globl  prologue_multiboot2
prologue_multiboot2:
        .long   HEADER_MAGIC
        .long   ARCHITECTURE_I386
        .long   prologue_multiboot2_bytes
        .long   prologue_multiboot2_checksum

        .balign 8
        .short  TAG_MODULE_ALIGN, 0
        .long   8

        .section .prologue.headers.multiboot2.end, "aR", @progbits
        .balign 8
        .short  TAG_END, 0
        .long   8

        PART    MULTIBOOT2_MAGIC, prologue_parse_multiboot2, prologue_next_multiboot2_module
        .section .note.GNU-stack, "", @progbits
