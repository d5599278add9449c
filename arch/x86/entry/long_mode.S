// The one entry, in 64-bit mode: from the loader's jump to prologue_start64, on
// tables of our own. Pulled in by the contracts that come in this mode.
//
// Expects: 64-bit mode with four or five levels, this image mapped where it
// lies, all of it, with the loader's information; interrupts off; .bss zero;
// EAX and RBX as for the 32-bit entry, or RSI = boot_params.
// Not expected: a stack, a GDT, a known selector, any bit of CR4 but PAE.

#include "bits.h"
#include "contract_magic.h"
#include "entry_state.h"
#include "part.inc"
#include "prologue/sev_reasons.h"
#include "sev_bits.h"

#define GENERAL_PROTECTION (16 * VECTOR_GENERAL_PROTECTION) // its gate in an IDT

        .text
        .code64
        .globl  prologue_any_mode // by which a contract pulls this in
prologue_any_mode:
        .globl  prologue_long_mode
        .hidden prologue_long_mode
prologue_long_mode:
        movq    %rsp, prologue_entry_state + ENTRY_SP(%rip)
        movq    %rsi, prologue_entry_state + ENTRY_SI(%rip)
        movl    $MODE_LONG64, prologue_entry_state + ENTRY_MODE(%rip)
        leaq    prologue_stack_top(%rip), %rsp
        pushq   $RFLAGS_CLEAR // none of the loader's flags, the direction among them
        popfq
        pushq   %rax
        pushq   %rbx

        // Own GDT, whose selectors the IDT's gates hold.
        leaq    prologue_gdt(%rip), %rcx
        pushq   %rcx
        pushw   $(GDT_BYTES - 1)
        lgdt    (%rsp)
        leaq    10(%rsp), %rsp
        movl    $SELECTOR_DATA, %ecx
        movl    %ecx, %ds
        movl    %ecx, %es
        movl    %ecx, %ss
        movl    %ecx, %fs
        movl    %ecx, %gs
        pushq   $SELECTOR_CODE64
        leaq    own_segments(%rip), %rcx
        pushq   %rcx
        lretq
own_segments:

        // CR4 and CR0 whole, but for the depth: what makes the IDT uses SSE.
        movq    %cr4, %rcx
        andl    $CR4_LA57, %ecx
        orl     $CR4_LONG_MODE, %ecx
        movq    %rcx, %cr4
        movl    $CR0_LONG_MODE, %ecx
        movq    %rcx, %cr0

        // Own IDT. Nothing before this could fault or exit.
        call    prologue_install_idt
        .globl  prologue_idt64_stands
        .hidden prologue_idt64_stands
prologue_idt64_stands:

        // An SEV guest? Most CPUs lack this MSR: for its read #GP's gate leads
        // to general_protection, until the 64-bit stage fills its own IDT.
        subq    $16, %rsp
        sidt    6(%rsp)
        movq    8(%rsp), %rcx
        leaq    general_protection(%rip), %rax
        movw    %ax, GENERAL_PROTECTION(%rcx)
        shrq    $16, %rax
        movw    %ax, GENERAL_PROTECTION + 6(%rcx)
        shrq    $16, %rax
        movl    %eax, GENERAL_PROTECTION + 8(%rcx)
        movl    $MSR_SEV_STATUS, %ecx
sev_status_read:
        rdmsr
sev_status_known:
        addq    $16, %rsp
        testl   %eax, %eax
        jnz     prologue_sev_long_mode

        movq    (%rsp), %rdi
        movl    8(%rsp), %esi
        call    prologue_leave_loaders_tables
        movl    %eax, %ebx
        popq    %rdi
        popq    %rsi
        jmp     prologue_start64_wide

        // Stack: error code, RIP, CS, RFLAGS, RSP, SS.
general_protection:
        leaq    sev_status_read(%rip), %rax
        cmpq    %rax, 8(%rsp)
        jne     prologue_isr64 + VECTOR_GENERAL_PROTECTION * ISR64_STRIDE
        movq    32(%rsp), %rsp
        xorl    %eax, %eax
        jmp     sev_status_known

        // An SEV guest, in a kernel that wishes for none.
        .weak   prologue_sev_long_mode
        .hidden prologue_sev_long_mode
prologue_sev_long_mode:
        movl    %eax, %esi
        movl    $PROLOGUE_SEV_LEFT_OUT, %edi
        testl   $SEV_STATUS_ES, %eax
        jz      prologue_refuse_sev
        movl    $MSR_GHCB, %ecx
        movl    $GHCB_TERMINATION(PROLOGUE_SEV_LEFT_OUT), %eax
        xorl    %edx, %edx
        wrmsr
        rep
        vmmcall
1:      hlt
        jmp     1b

        RECOGNISER prologue_recognise_pvh
        .section .note.GNU-stack, "", @progbits
