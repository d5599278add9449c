// The page-table builder: the 64-bit stage and the host tests compile this one. Tables of four or five levels; leaves of 4 KiB, 2 MiB
// and, where allowed, 1 GiB, always the largest that fits.
// Source: SDM vol. 3 section 4.5, APM vol. 2 section 5.3.
#pragma once
#pragma GCC visibility push(hidden)

#include "bits.h"
#include "ranges.h"

namespace prologue {

inline constexpr uint64_t kNoExecute = uint64_t{1} << 63;
inline constexpr uint64_t kTableAddress = 0x000ffffffffff000;

// Pages for tables, from memory that is the caller's: in ascending order, or by a
// negative step in descending.
struct TablePages {
    uint64_t next; // physical, page-aligned
    uint64_t end;  // the first that there is not
    int64_t step = int64_t{kPage};

    // A zeroed page, seen through `window`; 0 where there is none left.
    uint64_t take(uint64_t window);
};

struct PagingMode {
    unsigned levels; // 4 or 5
    bool has_1g_pages;
    uint64_t c_bit_mask = 0; // put into every entry
};

enum class MapResult { ok, no_memory, conflict };

class PageTables {
public:
    // `window` is the virtual address of physical 0; `root` the top-level
    // table, zeroed or built by this class before.
    PageTables(uint64_t window, uint64_t root, PagingMode mode, TablePages& pages)
        : window_(window),
          root_(root),
          mode_(mode),
          address_(kTableAddress & ~mode.c_bit_mask),
          pages_(pages) {}

    // Maps [virt, virt + bytes) to phys; all three are page-aligned, and the
    // range does not wrap. `bits` are those of the leaves: PTE_WRITABLE,
    // kNoExecute, caching. A range that is mapped already is a conflict where
    // it has a larger page, and is written over where it does not.
    [[nodiscard]] MapResult map(uint64_t virt, uint64_t phys, uint64_t bytes, uint64_t bits) {
        return map_leaves(virt, phys, bytes, bits | mode_.c_bit_mask);
    }
    // ... what is no memory, and so not encrypted.
    [[nodiscard]] MapResult map_devices(uint64_t virt, uint64_t phys, uint64_t bytes,
                                        uint64_t bits) {
        return map_leaves(virt, phys, bytes, bits);
    }

    // The entry of the 4 KiB page at `virt`, for which large pages are split; null where
    // there is none, or, with a reason, where pages for tables run out.
    [[nodiscard]] uint64_t* small_page(uint64_t virt, MapResult& result);

    uint64_t* entry(uint64_t table, unsigned index) const {
        return reinterpret_cast<uint64_t*>(static_cast<uintptr_t>(window_ + table)) + index;
    }
    // The table, or page, that an entry points to.
    uint64_t pointed_to(uint64_t entry) const { return entry & address_; }
    uint64_t root() const { return root_; }
    unsigned top_index(uint64_t virt) const { return index_of(virt, mode_.levels); }
    uint64_t top_entry_bytes() const { return page_of(mode_.levels); }

private:
    static constexpr unsigned shift_of(unsigned level) { return 3 + 9 * level; }
    static constexpr uint64_t page_of(unsigned level) { return uint64_t{1} << shift_of(level); }
    static constexpr unsigned index_of(uint64_t virt, unsigned level) {
        return static_cast<unsigned>(virt >> shift_of(level)) % TABLE_ENTRIES;
    }
    MapResult map_leaves(uint64_t virt, uint64_t phys, uint64_t bytes, uint64_t bits);
    unsigned level_for(uint64_t addresses, uint64_t bytes) const;
    bool split(uint64_t* entry, unsigned level);
    uint64_t* find_or_add_table(uint64_t virt, unsigned level, MapResult& result);

    uint64_t window_;
    uint64_t root_;
    PagingMode mode_;
    uint64_t address_; // an entry's bits that are one
    TablePages& pages_;
    // The last table written to at each level, and what it covers: most runs
    // follow each other in one table.
    static constexpr uint64_t kNothing = ~uint64_t{0};
    struct Last {
        uint64_t* table = nullptr;
        uint64_t covers = kNothing;
    };
    Last last_[3];
};

} // namespace prologue

#pragma GCC visibility pop
