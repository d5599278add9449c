// CPUID as SNP's firmware answers it: from the page, with what of it depends on the
// state of this CPU.
#pragma once
#pragma GCC visibility push(hidden)

#include "cpuid_page.h"

namespace prologue {

inline constexpr uint32_t kXsaveLeaf = 0xd;

// False where there is no page: the host must be asked.
bool answer_cpuid(uint32_t leaf, uint32_t subleaf, CpuidRegisters& registers);

// What depends on this CPU's state, and what has been proved of memory encryption, in an answer
// of whoever's. One that names another C-bit ends the guest: its tables would be shared.
void put_what_is_known(uint32_t leaf, uint32_t subleaf, CpuidRegisters& registers);

} // namespace prologue

#pragma GCC visibility pop
