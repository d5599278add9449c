// #VC in 64-bit mode: an instruction that the CPU leaves to the guest, which asks the
// host for what the CPU would have done. The same for Prologue's IDT and a kernel's.
#pragma once
#pragma GCC visibility push(hidden)

#include "cpuid_page.h"

#include <stdint.h>

namespace prologue {

// What isr64.S and sev64.S leave on the stack, and prologue/sev.h shows to kernels.
struct Frame64 {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
    uint64_t rdi, rsi, rbp, rbx, rdx, rcx, rax;
    uint64_t vector, error;
    uint64_t rip, cs, rflags, rsp, ss;
};
static_assert(sizeof(Frame64) == 22 * 8);

// Does what the instruction would have done, and moves behind it; or returns the
// vector of the exception to deliver in its place. What cannot be done ends the guest.
unsigned handle_vc(Frame64& frame);

// What each environment brings: registers that are not in the frame,
uint64_t vc_cr3();
uint64_t vc_cr4();
uint64_t vc_xcr0();
uint64_t vc_xss();
uint64_t vc_tsc_aux();
uint64_t vc_segment_base(bool gs);
bool vc_is_64bit(uint64_t cs);
// whether RIP is where the boot writes PAT;
bool vc_is_boots_pat_write(uint64_t rip);
// and memory: physical, as a page walk sees it, and the CPUID page, if there is one.
const uint64_t* vc_table(uint64_t phys);
const CpuidPage* vc_cpuid_page();

} // namespace prologue

#pragma GCC visibility pop
