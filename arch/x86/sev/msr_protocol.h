// The GHCB MSR protocol (AMD 56421, 2.3.1): requests without a page. It works in
// every mode, before there are tables. The host's answer to a request is used only
// if its code is the one asked for.
#pragma once
#pragma GCC visibility push(hidden)

#include "prologue/sev_reasons.h"
#include "sev_bits.h"

#include <stdint.h>

namespace prologue {

// The hardware, which each environment brings: the value of the GHCB MSR; its
// value after a VMGEXIT with `request` in it; and the end.
uint64_t read_ghcb_msr();
uint64_t exchange_ghcb_msr(uint64_t request);
[[noreturn]] void sev_terminate(unsigned code);

inline constexpr unsigned kLeastVersion = 1, kLeastVersionOfSnp = 2;

// Legacy tables hold no C-bit below 32, and addresses have at most 52 bits.
constexpr bool is_c_bit(unsigned bit) {
    return bit >= 32 && bit <= 51;
}

inline constexpr unsigned kNoCBit = 0; // the host does not say

struct SevInfo {
    unsigned version;
    unsigned c_bit;
};

// The protocol's version, and the C-bit as the host says. Asks only where `preset`, the
// GHCB MSR's value at the entry, is not the answer already: behind a firmware it is the
// address of the firmware's GHCB. A host that presets nothing at all is not asked, if the
// first version will do: OpenBSD's vmm answers CPUID and termination, and ends the VM at
// any other request (svm_handle_vmgexit). `least` is the version that this guest needs.
SevInfo negotiate(uint64_t preset, unsigned least);

enum CpuidRegister : unsigned { kEax, kEbx, kEcx, kEdx };
uint32_t ask_cpuid(uint32_t leaf, CpuidRegister which);

// The protocol knows no sub-leaf. Where the leaf has none, or has but the first
// that all software asks for, the answer is unambiguous.
bool can_ask_cpuid(uint32_t leaf, uint32_t subleaf);

uint64_t ask_features();
void register_ghcb(uint64_t phys);

enum class PageState : uint64_t { private_ = 1, shared = 2 };
void ask_page_state(uint64_t phys, PageState state);

} // namespace prologue

#pragma GCC visibility pop
