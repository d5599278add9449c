// CPUID in 32-bit mode, as Prologue itself never executes it there in an SEV-ES guest: between
// the read of SEV_STATUS and what the library does with it, so that the library's own gate and
// handler serve it. Linked with --wrap=prologue_sev_guest32.

#include "bits.h"
#include "cpuid32.h"
#include "sev_bits.h"
#include "sev_state.h"

#define START_INFO_CMDLINE 0x18
#define LEAVES ((leaves_end - leaves) / 4)
#define WORDS_BEHIND_HANDLER 8 // EAX, EBX, ECX, EDX, ESI, EDI, EBP, EFLAGS

        .text
        .code32

        // Expects what prologue_sev_guest32 does: EAX, EDX = SEV_STATUS, EBX = the start info,
        // EBP = where the code segment begins. Leaves all of it.
        .globl  __wrap_prologue_sev_guest32
__wrap_prologue_sev_guest32:
        pushal
        call    1f
1:      popl    %esi
        addl    %ebp, %esi
        movl    %eax, (prologue_sev_state + SEV_STATUS - 1b)(%esi)
        testl   $SEV_STATUS_ES, %eax
        jz      done

        // A digit on the command line: the leaf of that number is to be refused.
        movl    START_INFO_CMDLINE(%ebx), %eax
        movzbl  (%eax), %eax
        subl    $'0', %eax
        jb      all_leaves
        movl    (refused + 4 - 1b)(%esi, %eax, 8), %ecx
        movl    (refused - 1b)(%esi, %eax, 8), %eax
        cpuid

        // All others in the based code segment, then in the flat one.
all_leaves:
        leal    (cpuid32_results - 1b)(%esi), %edi
        leal    (leaves - 1b)(%esi), %esi
        call    ask_leaves
        leal    (in_flat - leaves)(%esi), %eax
        pushl   $SELECTOR_CODE32_FLAT
        pushl   %eax
        lretl
in_flat:
        call    ask_leaves
        leal    (done - leaves)(%esi), %eax
        subl    %ebp, %eax
        pushl   $SELECTOR_CODE32_BASED
        pushl   %eax
        lretl
done:   popal
        jmp     __real_prologue_sev_guest32

        // ESI = leaves; EDI = where the results go, moved behind them. A result: what the
        // registers are behind CPUID, and EAX, EBX, ECX, EDX as the MSR protocol has them.
ask_leaves:
        pushl   %esi
        pushl   %ebp
        movl    $LEAVES, %ebp
1:      lodsl
        pushl   %eax
        call    execute
        popl    %eax
        call    ask_by_protocol
        decl    %ebp
        jnz     1b
        popl    %ebp
        popl    %esi
        ret

        // EAX = leaf. Moves EDI; clobbers EAX, EBX, ECX, EDX.
execute:
        pushl   %esi
        pushl   %ebp
        pushl   %edi
        movl    $CPUID32_SI, %esi
        movl    $CPUID32_DI, %edi
        movl    $CPUID32_BP, %ebp
        xorl    %ecx, %ecx
        stc
        std
        cpuid
        pushfl
        cld
        pushl   %ebp
        pushl   %edi
        pushl   %esi
        pushl   %edx
        pushl   %ecx
        pushl   %ebx
        pushl   %eax
        movl    (4 * WORDS_BEHIND_HANDLER)(%esp), %edi
        movl    $WORDS_BEHIND_HANDLER, %ecx
1:      popl    %eax
        stosl
        decl    %ecx
        jnz     1b
        addl    $4, %esp
        popl    %ebp
        popl    %esi
        ret

        // EAX = leaf. Moves EDI; clobbers EAX, EBX, ECX, EDX.
ask_by_protocol:
        movl    %eax, %ebx
        pushl   %ebp
        xorl    %ebp, %ebp // which register, in bits 31:30
        movl    $MSR_GHCB, %ecx
1:      leal    GHCB_MSR_CPUID_REQUEST(%ebp), %eax
        movl    %ebx, %edx
        wrmsr
        rep
        vmmcall
        rdmsr
        movl    %edx, %eax
        stosl
        addl    $0x40000000, %ebp
        jnz     1b
        popl    %ebp
        ret

        .balign 4
leaves: .long   CPUID32_LEAVES
leaves_end:

        // Leaf and sub-leaf that the protocol cannot ask for.
refused:
        .long   4, 0
        .long   7, 1
        .long   0xd, 0

        .section .note.GNU-stack, "", @progbits
