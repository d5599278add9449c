/* The public headers in assembly: their constants. */
#include "prologue/handoff.h"
#include "prologue/wishes.h"

        .section .rodata
        .balign 8
        .globl handoff_constants_in_assembly
handoff_constants_in_assembly:
        .quad   PROLOGUE_HANDOFF_MAGIC
        .quad   PROLOGUE_HANDOFF_VERSION
        .quad   PROLOGUE_DIRECT_MAP_4_LEVEL
        .quad   PROLOGUE_DIRECT_MAP_5_LEVEL
        .quad   PROLOGUE_SELECTOR_CODE64
        .quad   PROLOGUE_SELECTOR_DATA
        .quad   PROLOGUE_SELECTOR_TSS
        .quad   PROLOGUE_PAT
        .quad   PROLOGUE_PAGING_BEST
        .quad   PROLOGUE_PAGING_FOUR
        .quad   PROLOGUE_PAGING_FIVE
        .quad   PROLOGUE_EXIT_PORT
        .quad   PROLOGUE_EXIT_SUCCESS
        .quad   PROLOGUE_EXIT_FATAL

        .section .note.GNU-stack, "", @progbits
