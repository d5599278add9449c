// The memory map: sorted, page-aligned, without overlaps, neighbours of one
// type merged. Where ranges overlap, the more restrictive type wins.
#pragma once
#pragma GCC visibility push(hidden)

#include "loader_info.h"

namespace prologue {

class MemoryMap {
public:
    // `storage` holds the ranges and is the caller's. storage_for() says how
    // much n ranges can need, however they overlap.
    MemoryMap(prologue_range* storage, uint64_t capacity) : ranges_(storage), capacity_(capacity) {}
    static constexpr uint64_t storage_for(uint64_t ranges) { return 4 * ranges + 4; }

    // Gives each page of the span the more restrictive of its type and `type`.
    // The span is page-aligned. Cheapest in ascending order.
    void overlay(Span span, uint32_t type);

    // A range as a loader states it: usable memory shrinks to whole pages, and
    // loses physical page 0; all else grows.
    void add(uint64_t start, uint64_t bytes, uint32_t e820_type);

    const prologue_range* begin() const { return ranges_; }
    const prologue_range* end() const { return ranges_ + count_; }
    uint64_t size() const { return count_; }

private:
    void insert(Span span, uint32_t type);
    void place(uint64_t at, Span span, uint32_t type);
    void blend(uint64_t first, uint64_t last, Span span, uint32_t type);
    uint64_t put(uint64_t at, uint64_t start, uint64_t end, uint32_t type);
    void close_gap(uint64_t to, uint64_t from, uint64_t end);
    void open_gap(uint64_t at, uint64_t slots);

    prologue_range* ranges_;
    uint64_t capacity_;
    uint64_t count_ = 0;
};

// The type of a range by the e820's numbers, which all contracts share; what is
// not known is reserved.
constexpr uint32_t type_of_e820(uint32_t e820_type) {
    switch (e820_type) {
    case 1:
        return PROLOGUE_MEMORY_USABLE;
    case 3:
        return PROLOGUE_MEMORY_ACPI;
    case 4:
        return PROLOGUE_MEMORY_NVS;
    case 5:
        return PROLOGUE_MEMORY_BAD;
    default:
        return PROLOGUE_MEMORY_RESERVED;
    }
}

// The page-aligned span of a loader's range; empty if there is none left.
Span span_of_range(uint64_t start, uint64_t bytes, uint32_t type);

struct RawRange {
    uint64_t start;
    uint64_t bytes;
    uint32_t e820_type;
} __attribute__((packed));
static_assert(sizeof(RawRange) == 20);

// Calls visit(RawRange) for each entry, in the loader's order.
template <class Visit>
void for_each_range(const RawMap& map, Visit visit) {
    const uint8_t* at = map.entries;
    const uint8_t* end = at + map.bytes;
    if (map.stride != 0) {
        for (; static_cast<uint64_t>(end - at) >= sizeof(RawRange); at += map.stride) {
            visit(*reinterpret_cast<const RawRange*>(at));
            if (static_cast<uint64_t>(end - at) < map.stride)
                return;
        }
        return;
    }
    while (at < end) {
        const uint64_t size = read_unaligned<uint32_t>(at);
        visit(*reinterpret_cast<const RawRange*>(at + 4));
        at += 4 + size;
    }
}

}  // namespace prologue

#pragma GCC visibility pop
