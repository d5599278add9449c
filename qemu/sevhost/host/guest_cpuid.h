// CPUID as the guest is to see it: that of one CPU, which is the machine's own, without SVM, and
// with the leaf that tells of SEV.
#pragma once

#include "guest.h"
#include "machine.h"

namespace sevhost {

Cpuid guest_cpuid(const Guest& guest, uint32_t leaf, uint32_t subleaf);

} // namespace sevhost
