// Holds page tables against what they ought to map, with the independent walker.
#pragma once

#include "page_walker.h"
#include "seams.h"

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

namespace prologue::test {

// A stretch of virtual addresses that is mapped with one set of rights.
struct Stretch {
    uint64_t virt;
    uint64_t bytes; // virt + bytes may be 2^64
    uint64_t phys;
    bool writable;
    bool executable;
    unsigned caching = 0; // an index into the PAT

    uint64_t last() const { return virt + (bytes - 1); }
};
std::ostream& operator<<(std::ostream& out, const Stretch& stretch);

// Neighbours of one kind as one stretch, in ascending order.
std::vector<Stretch> joined(const std::vector<Stretch>& stretches);

struct Cpu {
    unsigned levels;
    bool has_1g_pages;
    uint64_t c_bit = 0;
};
std::ostream& operator<<(std::ostream& out, const Cpu& cpu);

PagingState state_of(const Cpu& cpu, uint64_t root);
ReadPhys reader_of(const FakeMemory& memory);

// The largest page that maps `virt` and lies within the stretch.
uint64_t largest_page(const Stretch& stretch, uint64_t virt, bool has_1g_pages);

// What is wrong with the tables: every stretch is mapped, to its last byte, in the
// largest pages there can be, for the supervisor alone, and nothing else is.
// Empty if nothing is wrong. Walks every boundary, then looks at every leaf.
std::string flaw_of_tables(const Cpu& cpu, const FakeMemory& memory, uint64_t root,
                           const std::vector<Stretch>& disjoint);

// How many tables, the top-level one included, the stretches need at the least.
uint64_t tables_needed(const Cpu& cpu, const std::vector<Stretch>& disjoint);

} // namespace prologue::test
