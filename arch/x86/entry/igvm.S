// IGVM: a file of Microsoft's format that is a guest's first state, pages and registers alike.
// prologue-igvm makes it of the kernel, and so the registers are as the common entry wants them:
// 32-bit protected mode, flat segments, EAX = the magic, EBX = the information page. There is no
// header and no code of its own, but a note that tells the tool where to enter.

#include "igvm_note.h"
#include "part.inc"
#include "contract_magic.h"
#include "prologue/wishes.h"

#define IGVM_NOTE_BYTES 8

        .section .prologue.notes, "a", @note
        PROLOGUE_NOTE_HEAD_(IGVM_NOTE, IGVM_NOTE_BYTES)
        .globl  prologue_igvm
prologue_igvm:
        .long   IGVM_CONTRACT
        .long   prologue_known_loader - .

        PART    IGVM_MAGIC, prologue_parse_igvm, prologue_next_igvm_module
        .section .note.GNU-stack, "", @progbits
