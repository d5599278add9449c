// The tables that the kernel gets: its segments, the direct map of RAM, and
// RAM at its own address in the low half.
#pragma once
#pragma GCC visibility push(hidden)

#include "image.h"
#include "memory_map.h"
#include "page_tables.h"

namespace prologue {

// CPUs with long mode have at least 36 physical address bits, so only what lies above
// that is worth the exit that a CPUID is in a guest.
inline constexpr uint64_t kSurelyAddressable = uint64_t{1} << 36;

struct KernelMap {
    uint64_t direct_map;              // virtual address of physical 0
    uint64_t direct_map_bytes;        // RAM above this is left out; 0: all of it
    bool image_in_direct_map = false; // where that map would show it

    // RAM that is mapped at its own address. Where the end is 0, it is as much
    // as the direct map's first top-level entry can serve besides.
    Span identity = {kPage, 0};

    uint64_t reach = 4 * kGiB; // the handoff must lie below

    uint64_t addressable = kSurelyAddressable; // where what this CPU can address ends
};

// Leaves out of the map what this CPU cannot address and a kernel can do without.
void leave_out_unaddressable(MemoryMap& memory, KernelMap& map);

// The most that a direct map shows, with that many levels.
constexpr uint64_t direct_map_room(unsigned levels) {
    constexpr uint64_t kTiB = 1024 * kGiB;
    return (levels == 5 ? 4096 : 64) * kTiB;
}

// Fills `tables`. No page is writable and executable, by whatever address:
// RAM is never executable, and read-only where a read-only segment lies. `guard` is the
// virtual address of the one page of the image that is left out. Fails when
// the pages for tables run out.
void map_kernel(PageTables& tables, const Image& image, uint64_t guard, const MemoryMap& memory,
                KernelMap& map);

} // namespace prologue

#pragma GCC visibility pop
