// MSR accesses whose #GP is an answer, and the handler that makes it one.

        .section .text, "ax", @progbits

// bool sevhost_rdmsr(uint32_t msr, uint64_t *value)
        .globl  sevhost_rdmsr
        .type   sevhost_rdmsr, @function
sevhost_rdmsr:
        movl    %edi, %ecx
read_access:
        rdmsr
        shlq    $32, %rdx
        orq     %rdx, %rax
        movq    %rax, (%rsi)
        movl    $1, %eax
        retq
        .size   sevhost_rdmsr, . - sevhost_rdmsr

// bool sevhost_wrmsr(uint32_t msr, uint64_t value)
        .globl  sevhost_wrmsr
        .type   sevhost_wrmsr, @function
sevhost_wrmsr:
        movl    %edi, %ecx
        movl    %esi, %eax
        movq    %rsi, %rdx
        shrq    $32, %rdx
write_access:
        wrmsr
        movl    $1, %eax
        retq
        .size   sevhost_wrmsr, . - sevhost_wrmsr

refused_access:
        xorl    %eax, %eax
        retq

// The gate of #GP: error code, RIP, CS, ... on the stack. A fault at one of the
// two instructions goes on at refused_access; any other is Prologue's to report,
// with the stack as the processor left it.
        .globl  sevhost_gp
        .type   sevhost_gp, @function
sevhost_gp:
        pushq   %rax
        leaq    read_access(%rip), %rax
        cmpq    %rax, 16(%rsp)
        je      1f
        leaq    write_access(%rip), %rax
        cmpq    %rax, 16(%rsp)
        jne     2f
1:      leaq    refused_access(%rip), %rax
        movq    %rax, 16(%rsp)
        popq    %rax
        addq    $8, %rsp                // the error code
        iretq
2:      popq    %rax
        jmpq    *sevhost_prologue_gp(%rip)
        .size   sevhost_gp, . - sevhost_gp

// The gate of NMI: one that has stopped the guest's processor (processors.cpp), and has done so.
        .globl  sevhost_nmi
        .type   sevhost_nmi, @function
sevhost_nmi:
        iretq
        .size   sevhost_nmi, . - sevhost_nmi

        .section .note.GNU-stack, "", @progbits
