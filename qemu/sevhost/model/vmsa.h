// The page in which an SEV-ES or SNP processor's state is kept (APM vol. 2, table B-4): a VMCB's
// save area, and behind it what no VMCB has.
#pragma once

#include <stdint.h>

#include "processor.h"

namespace sevhost {

constexpr uint64_t kVmsaFeatureSnp = 1 << 0; // SEV_FEATURES
constexpr uint64_t kVmsaFeatureRestricted = 1 << 3;
constexpr uint64_t kVmsaFeatureAlternate = 1 << 4;

struct VmsaFields {
    uint8_t vmpl = 0;
    uint64_t features = 0;
};

VmsaFields read_vmsa_fields(const uint8_t* page);

// The save area as it stands there, EFER with SVME, and the general registers.
void load_vmsa(Processor& processor, const uint8_t* page);

} // namespace sevhost
