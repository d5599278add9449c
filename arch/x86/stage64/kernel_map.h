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
    uint64_t direct_map_bytes; // RAM above this is left out
    uint64_t identity_bytes;   // RAM below this is identity-mapped
};

// The direct map for that many levels, over nothing yet.
KernelMap direct_map_of(unsigned levels);

// Fills `tables`. No page is writable and executable, by whatever address:
// RAM is never executable, and read-only where a read-only segment lies. `guard` is the
// virtual address of the one page of the image that is left out. Fails when
// the pages for tables run out.
void map_kernel(PageTables& tables, const Image& image, uint64_t guard, const MemoryMap& memory,
                KernelMap& map);

}  // namespace prologue

#pragma GCC visibility pop
