// The stub's beginning, and what of it C++ cannot say: the last step to the kernel,
// and where faults arrive.

#include "bits.h"
#include "stub_header.h"

#define CR4_PGE 0x80

        .section .stub.header, "a", @progbits
        .globl  prologue_efi_header
        .hidden prologue_efi_header
prologue_efi_header:
        .quad   STUB_MAGIC
        .long   prologue_efi_code_end - prologue_efi_header
        .long   prologue_efi_data - prologue_efi_header
        .long   prologue_efi_end - prologue_efi_header
        .long   prologue_efi_main - prologue_efi_header
        .skip   48 // the maker's

        .text
        .code64

        // void prologue_efi_enter(cr3, entry, boot_params)
        // Expects the boot services ended, and tables that show the stub and the
        // kernel at their own addresses. Leaves what Linux's protocol says for a
        // start in 64-bit mode, but for the descriptors, which are the firmware's
        // still: the kernel's entry has its own. Global pages go with CR4.PGE.
        .globl  prologue_efi_enter
        .hidden prologue_efi_enter
prologue_efi_enter:
        cli
        cld
        movq    %cr4, %rax
        andl    $~CR4_PGE, %eax
        movq    %rax, %cr4
        movq    %rdi, %cr3
        movq    %rsi, %rax
        movq    %rdx, %rsi
        xorl    %ebx, %ebx
        xorl    %ebp, %ebp
        xorl    %edi, %edi
        jmpq    *%rax

        // void prologue_efi_enter_running(entry, boot_params)
        .globl  prologue_efi_enter_running
        .hidden prologue_efi_enter_running
prologue_efi_enter_running:
        movq    %rdi, %rax
        jmpq    *%rax

        .section .note.GNU-stack, "", @progbits
