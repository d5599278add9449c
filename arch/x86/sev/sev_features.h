// Which features of SEV_STATUS this guest can live with (APM vol. 2, 15.34.10).
#pragma once
#pragma GCC visibility push(hidden)

#include "sev_bits.h"

#include <stdint.h>

namespace prologue {

// Those beside SEV, ES and SNP that ask nothing of the guest: debug registers that
// are swapped, no IBS by the host, isolated branch targets, supervisor shadow
// stacks by VMPL, a TSC of its own, protection from the sibling thread.
inline constexpr uint32_t kHarmlessFeatures = 1u << 7 | 1u << 8 | 1u << 9 | 1u << 10 | 1u << 11 |
                                              1u << 17;
inline constexpr unsigned kNoFeature = 64;

// The lowest bit that is not served; kNoFeature where all are. A guest that is
// encrypted in no way, but has features, is bit 0's.
constexpr unsigned unserved_feature(uint32_t low, uint32_t high) {
    const uint32_t served = SEV_STATUS_SEV | SEV_STATUS_ES | SEV_STATUS_SNP | kHarmlessFeatures;
    const uint32_t wrong = (low & SEV_STATUS_SEV) == 0 ? SEV_STATUS_SEV : low & ~served;
    if (wrong != 0)
        return static_cast<unsigned>(__builtin_ctz(wrong));
    return high != 0 ? 32u + static_cast<unsigned>(__builtin_ctz(high)) : kNoFeature;
}

}  // namespace prologue

#pragma GCC visibility pop
