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
#include "sev_state.h"

#define WISH_SEV_REQUIRED 1 // byte of the wish: what SEV_STATUS must have
#define GENERAL_PROTECTION (16 * VECTOR_GENERAL_PROTECTION) // its gate in an IDT

        .text
        .code64
        .globl  prologue_any_mode // by which a contract pulls this in
prologue_any_mode:
        .globl  prologue_long_mode
        .hidden prologue_long_mode
prologue_long_mode:
        lidt    prologue_no_idt(%rip) // the loader's handlers would run on our stack
        movq    %rsp, prologue_entry_state + ENTRY_SP(%rip)
        movq    %rsi, prologue_entry_state + ENTRY_SI(%rip)
        movl    $MODE_LONG64, prologue_entry_state + ENTRY_MODE(%rip)
        leaq    prologue_stack_top(%rip), %rsp
        pushq   $RFLAGS_CLEAR // none of the loader's flags, the direction among them
        popfq
        pushq   %rax
        pushq   %rbx

        // CR4 and CR0 whole, but for the depth: what makes the tables uses SSE.
        movq    %cr4, %rcx
        andl    $CR4_LA57, %ecx
        orl     $CR4_LONG_MODE, %ecx
        movq    %rcx, %cr4
        movl    $CR0_LONG_MODE, %ecx
        movq    %rcx, %cr0

        // Own GDT, TSS and IDT, in which no handler says a word yet. Nothing before this
        // could fault or exit.
        movl    $1, prologue_sev_state + SEV_UNKNOWN(%rip)
        call    prologue_install_descriptors
        .globl  prologue_idt64_stands
        .hidden prologue_idt64_stands
prologue_idt64_stands:
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

        // An SEV guest? Most CPUs lack this MSR: for its read #GP's gate leads
        // to general_protection, until the 64-bit stage fills its own IDT. Its offset is at 15:0 and
        // 63:48, written at once, and behind them; that is what it was but in an image across 4 GiB.
        leaq    prologue_idt(%rip), %rcx
        leaq    general_protection(%rip), %rdx
        movq    %rdx, %rax
        shrq    $32, %rax
        movl    %eax, GENERAL_PROTECTION + 8(%rcx)
        movq    GENERAL_PROTECTION(%rcx), %rax
        movw    %dx, %ax
        shrl    $16, %edx
        shlq    $48, %rdx
        shlq    $16, %rax
        shrq    $16, %rax
        orq     %rdx, %rax
        movq    %rax, GENERAL_PROTECTION(%rcx)
        movl    $MSR_SEV_STATUS, %ecx
sev_status_read:
        rdmsr
        testl   %eax, %eax
        jnz     prologue_sev_long_mode
sev_known:
        movl    $0, prologue_sev_state + SEV_UNKNOWN(%rip)
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

        // Is the #GP the host's? See isr32_13.
        cmpb    $0, prologue_sev_wish + WISH_SEV_REQUIRED(%rip)
        jne     fail_sev_required
        movl    $CPUID_EXTENDED_MAX, %eax
        cpuid
        cmpl    $CPUID_ENCRYPTION, %eax
        jb      sev_known
        movl    $CPUID_ENCRYPTION, %eax
        cpuid
        testb   $ENCRYPTION_EAX_ES, %al
        jz      sev_known
        movl    $PROLOGUE_SEV_HIDDEN, %edi
        jmp     prologue_sev_unknown_end
fail_sev_required:
        movl    $PROLOGUE_SEV_MISSING, %edi
        jmp     prologue_sev_unknown_end

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
