// The CPUID page that SNP's firmware checks and puts into a guest (SNP ABI 56860,
// 8.17.2.6): CPUID without an exit, and without the host's word.
#pragma once
#pragma GCC visibility push(hidden)

#include <stdint.h>

namespace prologue {

struct CpuidRegisters {
    uint32_t eax, ebx, ecx, edx;
};

struct CpuidPage {
    static constexpr unsigned kMost = 64;
    struct Entry {
        uint32_t leaf, subleaf;
        uint64_t xcr0, xss;
        CpuidRegisters registers;
        uint64_t reserved;
    };
    uint32_t count, reserved1;
    uint64_t reserved2;
    Entry entries[kMost];

    bool is_there() const { return count != 0; }
    bool is_well_formed() const { return count <= kMost; }

    // What the firmware answers; zeros for what the page does not have, as AMD's
    // CPUs answer where there is nothing.
    CpuidRegisters find(uint32_t leaf, uint32_t subleaf) const;
};
static_assert(sizeof(CpuidPage::Entry) == 48 && sizeof(CpuidPage) == 16 + 64 * 48);

// Does the answer depend on ECX?
bool has_subleaves(uint32_t leaf);

} // namespace prologue

#pragma GCC visibility pop
