#include "page_tables.h"

#include "bytes.h"

namespace prologue {
namespace {

// Entries are written two at a time: with SSE2 that is one instruction an
// entry, and a map of 2 MiB pages has thousands.
typedef uint64_t TwoEntries __attribute__((vector_size(16)));
typedef TwoEntries UnalignedTwoEntries __attribute__((aligned(8), may_alias));

// Writes kPairs pairs, and moves on.
template <unsigned kPairs>
inline void write_pairs(uint64_t*& entry, TwoEntries& pair, TwoEntries next) {
    for (unsigned i = 0; i != kPairs; ++i, pair += next)
        *reinterpret_cast<UnalignedTwoEntries*>(entry + 2 * i) = pair;
    entry += 2 * kPairs;
}

// `count` entries from `entry` on, each `step` above the one before it: 1, 2 and 4
// for its lowest bits, then by 8 until 32 divides what is left.
inline void fill(uint64_t* entry, uint64_t count, uint64_t value, uint64_t step) {
    if (count % 2 != 0) {
        *entry++ = value;
        value += step;
        if (--count == 0)
            return;
    }
    TwoEntries pair = {value, value + step};
    const TwoEntries next = {2 * step, 2 * step};
    if (count % 4 != 0)
        write_pairs<1>(entry, pair, next);
    if (count % 8 >= 4)
        write_pairs<2>(entry, pair, next);
    for (count &= ~uint64_t{7}; count % 32 != 0; count -= 8)
        write_pairs<4>(entry, pair, next);
    for (; count != 0; count -= 32)
        write_pairs<16>(entry, pair, next);
}

} // namespace

uint64_t TablePages::take(uint64_t window) {
    if (step < 0 ? next <= end : next >= end || end - next < kPage)
        return 0;
    const uint64_t table = next;
    next += step;
    clear_bytes(reinterpret_cast<void*>(static_cast<uintptr_t>(window + table)), kPage);
    return table;
}

// The table at `level` that covers `virt`, with all those above it; null and a
// reason where there is none to be had.
uint64_t* PageTables::find_or_add_table(uint64_t virt, unsigned level, MapResult& result) {
    uint64_t table = root_;
    for (unsigned above = mode_.levels; above != level; --above) {
        uint64_t* slot = entry(table, index_of(virt, above));
        uint64_t found = *slot;
        if (found == 0) [[unlikely]] {
            const uint64_t added = pages_.take(window_);
            if (added == 0) {
                result = MapResult::no_memory;
                return nullptr;
            }
            *slot = found = added | PTE_PRESENT | PTE_WRITABLE | mode_.c_bit_mask;
        }
        if ((found & PTE_LARGE) != 0) [[unlikely]] {
            result = MapResult::conflict;
            return nullptr;
        }
        table = pointed_to(found);
    }
    return entry(table, 0);
}

// The level of the largest page that both addresses and the length allow.
unsigned PageTables::level_for(uint64_t addresses, uint64_t bytes) const {
    if (addresses % page_of(2) != 0 || bytes < page_of(2))
        return 1;
    if (addresses % page_of(3) != 0 || bytes < page_of(3) || !mode_.has_1g_pages)
        return 2;
    return 3;
}

MapResult PageTables::map_leaves(uint64_t virt, uint64_t phys, uint64_t bytes, uint64_t bits) {
    bits |= PTE_PRESENT;
    MapResult result = MapResult::ok;
    while (bytes != 0) {
        const unsigned level = level_for(virt | phys, bytes);
        Last& last = last_[level - 1];
        if (virt >> shift_of(level + 1) != last.covers) {
            uint64_t* const table = find_or_add_table(virt, level, result);
            if (table == nullptr)
                return result;
            last = {table, virt >> shift_of(level + 1)};
        }
        if (level != 1) // a large page may take the place of a table
            last_[0].covers = last_[level - 2].covers = kNothing;
        const unsigned index = index_of(virt, level);
        uint64_t count = bytes >> shift_of(level);
        if (count > TABLE_ENTRIES - index)
            count = TABLE_ENTRIES - index;
        fill(last.table + index, count, phys | bits | (level == 1 ? 0 : PTE_LARGE), page_of(level));
        const uint64_t done = count << shift_of(level);
        virt += done;
        phys += done;
        bytes -= done;
    }
    return result;
}

} // namespace prologue
