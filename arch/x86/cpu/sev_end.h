// The last instructions of an SEV-ES guest. Needs no memory, no page, no stack.
#pragma once

#include "prologue/sev_reasons.h"
#include "sev_bits.h"

#include <stdint.h>

namespace prologue {

// VMGEXIT, with the GHCB MSR set to `request`; what the MSR holds then.
inline uint64_t exchange_ghcb_msr_now(uint64_t request) {
    uint32_t low = static_cast<uint32_t>(request), high = static_cast<uint32_t>(request >> 32);
    asm volatile("wrmsr\n\trep\n\tvmmcall\n\trdmsr"
                 : "+a"(low), "+d"(high)
                 : "c"(MSR_GHCB)
                 : "memory");
    return uint64_t{high} << 32 | low;
}

// A host that lets the guest run on after this is waited for, for ever.
[[noreturn]] inline void end_sev_guest(unsigned code) {
    for (;;) {
        exchange_ghcb_msr_now(GHCB_TERMINATION(uint64_t{code}));
        asm volatile("cli; hlt");
    }
}

} // namespace prologue
