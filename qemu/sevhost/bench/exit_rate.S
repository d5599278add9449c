// A guest that exits and does nothing else: CPUID as SEV-ES, with a #VC handler in 32-bit mode
// that asks for four registers by the GHCB MSR's protocol. Two markers stand around the loop.

        .set    IA32_GHCB, 0xc0010130
        .set    CPUID_REQUEST, 0x004
        .set    MARKER, 0x4b52414d              // "MARK", in EAX
        .set    EXIT_PORT, 0xf4
        .set    EXIT_SUCCESS, 0x10
        .set    ROUNDS, 30000
        .set    VC_GATE, 29 * 8
        .set    TERMINATE, 0x100

        .section .note.pvh, "a", @note
        .balign 4
        .long   4, 4, 18                        // owner's and description's bytes, 32-bit entry
        .asciz  "Xen"
        .long   start

        .text
        .code32
        .globl  start
start:
        movl    $stack_end, %esp
        movl    $vc_handler, %eax               // the gate's two halves of the address
        movw    %ax, idt + VC_GATE
        shrl    $16, %eax
        movw    %ax, idt + VC_GATE + 6
        movw    %cs, idt + VC_GATE + 2
        lidt    idt_pointer
        movl    $1, %ebx
        movl    $MARKER, %eax
        vmmcall
        movl    $ROUNDS, %ebp
round:
        xorl    %eax, %eax
        cpuid
        decl    %ebp
        jnz     round
        movl    $2, %ebx
        movl    $MARKER, %eax
        vmmcall
        movl    $IA32_GHCB, %ecx
        movl    $TERMINATE, %eax
        xorl    %edx, %edx
        wrmsr
        rep; vmmcall
        hlt

// The function in EAX; the registers are asked for by number and come back on the stack.
vc_handler:
        movl    %eax, %edi
        xorl    %esi, %esi
next_register:
        movl    %esi, %eax
        shll    $30, %eax
        orl     $CPUID_REQUEST, %eax
        movl    %edi, %edx
        movl    $IA32_GHCB, %ecx
        wrmsr
        rep; vmmcall
        rdmsr
        pushl   %edx
        incl    %esi
        cmpl    $4, %esi
        jne     next_register
        popl    %edx
        popl    %ecx
        popl    %ebx
        popl    %eax
        addl    $4, %esp                        // the error code
        addl    $2, (%esp)                      // behind CPUID
        iretl

        .data
        .balign 8
idt:    .fill   29, 8, 0
        .word   0, 0, 0x8e00, 0                 // an interrupt gate of 32 bits
idt_end:
idt_pointer:
        .word   idt_end - idt - 1
        .long   idt

        .bss
        .balign 16
        .skip   4096
stack_end:

        .section .note.GNU-stack, "", @progbits
