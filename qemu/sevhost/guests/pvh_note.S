// PVH's note: the 32-bit entry.

        .section .note.Xen, "a", @note
        .balign 4
        .long   4, 4, 18                // XEN_ELFNOTE_PHYS32_ENTRY
        .asciz  "Xen"
        .long   start
