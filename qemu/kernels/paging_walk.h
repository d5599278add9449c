// Walks the page tables of 64-bit mode, written from SDM vol. 3, 4.5 and from
// nothing of Prologue's: what is mapped where, with the rights of all levels.
#pragma once

#include <stdint.h>

struct Mapping {
    uint64_t virt, phys, bytes;
    bool writable, executable;
    unsigned caching; // an index into the PAT
};

class TableWalk {
public:
    // `direct_map` shows physical 0; `visit` gets each mapping, neighbours that
    // go on where the one before ends joined to one.
    TableWalk(uint64_t direct_map, unsigned levels, void (*visit)(const Mapping&))
        : direct_map_(direct_map),
          levels_(levels),
          visit_(visit) {}

    void all(uint64_t cr3) {
        table(cr3 & kAddress, levels_, 0, true, true);
        flush();
    }

    // An entry that has a reserved bit, or a user or global bit, which nobody
    // asked for, or caching of a table; 0 where there is none.
    uint64_t first_odd_entry() const { return odd_; }

private:
    static constexpr uint64_t kPresent = 1, kWritable = 2, kLarge = 0x80;
    static constexpr uint64_t kWriteThrough = 8, kCacheDisable = 0x10;
    static constexpr uint64_t kPatIn4K = 0x80, kPatInLarge = 0x1000;
    static constexpr uint64_t kAccessedAndDirty = 0x60;
    static constexpr uint64_t kNoExecute = uint64_t{1} << 63;
    static constexpr uint64_t kAddress = 0x000ffffffffff000;
    static constexpr unsigned kEntries = 512;

    static constexpr unsigned shift_of(unsigned level) { return 3 + 9 * level; }

    // Bits 63:47, or 63:56, are all equal.
    uint64_t canonical(uint64_t virt) const {
        const unsigned unused = 64 - shift_of(levels_ + 1);
        return static_cast<uint64_t>(static_cast<int64_t>(virt << unused) >> unused);
    }

    void table(uint64_t phys, unsigned level, uint64_t virt, bool writable, bool executable) {
        const auto* entries = reinterpret_cast<const volatile uint64_t*>(direct_map_ + phys);
        for (unsigned i = 0; i != kEntries; ++i) {
            const uint64_t entry = entries[i];
            if ((entry & kPresent) == 0) {
                note_odd(entry, entry); // nobody keeps notes in absent entries
                continue;
            }
            const uint64_t at = virt | uint64_t{i} << shift_of(level);
            const bool w = writable && (entry & kWritable) != 0;
            const bool x = executable && (entry & kNoExecute) == 0;
            const uint64_t known = kPresent | kWritable | kAccessedAndDirty | kNoExecute;
            if (level != 1 && (entry & kLarge) == 0) {
                note_odd(entry, entry & ~(known | kAddress));
                table(entry & kAddress, level - 1, at, w, x);
                continue;
            }
            const uint64_t size = uint64_t{1} << shift_of(level);
            const uint64_t address = kAddress & ~(size - 1);
            const uint64_t pat = level == 1 ? kPatIn4K : kPatInLarge;
            const uint64_t caching = kWriteThrough | kCacheDisable | pat;
            note_odd(entry, entry & ~(known | caching | address | (level == 1 ? 0 : kLarge)));
            note_odd(entry, level > 3);
            const unsigned index = (entry & kWriteThrough ? 1 : 0) |
                                   (entry & kCacheDisable ? 2 : 0) | (entry & pat ? 4 : 0);
            leaf({canonical(at), entry & address, size, w, x, index});
        }
    }

    void leaf(const Mapping& next) {
        if (last_.bytes != 0 && next.virt == last_.virt + last_.bytes &&
            next.phys == last_.phys + last_.bytes && next.writable == last_.writable &&
            next.executable == last_.executable && next.caching == last_.caching) {
            last_.bytes += next.bytes;
            return;
        }
        flush();
        last_ = next;
    }

    void flush() {
        if (last_.bytes != 0)
            visit_(last_);
        last_.bytes = 0;
    }

    void note_odd(uint64_t entry, uint64_t bits) {
        if (bits != 0 && odd_ == 0)
            odd_ = entry;
    }

    uint64_t direct_map_;
    unsigned levels_;
    void (*visit_)(const Mapping&);
    Mapping last_ = {};
    uint64_t odd_ = 0;
};
