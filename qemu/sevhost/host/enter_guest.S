// Into the guest and back.

#define GPR(number) (8 * (number))(%rax)

        .section .text, "ax", @progbits

// enter_guest(uint64_t gprs[16], HostPhys guest_vmcb, HostPhys host_vmcb)
//
// Expects GIF clear, and RAX and RSP of the guest in its VMCB, the others in
// `gprs`, by their numbers. Leaves the guest's registers there, GIF clear, and
// everything of the host as it was. SSE and x87 registers are not the host's to
// touch: it is compiled without them, so the guest's simply stay.
        .globl  enter_guest
        .type   enter_guest, @function
enter_guest:
        pushq   %rbx
        pushq   %rbp
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        pushq   %rdx                    // the host's VMCB
        pushq   %rsi                    // the guest's
        pushq   %rdi                    // its registers

        movq    %rsi, %rax
        vmload  %rax                    // FS, GS, TR, LDTR and the MSRs of SYSCALL
        movq    %rdi, %rax
        movq    GPR(1), %rcx
        movq    GPR(2), %rdx
        movq    GPR(3), %rbx
        movq    GPR(5), %rbp
        movq    GPR(6), %rsi
        movq    GPR(7), %rdi
        movq    GPR(8), %r8
        movq    GPR(9), %r9
        movq    GPR(10), %r10
        movq    GPR(11), %r11
        movq    GPR(12), %r12
        movq    GPR(13), %r13
        movq    GPR(14), %r14
        movq    GPR(15), %r15
        movq    8(%rsp), %rax
        vmrun   %rax                    // RAX and RSP are the host's again behind it

        movq    (%rsp), %rax
        movq    %rcx, GPR(1)
        movq    %rdx, GPR(2)
        movq    %rbx, GPR(3)
        movq    %rbp, GPR(5)
        movq    %rsi, GPR(6)
        movq    %rdi, GPR(7)
        movq    %r8, GPR(8)
        movq    %r9, GPR(9)
        movq    %r10, GPR(10)
        movq    %r11, GPR(11)
        movq    %r12, GPR(12)
        movq    %r13, GPR(13)
        movq    %r14, GPR(14)
        movq    %r15, GPR(15)
        movq    8(%rsp), %rax
        vmsave  %rax
        movq    16(%rsp), %rax
        vmload  %rax

        addq    $24, %rsp
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %rbp
        popq    %rbx
        retq
        .size   enter_guest, . - enter_guest

        .section .note.GNU-stack, "", @progbits
