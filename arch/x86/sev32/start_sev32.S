// The SEV guest's way from SEV_STATUS to 64-bit mode, beside the straight line of
// entry32.S. Linked unless the kernel wishes for no SEV.

#include "bits.h"
#include "errors.h"
#include "prologue/sev_reasons.h"
#include "sev32.h"
#include "sev_state.h"

#define AT(symbol) %ds:(symbol - sev_base)(%ebp) // %ebp's own segment ends at the stack's bottom

#define NOTE_SNP_CPUID_PAGE 1
#define NOTE_SNP_SECRETS_PAGE 2

// RDRAND may be exhausted for a while (AMD's advice, as Intel's: try ten times).
#define RANDOM_TRIES 10

// From the based code segment, with EBP = its base, to the flat one.
// Leaves ECX = the address of `label`, where it goes on.
.macro GO_FLAT label
        call    1f
1:      popl    %ecx
        leal    (\label - 1b)(%ebp, %ecx), %ecx
        pushl   $SELECTOR_CODE32_FLAT
        pushl   %ecx
        lretl
.endm

// A random value that is not 0, since that is what fresh memory reads as.
.macro RANDOM to
        movl    $RANDOM_TRIES, %eax
1:      decl    %eax
        js      no_random
        rdrand  \to
        jnc     1b
        testl   \to, \to
        jz      1b
.endm

        .text
        .code32

        // Expects EAX, EDX = SEV_STATUS, EBX = the loader's information, ESI = its
        // magic, EBP = entry_base, where the code segment begins; paging off; the
        // 32-bit IDT and the stack's segment that ends. Leaves, at prologue_sev_start64:
        // 64-bit mode, our GDT, our tables, no IDT, and on the stack two words, information
        // and magic.
        .globl  prologue_sev_guest32
        .hidden prologue_sev_guest32
prologue_sev_guest32:
        movl    %eax, %ecx
        call    1f
1:      popl    %edi
        movl    %ecx, (prologue_sev_state + SEV_STATUS - 1b)(%edi, %ebp)
        cld

        // Without ES an exception is reported as on any machine, since the host sees the
        // registers anyway, and there is no other way to tell.
        testl   $SEV_STATUS_ES, %ecx
        jnz     1f
        movl    $SELECTOR_DATA, %ecx
        movl    %ecx, %ss
1:
        pushl   %esi
        pushl   %ebx
        pushl   %edx
        pushl   %eax
        GO_FLAT sev_base
sev_base:
        movl    %ebp, (prologue_sev_entry_base - sev_base)(%ecx)
        movl    %ecx, %ebp
        pushl   $SEV32_START
        call    prologue_sev32
        addl    $12, %esp

        // The proof of the C-bit, begun: what is written with paging off is private.
        // A host that could guess the values could make any memory read like that.
        RANDOM  %ebx
        RANDOM  %edi
        movl    %ebx, AT(proof)
        movl    %edi, AT(proof + 4)
        leal    AT(prologue_sev_start64), %eax
        movl    %eax, AT(far_start64)

        // From here until 64-bit mode has an IDT of its own there is none: no gate would
        // be of the right width all the way, and none have a stack of its own. Whatever
        // comes is a shutdown.
        lidt    AT(prologue_no_idt)
        movl    AT(prologue_sev_state + SEV_CR4), %eax
        movl    %eax, %cr4
        movl    AT(prologue_sev_state + SEV_CR3), %eax
        movl    %eax, %cr3
        movl    $MSR_EFER, %ecx // not whole: SVME, among others, is the processor's here
        rdmsr
        andl    $~EFER_KERNELS, %eax
        orl     $(EFER_LME | EFER_NXE), %eax
        wrmsr
        movl    $CR0_LONG_MODE, %eax
        movl    %eax, %cr0

        // If it reads the same through the tables, they show private memory; not before
        // is any byte believed. Code is fetched from private memory whatever the tables
        // say (APM vol. 2, 15.34.5), so this much can be executed.
        cmpl    %ebx, AT(proof)
        jne     no_proof
        cmpl    %edi, AT(proof + 4)
        jne     no_proof
        ljmpl   *AT(far_start64)

        // With paging off again, memory is what it was.
no_proof:
        movl    $CR0_PROTECTED_MODE, %eax
        movl    %eax, %cr0
        pushl   $PROLOGUE_SEV_C_BIT_PROOF
        jmp     terminate
no_random:
        pushl   $PROLOGUE_SEV_NO_RANDOM
terminate:
        pushl   $SEV32_TERMINATE
        call    prologue_sev32

        // For a guest that has no protocol to end by. EAX = the code, EDX = SEV_STATUS.
fatal:  call    1f
1:      popl    %ebp
        movl    (prologue_sev_entry_base - 1b)(%ebp), %ebp
        movl    $ERROR_SEV, %ecx
        jmp     prologue_fatal32

        // The stage, with the words that it expects before it: sev32.h numbers them.
        .balign 16
        .skip   16 - SEV32_WORDS * 4 % 16
        .long   prologue_segments_end - prologue_sev32
        .long   __ehdr_start - prologue_sev32
        .long   fatal - prologue_sev32
        .long   prologue_sev_wish - prologue_sev32
        .long   prologue_wish_paging - prologue_sev32
        .long   secrets_page - prologue_sev32
        .long   cpuid_page - prologue_sev32
        .long   prologue_ghcb - prologue_sev32
        .long   prologue_ghcb_pt - prologue_sev32
        .long   prologue_early_pd - prologue_sev32
        .long   prologue_early_pdpt - prologue_sev32
        .long   prologue_early_pml5 - prologue_sev32
        .long   prologue_early_pml4 - prologue_sev32
        .long   prologue_sev_state - prologue_sev32
prologue_sev32:
        .incbin "sev32.bin"

        .data
far_start64:
        .long   0
        .short  SELECTOR_CODE64

        .bss
        .balign PAGE_BYTES
        .globl  prologue_ghcb_pt
        .hidden prologue_ghcb_pt
prologue_ghcb_pt:
        .skip   PAGE_BYTES

        // The one page that the host sees.
        .globl  prologue_ghcb
        .hidden prologue_ghcb
prologue_ghcb:
        .skip   PAGE_BYTES

        // Where the launch of an SNP guest is asked to put its two pages: the linker
        // script names the first, and so it is not hidden; C++ has a name of its own for it.
        .globl  prologue_snp_pages, prologue_own_cpuid_page
        .hidden prologue_own_cpuid_page
prologue_snp_pages:
prologue_own_cpuid_page:
cpuid_page:
        .skip   PAGE_BYTES
secrets_page:
        .skip   PAGE_BYTES

        // Behind the pages, since before them it would take one more.
proof:  .skip   8
prologue_sev_entry_base:
        .skip   4

        // The request, in ELF notes for whoever launches the guest without a firmware:
        // owner, type, physical address. See docs/sev.md.
.macro SNP_NOTE type, physical
        .balign 4
        .long   8, 8, \type
        .asciz  "SEV-SNP"
        .quad   \physical
.endm
        .section .prologue.notes, "a", @note
        SNP_NOTE NOTE_SNP_CPUID_PAGE, prologue_snp_cpuid_physical
        SNP_NOTE NOTE_SNP_SECRETS_PAGE, prologue_snp_secrets_physical

        .section .note.GNU-stack, "", @progbits
