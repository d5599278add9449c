// PVH: the ELF note through which QEMU, Xen, Cloud Hypervisor and Firecracker
// find the 32-bit entry, and the contract's record for the 64-bit stage.
// Source: Xen public/elfnote.h, docs/misc/pvh.pandoc.

#include "part.inc"
#include "contract_magic.h"

#define XEN_ELFNOTE_PHYS32_ENTRY 18

        .section .prologue.notes, "a", @note
        .balign 4
        .globl  prologue_pvh
prologue_pvh:
        .long   4, 4, XEN_ELFNOTE_PHYS32_ENTRY
        .asciz  "Xen"
        .long   prologue_pvh_entry_physical

        PART    PVH_MAGIC, prologue_parse_pvh, prologue_next_pvh_module
        .section .note.GNU-stack, "", @progbits
