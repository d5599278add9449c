// The switch between four and five levels of paging: out of long mode and back,
// for CR4.LA57 changes only there (SDM 4.1.1, "LA57"). What runs with paging off
// is a copy of depth_code, on a page below 4 GiB.

#include "bits.h"
#include "depth_switch.h"
        .include "bounds.inc"

#define IN_CODE(symbol) (symbol - prologue_depth_code)
#define CODE64 0x08
#define CODE32 0x10

        .cfi_sections .debug_frame // for gdb alone
        .text
        .code64

        // void prologue_switch_depth(RDI = the code page, below 4 GiB; RSI = the
        // top-level table for the way, below 4 GiB; RDX = the CR3 to end with;
        // RCX = where the code page is seen writable)
        // Expects: 64-bit mode; the code page at its own address, and this code, the
        // stack, GDT and IDT where they are, in the tables now, in RSI's and in RDX's.
        // Leaves: the other depth, CR3 = RDX, CR4.PCIDE clear, all else as it was, the
        // upper halves of registers too, which the CPU need not keep (SDM vol. 1,
        // 3.4.1.1). EFER is not touched: LME outlives paging.
        //
        // From the first LIDT to the last there is no IDT, and so no gate of a width
        // that is wrong on part of the way: an NMI or machine check resets the machine.
        .globl  prologue_switch_depth
        .hidden prologue_switch_depth
prologue_switch_depth:
        pushq   %rbx
        pushq   %rbp
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        pushfq
        cli
        pushq   %rdx
        movl    %cs, %eax
        pushq   %rax
        subq    $32, %rsp
        sgdt    (%rsp)
        sidt    16(%rsp)

        // PG cannot be cleared while PCIDE is set (SDM 4.10.1).
        movq    %cr4, %rax
        btrq    $CR4_PCIDE_BIT, %rax
        jnc     1f
        movq    %rax, %cr4
1:
        // The copy's far pointer and GDT hold its address.
        leal    IN_CODE(depth_arrive)(%rdi), %eax
        movl    %eax, IN_CODE(depth_far)(%rcx)
        leal    IN_CODE(depth_gdt)(%rdi), %eax
        movl    %eax, IN_CODE(depth_gdt_pointer + 2)(%rcx)
        lidt    prologue_no_idt(%rip)
        lgdt    IN_CODE(depth_gdt_pointer)(%rcx)
        .globl  prologue_toggles_depth
        .hidden prologue_toggles_depth
prologue_toggles_depth:
        call    toggle
        .globl  prologue_toggled_depth
        .hidden prologue_toggled_depth
prologue_toggled_depth:
        movq    40(%rsp), %rax
        movq    %rax, %cr3
        lgdt    (%rsp)
        pushq   32(%rsp)
        leaq    own_cs(%rip), %rax
        pushq   %rax
        lretq
own_cs: lidt    16(%rsp)
        addq    $48, %rsp
        popfq
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %rbp
        popq    %rbx
        ret

toggle: movq    %rsp, IN_CODE(depth_sp)(%rcx)
        pushq   $CODE32
        pushq   %rdi
        lretq

        // Compatibility mode, on the copy: EDI = its address, ESI = the table. No
        // stack; no data segment either, which 64-bit code may have left null.
        .balign 8
        .globl  prologue_depth_code, prologue_depth_code_end
        .hidden prologue_depth_code, prologue_depth_code_end
        .code32
prologue_depth_code:
        movl    %cr0, %eax
        btrl    $CR0_PG_BIT, %eax
        movl    %eax, %cr0
        movl    %esi, %cr3
        movl    %cr4, %ecx      // MCE as it is: without it a machine check is a silent end
        btcl    $CR4_LA57_BIT, %ecx
        movl    %ecx, %cr4
        btsl    $CR0_PG_BIT, %eax
        movl    %eax, %cr0
        ljmpl   *%cs:IN_CODE(depth_far)(%edi)
        .code64
depth_arrive:
        movq    depth_sp(%rip), %rsp
        ret
depth_far:
        .long   0
        .short  CODE64
depth_gdt_pointer:
        .short  depth_gdt_end - depth_gdt - 1
        .quad   0
        .balign 8
depth_gdt: // accessed already: nothing is written to it
        .quad   0
        .quad   0x00af9b000000ffff // 08 64-bit code
        .quad   0x00cf9b000000ffff // 10 32-bit code
depth_gdt_end:
depth_sp:
        .quad   0
prologue_depth_code_end:
        AT_MOST prologue_depth_code, prologue_depth_code_end, PAGE_BYTES

        .section .note.GNU-stack, "", @progbits
