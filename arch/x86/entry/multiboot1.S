// Multiboot 1: the header, which must lie in the first 8 KiB of the file, and
// the contract's record. The address fields are there for QEMU, which takes no
// ELF64 without them; they say that the file is laid out as memory is.
// Flags are the link's to know: whole pages (1), memory (2), addresses (0x10000) and, with a wish
// whose fields stand behind these, video (4).
// Source: Multiboot Specification 0.6.96, section 3.1.

#include "part.inc"
#include "contract_magic.h"

#define HEADER_MAGIC 0x1badb002

        .section .prologue.headers.multiboot1, "aR", @progbits
        .balign 4
        .globl  prologue_multiboot1
prologue_multiboot1:
        .long   HEADER_MAGIC
        .long   prologue_multiboot1_flags
        .long   prologue_multiboot1_checksum
        .long   prologue_multiboot1_physical
        .long   prologue_load_start
        .long   prologue_load_end
        .long   prologue_bss_end
        .long   prologue_entry_physical

        PART    MULTIBOOT1_MAGIC, prologue_parse_multiboot1, prologue_next_multiboot1_module
        .section .note.GNU-stack, "", @progbits
