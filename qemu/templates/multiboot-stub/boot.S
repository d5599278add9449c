/* From GRUB, by Multiboot 1, to kmain in 64-bit mode. The first GiB is mapped twice: where it
 * is, and in the last 2 GiB.
 */
        .set    VIRTUAL, 0xffffffff80000000
        .set    MAGIC, 0x1badb002
        .set    FLAGS, 3

        .section .multiboot, "a"
        .balign 4
        .long   MAGIC, FLAGS, -(MAGIC + FLAGS)

        .section .boot, "ax"
        .code32
        .globl  _start
_start:
        cli
        movl    %eax, %edi
        movl    %ebx, %esi
        movl    $pdpt - VIRTUAL + 3, pml4 - VIRTUAL
        movl    $pdpt - VIRTUAL + 3, pml4 - VIRTUAL + 8 * 511
        movl    $pd - VIRTUAL + 3, pdpt - VIRTUAL
        movl    $pd - VIRTUAL + 3, pdpt - VIRTUAL + 8 * 510
        xorl    %ecx, %ecx
        movl    $0x83, %eax             /* 2 MiB, writable, present */
1:      movl    %eax, pd - VIRTUAL(, %ecx, 8)
        addl    $0x200000, %eax
        incl    %ecx
        cmpl    $512, %ecx
        jne     1b

        movl    %cr4, %eax
        orl     $0x20, %eax             /* PAE */
        movl    %eax, %cr4
        movl    $pml4 - VIRTUAL, %eax
        movl    %eax, %cr3
        movl    $0xc0000080, %ecx       /* EFER.LME */
        rdmsr
        orl     $0x100, %eax
        wrmsr
        movl    %cr0, %eax
        orl     $0x80000000, %eax       /* PG */
        movl    %eax, %cr0
        lgdt    gdt_pointer
        ljmp    $0x08, $long_mode

        .code64
long_mode:
        movl    $0x10, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        movq    $stack_top, %rsp
        movq    $kmain, %rax
        call    *%rax
2:      hlt
        jmp     2b

        .balign 8
gdt:    .quad   0, 0x00af9a000000ffff, 0x00cf92000000ffff
gdt_pointer:
        .word   . - gdt - 1
        .long   gdt

        .bss
        .balign 4096
pml4:   .skip   4096
pdpt:   .skip   4096
pd:     .skip   4096
stack:  .skip   16384
stack_top:

        .section .note.GNU-stack, "", @progbits
