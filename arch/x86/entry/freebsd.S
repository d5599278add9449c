// FreeBSD's loaders, userboot for bhyve among them: they enter at e_entry, of which
// they keep 24 bits, with nothing in the registers but a stack. So there is no
// header, and no code of its own: the contract is known by the words on that stack
// (boot/freebsd.cpp).

#include "part.inc"
#include "contract_magic.h"

        .section .prologue.headers, "aR", @progbits
        .globl  prologue_freebsd
prologue_freebsd:

        RECOGNISER prologue_recognise_freebsd
        PART    FREEBSD_MAGIC, prologue_parse_freebsd, prologue_next_freebsd_module
        .section .note.GNU-stack, "", @progbits
