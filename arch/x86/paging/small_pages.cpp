// Single pages within large ones, for an SEV guest's pages that the host sees.
#include "page_tables.h"

#include "bits.h"

namespace prologue {

// A large page becomes a table of the next smaller ones. The highest bit of its index into PAT,
// which is bit 12 there, is bit 7 in entries of 4 KiB (APM vol. 2, 5.4.1): that is the bit that
// says "large" above them, and bit 12 is of the address.
[[clang::minsize]] bool PageTables::split(uint64_t* entry, unsigned level) {
    const uint64_t table = pages_.take(window_);
    if (table == 0)
        return false;
    uint64_t value = *entry;
    if (level == 2)
        value = (value & ~uint64_t{PTE_LARGE | PTE_PAT_IN_LARGE}) |
                ((value & PTE_PAT_IN_LARGE) != 0 ? PTE_PAT_IN_4K : 0);
    for (unsigned i = 0; i != TABLE_ENTRIES; ++i, value += page_of(level - 1))
        this->entry(table, 0)[i] = value;
    *entry = table | PTE_PRESENT | PTE_WRITABLE | mode_.c_bit_mask;
    return true;
}

[[clang::minsize]] uint64_t* PageTables::small_page(uint64_t virt, MapResult& result) {
    for (Last& last : last_)
        last.covers = kNothing;
    uint64_t table = root_;
    for (unsigned level = mode_.levels;; --level) {
        uint64_t* const slot = entry(table, index_of(virt, level));
        if ((*slot & PTE_PRESENT) == 0)
            return nullptr;
        if (level == 1)
            return slot;
        if ((*slot & PTE_LARGE) != 0 && !split(slot, level)) {
            result = MapResult::no_memory;
            return nullptr;
        }
        table = pointed_to(*slot);
    }
}

} // namespace prologue
