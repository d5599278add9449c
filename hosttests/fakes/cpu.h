// A CPU that answers as a test wants it: comes before arch/x86/cpu/cpu.h in the
// host's include path.
#pragma once

#include "bits.h"

#include <cstdint>
#include <stdexcept>

namespace prologue {

struct FakeCpu {
    uint32_t address_bits = 52;
    unsigned cpuids = 0; // how many there were: each is an exit
};
inline FakeCpu fake_cpu;

inline uint32_t cpuid_eax(uint32_t leaf) {
    if (leaf != CPUID_ADDRESS_WIDTHS)
        throw std::logic_error("no test knows that leaf");
    ++fake_cpu.cpuids;
    return 0x3000 | fake_cpu.address_bits; // with 48 linear address bits
}

} // namespace prologue
