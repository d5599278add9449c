/* What a kernel's notes are to wished_maps.cpp, where a test can change it: see
 * prologue/wishes.h. There are always kWindows windows. */
        .data
        .balign 8
        .globl  prologue_wish_direct_map, prologue_wish_identity_map, prologue_wish_writable_text
        .hidden prologue_wish_direct_map, prologue_wish_identity_map, prologue_wish_writable_text
prologue_wish_direct_map:
        .quad   0
prologue_wish_identity_map:
        .quad   0, 0
prologue_wish_writable_text:
        .long   0

        .balign 8
        .globl  __start_prologue_windows, __stop_prologue_windows
__start_prologue_windows:
        .skip   3 * 56
__stop_prologue_windows:

        .section .note.GNU-stack, "", @progbits
