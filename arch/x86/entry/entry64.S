// From the first 64-bit instruction to C++, and from C++ to the kernel.

#include "bits.h"
#include "prologue/handoff.h"
#include "stage32.h"

        .cfi_sections .debug_frame // for gdb alone
        .text
        .code64

        // Expects what entry32.S leaves: identity-mapped, 32-bit registers with
        // undefined upper halves, EDI = the loader's information, ESI = its
        // magic, EBX = CPUID 80000001 EDX, ESP near prologue_stack_top. Or, from
        // long_mode.S to prologue_start64_wide, RDI and RSP whole.
        //
        // Moves to the window, by default the place of the later direct map, by
        // showing the early map there too: addresses taken from now on keep their
        // meaning until the kernel runs, whatever becomes of the low half.
        .globl  prologue_start64
        .hidden prologue_start64
        .globl  prologue_place_of_start64 // for the script, which sees no hidden ones
prologue_place_of_start64:
prologue_start64:
        .cfi_startproc
        .cfi_undefined rip // the outermost frame of every backtrace
        movl    %esp, %esp
        movl    %edi, %edi
        .globl  prologue_start64_wide
        .hidden prologue_start64_wide
prologue_start64_wide:
        leaq    prologue_window(%rip), %rdx
        movq    %cr3, %rax
        movl    (%rdx), %ecx
        addq    %rax, %rcx
        movq    (%rax), %rax
        movq    %rax, (%rcx)
        movq    8(%rdx), %rcx
        movq    %cr4, %rax
        testl   $CR4_LA57, %eax
        jz      1f
        movq    16(%rdx), %rcx
1:      leaq    prologue_in_window(%rip), %rax
        addq    %rcx, %rax
        addq    %rcx, %rsp
        jmpq    *%rax
        .globl  prologue_in_window
        .hidden prologue_in_window
prologue_in_window:
        pushq   $RFLAGS_CLEAR // none of the loader's flags, the direction among them
        popfq
        movl    %esi, %esi
        movl    %ebx, %edx
        xorl    %ebp, %ebp
        call    prologue_stage64
        .cfi_endproc

        // void prologue_enter_kernel(handoff, cr3, distance): does not return.
        // Expects to run in the window, with the early tables showing the
        // kernel's addresses already; `distance` is from here to there.
        // The IDT that catches faults at those addresses is loaded before the
        // tables in which the window is no longer executable.
        .globl  prologue_enter_kernel
        .hidden prologue_enter_kernel
prologue_enter_kernel:
        .cfi_startproc
        .cfi_undefined rip
        movq    %cr3, %rax
        movq    %rax, %cr3
        leaq    at_kernel_address(%rip), %rax
        addq    %rdx, %rax
        jmpq    *%rax
at_kernel_address:
        leaq    prologue_stack_top(%rip), %rsp
        pushq   %rsi
        pushq   %rdi
        call    prologue_install_descriptors
        popq    %rbx
        popq    %rax
        movq    %rax, %cr3

        // The early tables are the kernel's now, as spare pages.
        leaq    prologue_early_pml4(%rip), %rdi
        movl    $(EARLY_TABLES * PAGE_BYTES / 8), %ecx
        xorl    %eax, %eax
        rep     stosq

        // The state that the contract promises: PAT, x87 and SSE control,
        // argument, no frame; the rest stands.
        movl    $MSR_PAT, %ecx
        movl    $(PROLOGUE_PAT & 0xffffffff), %eax
        movl    $(PROLOGUE_PAT >> 32), %edx
        .globl  prologue_writes_pat
        .hidden prologue_writes_pat
prologue_writes_pat:
        wrmsr
        fninit
        pushq   $MXCSR_DEFAULT
        ldmxcsr (%rsp)
        popq    %rax
        movq    %rbx, %rdi
        xorl    %ebp, %ebp
        cld
        .globl  prologue_calls_kernel
        .hidden prologue_calls_kernel
prologue_calls_kernel:
        call    kernel_main
        call    prologue_kernel_returned
        .cfi_endproc

        // What only an SEV guest comes to, in a kernel that serves none: nothing does.
        .weak   prologue_sev_mark_pages, prologue_sev_accept_storage
        .weak   prologue_sev_accept_memory, prologue_sev_finish
        .hidden prologue_sev_mark_pages, prologue_sev_accept_storage
        .hidden prologue_sev_accept_memory, prologue_sev_finish
prologue_sev_mark_pages:
prologue_sev_accept_storage:
prologue_sev_accept_memory:
prologue_sev_finish:
        ud2

        .section .note.GNU-stack, "", @progbits
