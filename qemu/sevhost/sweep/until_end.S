// A run that can be ended from the depth of any function.

        .section .text, "ax", @progbits

// bool until_end(void (*body)(void *), void *argument)
//
// Keeps what a callee must, and where its own caller's stack is, in `ended_stack`. It is not
// called again before it has returned.
        .globl  until_end
        .type   until_end, @function
until_end:
        pushq   %rbx
        pushq   %rbp
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        pushq   %rax                    // the stack is aligned for a call
        movq    %rsp, ended_stack(%rip)
        movq    %rdi, %rax
        movq    %rsi, %rdi
        callq   *%rax
        xorl    %eax, %eax
leave_until_end:
        addq    $8, %rsp
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %rbp
        popq    %rbx
        retq
        .size   until_end, . - until_end

// [[noreturn]] void end_now()
        .globl  end_now
        .type   end_now, @function
end_now:
        movq    ended_stack(%rip), %rsp
        movl    $1, %eax
        jmp     leave_until_end
        .size   end_now, . - end_now

        .local  ended_stack
        .comm   ended_stack, 8, 8

        .section .note.GNU-stack, "", @progbits
