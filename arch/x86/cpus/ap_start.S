// Another processor's way: from real mode, on a borrowed page below 1 MiB, in one step to 64-bit
// mode; then at the kernel's address, on the kernel's tables, to its entry.
// Sources: SDM vol. 3, 9.4.4, 10.8.5 and 11.6.1; APM vol. 2, 14.6.

#include "ap_start.h"
        .include "bounds.inc"

#define FIELD(offset) (prologue_ap_fields - prologue_ap_code + (offset))
#define FIELD64(offset) prologue_ap_fields + (offset)(%rip)

        .text

        // All of them may run here at once: nothing is written, but what an exception leaves.
        .balign 16
        .globl  prologue_ap_code
        .hidden prologue_ap_code
        .code16
prologue_ap_code: // INIT has cleared IF and DF; SEV-ES goes by prologue_ap_held
from_sipi:
        movw    %cs, %ax
        movw    %ax, %ds
        movw    %ax, %ss
        movw    $AP_STACK, %sp
        lidtl   FIELD(AP_IVT_POINTER)
        .globl  prologue_ap_catches
        .hidden prologue_ap_catches
prologue_ap_catches:
        lgdtl   FIELD(AP_GDT_POINTER)
        movl    FIELD(AP_CR4), %eax
        movl    %eax, %cr4
        movl    FIELD(AP_CR3), %eax
        movl    %eax, %cr3
        movl    $MSR_EFER, %ecx // of an SEV-ES guest SVME stays
        rdmsr
        orl     FIELD(AP_EFER), %eax
        wrmsr
        // Protection and paging, and with them the caches that INIT has left off.
        movl    FIELD(AP_CR0), %eax
        movl    %eax, %cr0
        ljmpl   *FIELD(AP_FAR)

        // A firmware's AP reset hold ends in real mode.
        .code16
        .globl  prologue_ap_held
        .hidden prologue_ap_held
prologue_ap_held:
        lidtl   %cs:FIELD(AP_IVT_POINTER) // before there is a stack that an event could move
        cli
        cld
        jmp     from_sipi

        // A firmware's mailbox wakes in 64-bit mode, on tables of its own that show this page.
        .code64
        .globl  prologue_ap_wakes, prologue_ap_long
        .hidden prologue_ap_wakes, prologue_ap_long
prologue_ap_wakes:
        cli
        cld
        lgdt    FIELD64(AP_GDT_POINTER)
        movl    FIELD64(AP_CR3), %eax
        movq    %rax, %cr3
prologue_ap_long:
        movq    FIELD64(AP_SHARED), %rbx
        leaq    AP_SHARED_BYTES(%rbx), %rsp
        lidt    FIELD64(AP_IDT_POINTER)
        .globl  prologue_ap_leaves
        .hidden prologue_ap_leaves
prologue_ap_leaves:
        jmpq    *FIELD64(AP_LANDING)

        // Both tables lead here, with the vector in BL: bytes that mean the same in both modes,
        // up to 40 90, which is INC AX and NOP in real mode and a NOP in 64-bit mode.
        .balign 4
        .globl  prologue_ap_caught
        .hidden prologue_ap_caught
prologue_ap_caught:
  .set vector, 0
  .rept VECTORS
        .byte   0xb3, vector                     // movb $vector, %bl
        .byte   0xeb, 4 * (VECTORS - 1 - vector) // jmp
    .set vector, vector + 1
  .endr
        .byte   0x31, 0xc0                       // xorl %eax, %eax
        .byte   0x40, 0x90
        .byte   0x85, 0xc0                       // testl %eax, %eax
        .byte   0x74, caught64 - caught16        // jz caught64
        .code16
caught16:
        movb    %bl, FIELD(AP_VECTOR)
        lock incl FIELD(AP_FAULTS)
1:      hlt
        jmp     1b
        .code64
caught64: // this page is not writable any more
        movq    FIELD64(AP_SHARED), %rax
        movb    %bl, AP_SHARED_VECTOR(%rax)
        lock incl AP_SHARED_FAULTS(%rax)
1:      hlt
        jmp     1b

        .balign 8
        .globl  prologue_ap_gdt, prologue_ap_fields, prologue_ap_code_end
        .hidden prologue_ap_gdt, prologue_ap_fields, prologue_ap_code_end
prologue_ap_gdt:
        .quad   0
        .quad   0x00af9b000000ffff // 08 64-bit code, accessed already
prologue_ap_fields: // places are within the page, until it is known
        .long   0, 0, 0, 0 // CR0, CR3, CR4, EFER
        .long   prologue_ap_long - prologue_ap_code
        .word   AP_CODE64
        .word   VECTORS * 4 - 1
        .long   AP_IVT
        .word   2 * 8 - 1
        .quad   prologue_ap_gdt - prologue_ap_code
        .word   VECTORS * 16 - 1
        .quad   AP_IDT
        .quad   0, 0 // landing, shared
        .long   0, 0 // faults, vector
prologue_ap_code_end:
        AT_MOST prologue_ap_fields, prologue_ap_code_end, AP_FIELDS_BYTES
        AT_MOST prologue_ap_code, prologue_ap_code_end, AP_IVT // what stands behind it

        // At the kernel's address, which the tables of the way show too. RBX = prologue_ap_shared.
        // From the load of CR3 to the IDT's there is none that could be reached. The first one's
        // gates have no stacks of their own: there is no TSS yet.
        .globl  prologue_ap_lands, prologue_ap_lands_end
        .hidden prologue_ap_lands, prologue_ap_lands_end
prologue_ap_lands:
        movq    AP_SHARED_CR3(%rbx), %rax
        movq    %rax, %cr3
        lidt    AP_SHARED_FIRST_IDT(%rbx)
        movq    AP_SHARED_CR4(%rbx), %rax
        movq    %rax, %cr4
        // PCIDE is set with PCID 0 alone (SDM vol. 3, 4.10.1).
        movq    AP_SHARED_PCID(%rbx), %rax
        movq    %rax, %cr3

        // Who is this?
        movq    %rbx, %rsi
        movl    AP_SHARED_ID_LEAF(%rsi), %eax
        xorl    %ecx, %ecx
        cpuid
        cmpb    $CPUID_TOPOLOGY, AP_SHARED_ID_LEAF(%rsi)
        je      1f
        shrl    $24, %ebx
        movl    %ebx, %edx
1:      movl    %edx, %ecx
        movq    AP_SHARED_AREAS(%rsi), %rax
2:      andl    $AP_PLACES - 1, %ecx
        movq    (%rax,%rcx,8), %rbx
        testq   %rbx, %rbx
        jz      prologue_ap_halts
        incl    %ecx
        cmpl    %edx, AP_AREA_ID(%rbx)
        jne     2b

        // Its own tables and stack.
        .globl  prologue_ap_own
        .hidden prologue_ap_own
prologue_ap_own: // RBX = its area, RSI = prologue_ap_shared
        lgdt    AP_AREA_GDT(%rbx)
        movl    $SELECTOR_DATA, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        movl    $SELECTOR_TSS, %eax
        ltr     %ax
        lidt    AP_SHARED_IDT(%rsi)
        movq    AP_AREA_STACK(%rbx), %rsp
        movl    $MSR_PAT, %ecx
        movl    AP_SHARED_PAT(%rsi), %eax
        movl    AP_SHARED_PAT + 4(%rsi), %edx
        wrmsr
        fninit
        ldmxcsr mxcsr(%rip)

        // Whoever comes late finds the door closed.
        movq    AP_AREA_CPU(%rbx), %rdi
        movl    $AP_STARTING, %eax
        movl    $AP_RUNNING, %ecx
        lock cmpxchgl %ecx, AP_CPU_STATE(%rdi)
        jne     park
        pushq   %rdi
        pushq   %rdi
        xorl    %ebp, %ebp
        call    *AP_SHARED_ENTRY(%rsi)
        popq    %rdi
        movl    $AP_PARKED, AP_CPU_STATE(%rdi)
park:   cli
        leaq    prologue_ap_shared(%rip), %rbx
        jmpq    *AP_SHARED_PARKS(%rbx)

        // A firmware's mailbox wakes once.
        .globl  prologue_ap_waits_awake, prologue_ap_halts, prologue_ap_takes_gs_base
        .hidden prologue_ap_waits_awake, prologue_ap_halts, prologue_ap_takes_gs_base
prologue_ap_waits_awake:
        pause
        cmpl    $AP_STARTING, AP_CPU_STATE(%rdi)
        jne     prologue_ap_waits_awake
        jmp     prologue_ap_lands

prologue_ap_halts:
        hlt
        jmp     prologue_ap_halts
mxcsr:  .long   MXCSR_DEFAULT
prologue_ap_lands_end:

        // An entry for a kernel that wishes for it.
prologue_ap_takes_gs_base:
        movl    $MSR_GS_BASE, %ecx
        movl    AP_CPU_GS_BASE(%rdi), %eax
        movl    AP_CPU_GS_BASE + 4(%rdi), %edx
        wrmsr
        jmpq    *AP_SHARED_ENTRY_BEHIND(%rsi)
        .bss
        .balign PAGE_BYTES
        .globl  prologue_ap_shared
        .hidden prologue_ap_shared
prologue_ap_shared:
        .skip   AP_SHARED_BYTES

        .section .note.GNU-stack, "", @progbits
