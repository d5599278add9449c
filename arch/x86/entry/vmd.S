// OpenBSD vmd's direct launch: it enters at e_entry, of which it keeps 28 bits,
// with nothing in the registers but a stack. So there is no header, and no code of
// its own: e_entry serves the three states in which vmd has ever left a CPU, and
// the contract is known by the words on that stack (boot/vmd.cpp).

#include "part.inc"
#include "contract_magic.h"

        .section .prologue.headers, "aR", @progbits
        .globl  prologue_vmd
prologue_vmd:

        RECOGNISER prologue_recognise_vmd
        PART    VMD_MAGIC, prologue_parse_vmd, prologue_next_vmd_module
        .section .note.GNU-stack, "", @progbits
