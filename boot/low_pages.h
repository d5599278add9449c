// Where two pages of conventional memory can be borrowed for a moment.
#pragma once
#pragma GCC visibility push(hidden)

#include "loader_info.h"

namespace prologue {

// What a BIOS says of its own share of conventional memory, in its data area.
struct BiosWords {
    uint16_t ebda_segment;    // at 0x40e
    uint16_t base_memory_kib; // at 0x413
};
inline constexpr uint64_t kEbdaWord = 0x40e, kBaseMemoryWord = 0x413;

inline constexpr uint64_t kLowPagesBytes = 2 * kPage;

// The highest two pages of RAM, one behind the other, that a map, in one piece or two, and
// the BIOS leave free between 128 KiB and 636 KiB; 0 where there are none. What the
// loader has put there is not looked at: what is borrowed is given back.
uint64_t find_low_pages(const RawMap& map, const RawMap& more, BiosWords bios);

} // namespace prologue

#pragma GCC visibility pop
