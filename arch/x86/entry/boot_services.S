// Multiboot 2 with UEFI's boot services running: the header's tags that ask for
// them, the entry, and the way back into the firmware. Pulled in by
// PROLOGUE_WISH_BOOT_SERVICES.
// Sources: Multiboot2 Specification 2.0, sections 3.1.8, 3.1.10 and 3.4; UEFI 2.10,
// section 2.3.4.

#include "bits.h"
#include "contract_magic.h"
#include "linux_note.h"
#include "part.inc"
#include "prologue/wishes.h"

#define TAG_ENTRY 3
#define TAG_BOOT_SERVICES 7
#define TAG_ENTRY_EFI64 9

#define SHADOW_BYTES 32 // for the first four arguments
#define FIRMWARE_CODE_BYTES 256

        .section .prologue.headers.multiboot2.wishes, "aR", @progbits
        // Limine knows the tag for EFI's entry only behind one for the entry without EFI.
        .balign 8
        .short  TAG_ENTRY, 0
        .long   12
        .long   prologue_entry_physical
        .long   0 // padding
        .short  TAG_BOOT_SERVICES, 0
        .long   8
        .short  TAG_ENTRY_EFI64, 0
        .long   12
        .long   prologue_boot_services_physical
        .long   0 // padding

        // In the headers, where its address is known to the linker script.
        .section .prologue.headers.boot_services, "aR", @progbits
        .code64
        .globl  prologue_boot_services
prologue_boot_services:
        jmp     enter_from_firmware

        PART    MULTIBOOT2_MAGIC, prologue_parse_running_multiboot2, \
                prologue_next_multiboot2_module, prologue_parts.first

        .bss
        .balign 8
firmware_cr0:
        .skip   8
firmware_cr3:
        .skip   8
firmware_cr4:
        .skip   8
firmware_stack: // 16-byte aligned, below all that is in use
        .skip   8
kernel_cr0:
        .skip   8
kernel_cr3:
        .skip   8
kernel_cr4:
        .skip   8
kernel_stack:
        .skip   8
kernel_code: // where the switch runs for the kernel
        .skip   8
        .globl  prologue_firmware_code_phys, prologue_firmware_bridge_phys
        .hidden prologue_firmware_code_phys, prologue_firmware_bridge_phys
prologue_firmware_code_phys:
        .skip   8
prologue_firmware_bridge_phys:
        .skip   8
firmware_cs:
        .skip   8
firmware_ds:
        .skip   8
firmware_ss:
        .skip   8
firmware_gdt:
        .skip   10
firmware_idt:
        .skip   10
kernel_gdt:
        .skip   10
kernel_idt:
        .skip   10

        .macro  SAVE_CONTROL whose, by
        movq    %cr0, \by
        movq    \by, \whose\()_cr0(%rip)
        movq    %cr3, \by
        movq    \by, \whose\()_cr3(%rip)
        movq    %cr4, \by
        movq    \by, \whose\()_cr4(%rip)
        .endm

        .text
        .code64
        PROLOGUE_PULL_(prologue_multiboot2)
        PROLOGUE_PULL_(prologue_any_mode)

        // From our own EFI stub, by Linux's entry: EAX = that magic, RBX = boot_params.
        .globl  prologue_linux64_goes_on
        .hidden prologue_linux64_goes_on
prologue_linux64_goes_on:
        cmpl    $BOOT_SERVICES_RUN, BOOT_PARAMS_SCRATCH(%rbx)
        je      enter_from_firmware
        jmp     prologue_long_mode

        // Expects 64-bit mode on the firmware's tables, stack and IDT, its
        // interrupts on; EAX = Multiboot 2's magic, RBX = the information. Keeps
        // the firmware's state, asks it for what the information lacks, and goes
        // on as any 64-bit entry. RFLAGS.DF is clear, by UEFI's calling convention.
enter_from_firmware:
        pushq   %rax
        pushq   %rbx
        movq    %rsp, %rbp
        andq    $-16, %rsp
        movq    %rsp, firmware_stack(%rip)
        SAVE_CONTROL firmware, %rcx
        movl    %cs, %ecx
        movq    %rcx, firmware_cs(%rip)
        movl    %ds, %ecx
        movq    %rcx, firmware_ds(%rip)
        movl    %ss, %ecx
        movq    %rcx, firmware_ss(%rip)
        sgdt    firmware_gdt(%rip)
        sidt    firmware_idt(%rip)
        movq    %rbx, %rdi
        movl    %eax, %esi
        call    prologue_ask_firmware
        cli
        movq    %rbp, %rsp
        popq    %rbx
        popq    %rax
        jmp     prologue_long_mode

        // uint64_t prologue_switch_to_firmware(function, arguments)
        // Expects the bridge to be built. The state that is the kernel's comes
        // back whole; between the two stacks there is no IDT that could serve.
        .globl  prologue_switch_to_firmware
        .hidden prologue_switch_to_firmware
prologue_switch_to_firmware:
        pushfq
        cli
        pushq   %rbx
        pushq   %rbp
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        movl    %ds, %eax
        pushq   %rax
        movl    %es, %eax
        pushq   %rax
        movl    %ss, %eax
        pushq   %rax
        pushq   %fs
        pushq   %gs
        movl    $MSR_FS_BASE, %ecx
        rdmsr
        pushq   %rax
        pushq   %rdx
        movl    $MSR_GS_BASE, %ecx
        rdmsr
        pushq   %rax
        pushq   %rdx
        movl    %cs, %eax
        pushq   %rax // for the far return at the end
        leaq    back_in_kernel(%rip), %rax
        pushq   %rax
        movq    %rsp, kernel_stack(%rip)
        SAVE_CONTROL kernel, %rax
        sgdt    kernel_gdt(%rip)
        sidt    kernel_idt(%rip)

        // The arguments, while the kernel's memory can be seen. The stack's four
        // are kept in registers that no call of ours touches.
        movq    %rdi, %rbx
        movq    (%rsi), %rcx
        movq    8(%rsi), %rdx
        movq    16(%rsi), %r8
        movq    24(%rsi), %r9
        movq    32(%rsi), %r12
        movq    40(%rsi), %r13
        movq    48(%rsi), %r14
        movq    56(%rsi), %r15
        jmp     prologue_firmware_code

        // In one page: all that the bridge shows at the kernel's addresses.
        .balign FIRMWARE_CODE_BYTES
        .globl  prologue_firmware_code
        .hidden prologue_firmware_code
prologue_firmware_code:
        leaq    prologue_firmware_code(%rip), %rax
        movq    %rax, kernel_code(%rip)
        movq    firmware_cr4(%rip), %rax
        movq    prologue_firmware_bridge_phys(%rip), %rdi
        movq    prologue_firmware_code_phys(%rip), %rsi
        addq    $(at_physical - prologue_firmware_code), %rsi
        movq    %rax, %cr4 // the kernel's global pages go with CR4.PGE
        movq    %rdi, %cr3
        jmpq    *%rsi
at_physical:
        movq    firmware_cr3(%rip), %rax
        movq    %rax, %cr3
        movq    firmware_cr0(%rip), %rax
        movq    %rax, %cr0
        movq    firmware_stack(%rip), %rsp
        lgdt    firmware_gdt(%rip)
        lidt    firmware_idt(%rip)
        pushq   firmware_cs(%rip)
        leaq    in_firmwares_code(%rip), %rax
        pushq   %rax
        lretq
in_firmwares_code:
        movq    firmware_ds(%rip), %rax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %fs
        movl    %eax, %gs
        movq    firmware_ss(%rip), %rax
        movl    %eax, %ss
        pushq   %r15
        pushq   %r14
        pushq   %r13
        pushq   %r12
        subq    $SHADOW_BYTES, %rsp
        cld
        call    *%rbx
        cli
        movq    kernel_code(%rip), %rcx
        addq    $(at_kernels_address - prologue_firmware_code), %rcx
        movq    prologue_firmware_bridge_phys(%rip), %rdx
        movq    kernel_cr3(%rip), %rdi
        movq    kernel_cr0(%rip), %r8
        movq    kernel_cr4(%rip), %r9
        movq    %rdx, %cr3
        jmpq    *%rcx
at_kernels_address:
        movq    %rdi, %cr3
        movq    %r8, %cr0
        movq    %r9, %cr4
        lgdt    kernel_gdt(%rip)
        lidt    kernel_idt(%rip)
        movq    kernel_stack(%rip), %rsp
        lretq
        .org    prologue_firmware_code + FIRMWARE_CODE_BYTES // or an error, if there is more

back_in_kernel:
        movq    %rax, %rbx
        popq    %rdx
        popq    %rsi
        popq    %rdi
        popq    %r8
        popq    %gs
        popq    %fs
        movl    $MSR_GS_BASE, %ecx
        movq    %rsi, %rax
        wrmsr
        movl    $MSR_FS_BASE, %ecx
        movq    %r8, %rax
        movq    %rdi, %rdx
        wrmsr
        popq    %rax
        movl    %eax, %ss
        popq    %rax
        movl    %eax, %es
        popq    %rax
        movl    %eax, %ds
        movq    %rbx, %rax
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %rbp
        popq    %rbx
        popfq
        ret

        .section .note.GNU-stack, "", @progbits
