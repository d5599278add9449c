// The SEV guest from its first 64-bit instruction to the common path, and #VC in
// 64-bit mode. Linked unless the kernel wishes for no SEV.

#include "bits.h"
#include "contract_magic.h"
#include "frame64.inc"
#include "prologue/sev_reasons.h"
#include "sev_bits.h"
#include "sev_state.h"

        .text
        .code64
        .globl  prologue_sev // by which the wish pulls this in
prologue_sev:

        // Expects what prologue_sev_guest32 leaves. The same as the beginning of
        // entry64.S but for CR3's C-bit; with the GHCB page, so that whatever comes
        // after can be a #VC.
        .globl  prologue_sev_start64
        .hidden prologue_sev_start64
prologue_sev_start64:
        movl    $SELECTOR_DATA, %eax
        movl    %eax, %ss
        movl    %esp, %esp
        movl    (%rsp), %r12d
        movl    4(%rsp), %r13d
        andq    $-16, %rsp
        call    prologue_install_descriptors
        leaq    prologue_window(%rip), %rdx
        movl    (%rdx), %ecx
        movq    %cr3, %rax
        movq    (%rax), %r8
        movq    %r8, (%rax, %rcx)
        orq     prologue_sev_state + SEV_C_BIT_MASK(%rip), %rax
        movq    %rax, %cr3
        movq    8(%rdx), %rbx
        movq    %cr4, %rax
        testl   $CR4_LA57, %eax
        jz      1f
        movq    16(%rdx), %rbx
1:      call    prologue_sev_begin
        movl    %r12d, %edi
        movl    %r13d, %esi
        movq    %rbx, %rcx
        movl    prologue_sev_state + SEV_FEATURES(%rip), %ebx
        leaq    prologue_in_window(%rip), %rax
        addq    %rcx, %rax
        addq    %rcx, %rsp
        jmpq    *%rax

        // The same for a gate of the kernel's, which pushes no vector.
        .globl  prologue_sev_vc
prologue_sev_vc:
        pushq   $VECTOR_VC

        // #VC, Prologue's own and the kernel's until it loads an IDT. Expects the
        // vector on the stack, above the error code.
        .globl  prologue_isr64_vc
        .hidden prologue_isr64_vc
prologue_isr64_vc:
        pushq   %rax
        SAVE_FRAME64_BUT_RAX
        cld
        movq    %rsp, %rdi
        call    prologue_sev_handle_vc // aligned: the CPU was at 16, 22 quadwords ago
        testl   %eax, %eax
        jnz     deliver
        RESTORE_FRAME64
        addq    $16, %rsp
        iretq

        // An exception in its place: nobody handles these here.
deliver:
        movl    %eax, %eax
        movq    %rax, 120(%rsp)
        movq    %rsp, %rdi
        call    prologue_exception

        // #DF in an SEV-ES guest, by its own gate (descriptors.cpp). If #VC's stack is on a
        // page that the host has taken, it is what comes of a #VC, and of each page that its
        // handler then looks at: for ever. So this one looks at none.
        .globl  prologue_isr64_sev_df
        .hidden prologue_isr64_sev_df
prologue_isr64_sev_df:
        movl    $MSR_GHCB, %ecx
        movl    $GHCB_TERMINATION(PROLOGUE_SEV_EXCEPTION(VECTOR_DOUBLE_FAULT)), %eax
        xorl    %edx, %edx
        wrmsr
        rep
        vmmcall
        cli
        hlt
        jmp     prologue_isr64_sev_df

        .section .note.GNU-stack, "", @progbits
