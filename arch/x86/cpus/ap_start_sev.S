// Another processor's way in an SEV-ES or SNP guest: to its own stack and GHCB page without an IDT,
// and on as everywhere. Sources: AMD 56421, 4.1.5, 4.1.9 and 4.3; APM vol. 2, 15.35.

#include "ap_start.h"
#include "sev_bits.h"

        .text
        .code64

        // SEV-ES, from the way's tables. Expects RBX = prologue_ap_shared, and leaves, at `arrives`,
        // RBX = the area of whom SIPI was for: it is given away once. Nothing that could be a #VC.
        .globl  prologue_ap_lands_es, prologue_ap_lands_es_end
        .hidden prologue_ap_lands_es, prologue_ap_lands_es_end
prologue_ap_lands_es:
        movq    AP_SHARED_CR3(%rbx), %rax
        movq    %rax, %cr3
        movq    AP_SHARED_CR4(%rbx), %rax
        movq    %rax, %cr4
        movq    AP_SHARED_PCID(%rbx), %rax
        movq    %rax, %cr3
prologue_ap_lands_es_end:
1:      xorl    %eax, %eax
        xchgq   %rax, AP_SHARED_NEXT(%rbx)
        testq   %rax, %rax
        jnz     2f
        // Nobody was called, or another: back to wait (AP Reset Hold, by the MSR).
        movl    $MSR_GHCB, %ecx
        movl    $GHCB_MSR_RESET_HOLD_REQUEST, %eax
        xorl    %edx, %edx
        wrmsr
        rep
        vmmcall
        jmp     1b
2:      movq    %rax, %rbx

        // SNP begins here, by its save area. RBX = the area.
        .globl  prologue_ap_arrives
        .hidden prologue_ap_arrives
prologue_ap_arrives:
        movq    AP_AREA_STACK(%rbx), %rsp
        movq    %rbx, %rdi
        call    prologue_ap_joins
        leaq    prologue_ap_shared(%rip), %rsi
        jmp     prologue_ap_own

        // SEV-ES: its entry has returned. RDI = its prologue_cpu.
        .globl  prologue_ap_is_held
        .hidden prologue_ap_is_held
prologue_ap_is_held:
        andq    $-16, %rsp
        call    prologue_ap_holds
        movq    %rax, %rbx
        jmp     prologue_ap_arrives

        .section .note.GNU-stack, "", @progbits
