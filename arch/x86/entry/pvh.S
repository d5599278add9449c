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
        // An empty note. QEMU looks here for the entry where a linker has aligned the segment to
        // 8 (read_pvh_start_addr in hw/i386/x86.c), finds 0, and says that there is none.
        .long   0, 0, 0

        PART    PVH_MAGIC, prologue_parse_pvh, prologue_next_pvh_module
        .section .note.GNU-stack, "", @progbits
