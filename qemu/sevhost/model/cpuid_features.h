// CPUID of one CPU. QEMU takes a feature away and leaves what is built on it: AVX without XSAVE
// is a promise that a guest takes, and dies of.
#pragma once

#include <stdint.h>

namespace sevhost {

struct Cpuid {
    uint32_t eax, ebx, ecx, edx;
};
using CpuidSource = Cpuid (*)(uint32_t leaf, uint32_t subleaf);

// What the source says of a leaf, without the features that lack another which they need; and
// nothing in a leaf of something that is not there.
Cpuid consistent_cpuid(CpuidSource source, uint32_t leaf, uint32_t subleaf);

} // namespace sevhost
