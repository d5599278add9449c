// UEFI's types of memory, as the e820 says them. Source: UEFI 2.10, section 7.2.3.
#pragma once
#pragma GCC visibility push(hidden)

#include "loader_info.h"

namespace prologue {

inline constexpr uint64_t kLeastDescriptorBytes = 40;

// `free` is what the e820 says of memory that is free without boot services: loader's and
// boot services' code and data, and conventional memory.
constexpr uint32_t e820_type_of_efi(uint32_t type, uint64_t attributes, uint32_t free) {
    constexpr uint32_t kReserved = 2, kAcpi = 3, kNvs = 4, kBad = 5;
    constexpr uint64_t kSpecialPurpose = 0x40000;
    switch (type) {
    case 1:
    case 2:
    case 3:
    case 4:
    case 7:
        return (attributes & kSpecialPurpose) != 0 ? kE820SoftReserved : free;
    case 8:
        return kBad;
    case 9:
        return kAcpi;
    case 10:
        return kNvs;
    case 15:
        return kE820Unaccepted;
    default: // runtime services', devices', persistent
        return kReserved;
    }
}

} // namespace prologue

#pragma GCC visibility pop
