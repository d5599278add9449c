// Which features of SEV_STATUS this guest can live with (APM vol. 2, 15.34.10).
#pragma once
#pragma GCC visibility push(hidden)

#include "prologue/wishes.h"
#include "sev_bits.h"

#include <stdint.h>

namespace prologue {

// Those beside SEV, ES and SNP that ask nothing of the guest. Sources: APM vol. 2, 15.34.10 and
// table B-4; Linux's SNP_FEATURES_IMPL_REQ names those that do ask something.
#define PROLOGUE_HARMLESS_FEATURES(X)                                                              \
    X(7, "debug registers are swapped with the guest: DR7 is no exit")                             \
    X(8, "the host takes no IBS samples of the guest")                                             \
    X(9, "branch targets are the guest's own")                                                     \
    X(10, "supervisor shadow stacks are a right of a VMPL: no shadow stack is on")                 \
    X(11, "the TSC is the guest's own: RDTSC is no exit")                                          \
    X(14, "IBS is virtualized for the guest, which need not use it")                               \
    X(17, "the sibling thread runs nothing while the guest does")                                  \
    X(23, "indirect branch predictors are flushed on entry to the guest")

#define PROLOGUE_OR_BIT(bit, because) | 1u << (bit)
inline constexpr uint32_t kHarmlessFeatures = 0 PROLOGUE_HARMLESS_FEATURES(PROLOGUE_OR_BIT);
#undef PROLOGUE_OR_BIT
inline constexpr unsigned kNoFeature = 64;

// Of the kernel's wish: what SEV_STATUS must have, and what it may have besides.
constexpr uint32_t required_status(uint32_t wish) {
    return wish >> 8 & 0xff;
}
constexpr uint32_t wished_features(uint32_t wish) {
    return wish >> 16 & SEV_STATUS_RESTRICTED_INJECTION;
}

// The lowest bit that is not served; kNoFeature where all are. A guest that is
// encrypted in no way, but has features, is bit 0's.
constexpr unsigned unserved_feature(uint32_t low, uint32_t high,
                                    uint32_t wish = PROLOGUE_SEV_SERVED) {
    const uint32_t served = SEV_STATUS_SEV | SEV_STATUS_ES | SEV_STATUS_SNP | kHarmlessFeatures |
                            wished_features(wish);
    const uint32_t wrong = (low & SEV_STATUS_SEV) == 0 ? SEV_STATUS_SEV : low & ~served;
    if (wrong != 0)
        return static_cast<unsigned>(__builtin_ctz(wrong));
    return high != 0 ? 32u + static_cast<unsigned>(__builtin_ctz(high)) : kNoFeature;
}

} // namespace prologue

#pragma GCC visibility pop
