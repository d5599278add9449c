// The entry of a guest that stays in 32-bit mode: the first bytes of its image.

        .section .start, "ax", @progbits
        .code32

// Expects what PVH promises: flat segments, paging off, EBX = hvm_start_info.
// Leaves a stack, our GDT, and the start info as the first argument.
        .globl  start
start:
        movl    $stack_top, %esp
        lgdt    gdt_pointer
        ljmp    $0x08, $1f              // kSelectorCode32
1:      movw    $0x10, %ax              // kSelectorData
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movw    %ax, %fs
        movw    %ax, %gs
        pushl   %ebx
        call    guest_main

gdt_pointer:
        .word   9 * 8 - 1               // kGdtEntries
        .long   gdt

        .section .bss
        .balign 4096
        .space  0x4000
        .globl  stack_top
stack_top:
