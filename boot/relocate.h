// Relocates a static PIE, wherever its bytes lie: in a payload's file, or in memory.
// Source: System V ABI, AMD64 supplement, "Relocation"; generic ABI, "Dynamic Section" and
// SHT_RELR.
#pragma once
#pragma GCC visibility push(hidden)

#include <stdint.h>

namespace prologue {

// Bytes that are linked to lie at an address, and where they are now.
struct LinkedBytes {
    uint64_t virt, bytes;
    uint8_t* at;
};

struct RelocationFault {
    const char* what = nullptr; // null where there is none
    uint64_t a = 0, b = 0;
};

// For an image that will lie `slide` above where it was linked; `dynamic` is its dynamic section.
// Applied are RELATIVE (RELR's, too), GLOB_DAT and 64 by symbols that the image itself defines.
// All else is a fault, and so is what lies in none of the pieces.
RelocationFault relocate(const LinkedBytes* pieces, unsigned count, const uint8_t* dynamic,
                         uint64_t dynamic_bytes, uint64_t slide);

} // namespace prologue

#pragma GCC visibility pop
