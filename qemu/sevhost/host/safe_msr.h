// MSR accesses that may fault (safe_msr.S).
#pragma once

#include <stdint.h>

namespace sevhost {

// Gives the host an IDT of its own: Prologue's gates, but #GP comes back from the two below.
void catch_general_protection();
// For another processor.
void use_hosts_idt();

// False where the access raises #GP.
bool read_msr_safely(uint32_t msr, uint64_t& value);
bool write_msr_safely(uint32_t msr, uint64_t value);

} // namespace sevhost
