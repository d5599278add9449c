// The kernel's own GDT, TSS and IDT, in place of Prologue's.
#pragma once

#include <stdint.h>

// What exceptions.S leaves on the stack, and the CPU before it.
struct ExceptionFrame {
    uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15;
    uint64_t vector, error_code;
    uint64_t rip, cs, rflags, rsp, ss;
};

// From here on exceptions are the kernel's: on_exception gets them.
void load_descriptors();
