// The tables that the kernel gets: its segments, the direct map of RAM, and
// RAM at its own address in the low half.
#pragma once
#pragma GCC visibility push(hidden)

#include "image.h"
#include "memory_map.h"
#include "page_tables.h"

namespace prologue {

struct KernelMap {
    uint64_t direct_map;       // virtual address of physical 0
    uint64_t direct_map_bytes; // RAM above this is left out; 0: all of it

    // RAM that is mapped at its own address. Where the end is 0, it is as much
    // as the direct map's first top-level entry can serve besides.
    Span identity = {kPage, 0};

    uint64_t reach = 4 * kGiB; // the handoff must lie below
};

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

}  // namespace prologue

#pragma GCC visibility pop
