// The processor's own randomness, and its clock. Source: SDM vol. 1, 7.3.17.
#pragma once
#pragma GCC visibility push(hidden)

#include "bits.h"
#include "cpu.h"

namespace prologue {

class Processor {
public:
    Processor()
        : has_rdseed_(cpuid_eax(CPUID_VENDOR) >= CPUID_STRUCTURED_FEATURES &&
                      (cpuid_ebx(CPUID_STRUCTURED_FEATURES) >> STRUCTURED_EBX_RDSEED_BIT & 1) != 0),
          has_rdrand_((cpuid_ecx(CPUID_VERSION) >> VERSION_ECX_RDRAND_BIT & 1) != 0) {}

    bool rdseed(uint64_t& word) const {
        bool good = false;
        if (has_rdseed_)
            asm volatile("rdseed %0" : "=r"(word), "=@ccc"(good));
        return good;
    }
    bool rdrand(uint64_t& word) const {
        bool good = false;
        if (has_rdrand_)
            asm volatile("rdrand %0" : "=r"(word), "=@ccc"(good));
        return good;
    }
    uint64_t tsc() const { return read_tsc(); }

private:
    bool has_rdseed_, has_rdrand_;
};

} // namespace prologue

#pragma GCC visibility pop
