#include "page_tables.h"

#include "bytes.h"

namespace prologue {
namespace {

// Entries are written two at a time: with SSE2 that is one instruction an
// entry, and a map of 2 MiB pages has thousands.
typedef uint64_t TwoEntries __attribute__((vector_size(16)));
typedef TwoEntries UnalignedTwoEntries __attribute__((aligned(8), may_alias));

// `count` entries from `entry` on, each `step` above the one before it.
void fill(uint64_t* entry, uint64_t count, uint64_t value, uint64_t step) {
    constexpr unsigned kPairs = 8;
    TwoEntries pair = {value, value + step};
    const TwoEntries pair_step = {2 * step, 2 * step};
    for (; count >= 2 * kPairs; count -= 2 * kPairs) {
        for (unsigned i = 0; i != kPairs; ++i) {
            *reinterpret_cast<UnalignedTwoEntries*>(entry + 2 * i) = pair;
            pair += pair_step;
        }
        entry += 2 * kPairs;
    }
    value = pair[0];
    for (; count != 0; --count, ++entry, value += step)
        *entry = value;
}

}  // namespace

uint64_t PageTables::new_table() {
    if (pages_.next == pages_.end)
        return 0;
    const uint64_t table = pages_.next;
    pages_.next += kPage;
    clear_bytes(entry(table, 0), kPage);
    return table;
}

// The table at `level` that covers `virt`, with all those above it.
uint64_t* PageTables::find_or_add_table(uint64_t virt, unsigned level, MapResult& result) {
    uint64_t table = root_;
    for (unsigned above = mode_.levels; above != level; --above) {
        uint64_t* slot = entry(table, index_of(virt, above));
        if (*slot == 0) {
            const uint64_t added = new_table();
            if (added == 0) {
                result = MapResult::no_memory;
                return nullptr;
            }
            *slot = added | PTE_PRESENT | PTE_WRITABLE | mode_.c_bit_mask;
        } else if ((*slot & PTE_LARGE) != 0) {
            result = MapResult::conflict;
            return nullptr;
        }
        table = *slot & kTableAddress & ~mode_.c_bit_mask;
    }
    return entry(table, index_of(virt, level));
}

MapResult PageTables::map(uint64_t virt, uint64_t phys, uint64_t bytes, uint64_t bits) {
    MapResult result = MapResult::ok;
    bits |= PTE_PRESENT | mode_.c_bit_mask;
    while (bytes != 0) {
        // The largest page that both addresses and what is left allow.
        unsigned level = mode_.has_1g_pages ? 3 : 2;
        while (level != 1 && (((virt | phys) & (page_of(level) - 1)) != 0 || bytes < page_of(level)))
            --level;
        uint64_t* slot = find_or_add_table(virt, level, result);
        if (slot == nullptr)
            return result;
        const uint64_t page = page_of(level);
        const uint64_t room = TABLE_ENTRIES - index_of(virt, level);
        uint64_t count = bytes >> shift_of(level);
        if (count > room)
            count = room;
        fill(slot, count, phys | bits | (level == 1 ? 0 : PTE_LARGE), page);
        virt += count << shift_of(level);
        phys += count << shift_of(level);
        bytes -= count << shift_of(level);
    }
    return result;
}

}  // namespace prologue
