// A guest's processor and memory for tests of the SEV host's model: private and shared memory
// are different bytes, and both are filled so that a stray access shows.
#pragma once

#include "page_walk.h"
#include "processor.h"

#include <cstring>
#include <map>
#include <memory>
#include <vector>

namespace sevhost::test {

constexpr uint64_t kMachineBytes = 4 << 20;
constexpr uint64_t kCBit51 = uint64_t{1} << 51;

// Entries of page tables, spelt again from the manual (APM vol. 2, 5.4).
constexpr uint64_t kEntryPresent = 1, kEntryWritable = 2, kEntryUser = 4, kEntryAccessed = 0x20,
                   kEntryDirty = 0x40, kEntryLarge = 0x80, kEntryNoExecute = uint64_t{1} << 63;
constexpr uint64_t kEntryAll = kEntryPresent | kEntryWritable | kEntryUser;

enum class Paging { off, bits32, pae, four_levels, five_levels };
inline constexpr Paging kPagingModes[] = {Paging::bits32, Paging::pae, Paging::four_levels,
                                          Paging::five_levels};

struct GuestMachineMemory {
    GuestMemory own_memory;
};

class GuestMachine : private GuestMachineMemory, public Processor {
public:
    explicit GuestMachine(uint64_t c_bit = kCBit51) : Processor(own_memory) {
        vmcb = &block_;
        c_bit_mask = c_bit;
        memory.add({0, kMachineBytes, private_.data(), c_bit ? shared_.data() : private_.data()});
        save().cr0 = kCr0Pe;
        save().rflags = kFlagsFixed;
    }
    GuestMachine(const GuestMachine&) = delete;

    template <typename T>
    T get(GuestPhys at, Backing backing = Backing::private_) const {
        T value;
        std::memcpy(&value, memory.at(at, sizeof value, backing), sizeof value);
        return value;
    }
    template <typename T>
    void put(GuestPhys at, T value, Backing backing = Backing::private_) {
        std::memcpy(memory.at(at, sizeof value, backing), &value, sizeof value);
    }

    // Turns that mode on, with empty tables.
    void set_paging(Paging mode) {
        VmcbSave& s = save();
        mode_ = mode;
        tables_ = kTablesStart;
        s.cr3 = new_table();
        s.cr0 = kCr0Pe | kCr0Wp | (mode == Paging::off ? 0 : kCr0Pg);
        s.cr4 = mode == Paging::bits32 ? kCr4Pse : mode == Paging::off ? 0 : kCr4Pae;
        s.cr4 |= mode == Paging::five_levels ? kCr4La57 : 0;
        s.efer = kEferSvme | kEferNxe;
        if (mode == Paging::four_levels || mode == Paging::five_levels)
            s.efer |= kEferLme | kEferLma, s.cr3 |= c_bit_mask;
    }

    // A page of 4 KiB; `bits` are those of the entry, with the C-bit or without. Returns where
    // the entry is. Tables on the way have all rights.
    GuestPhys map(uint64_t linear, GuestPhys page, uint64_t bits) {
        return map_at(1, linear, page, bits);
    }
    // The same for an entry of a higher level. A large page on the way makes room for a table.
    GuestPhys map_at(unsigned wanted, uint64_t linear, GuestPhys page, uint64_t bits) {
        GuestPhys table = save().cr3 & ~c_bit_mask;
        for (unsigned level = levels();; --level) {
            const GuestPhys at = entry_at(table, level, linear);
            if (level == wanted) {
                put_entry(at, page | bits);
                return at;
            }
            if ((get_entry(at) & (kEntryPresent | kEntryLarge)) != kEntryPresent)
                put_entry(at, new_table() | table_bits(level));
            table = get_entry(at) & 0xffffffffff000 & ~c_bit_mask;
        }
    }
    // Where the walk of an address finds an entry of that level, which must be there.
    GuestPhys entry_of(uint64_t linear, unsigned wanted) const {
        GuestPhys table = save().cr3 & ~c_bit_mask;
        for (unsigned level = levels();; --level) {
            const GuestPhys at = entry_at(table, level, linear);
            if (level == wanted)
                return at;
            table = get_entry(at) & 0xffffffffff000 & ~c_bit_mask;
        }
    }
    uint64_t get_entry(GuestPhys at) const {
        return entry_bytes() == 4 ? get<uint32_t>(at) : get<uint64_t>(at);
    }
    void put_entry(GuestPhys at, uint64_t entry) {
        if (entry_bytes() == 4)
            put<uint32_t>(at, static_cast<uint32_t>(entry));
        else
            put<uint64_t>(at, entry);
    }
    unsigned levels() const {
        return mode_ == Paging::bits32        ? 2
               : mode_ == Paging::pae         ? 3
               : mode_ == Paging::four_levels ? 4
                                              : 5;
    }
    // The C-bit where the mode's tables have room for it.
    uint64_t c_bit() const { return mode_ == Paging::bits32 ? 0 : c_bit_mask; }

private:
    static constexpr GuestPhys kTablesStart = 0x100000;

    unsigned entry_bytes() const { return mode_ == Paging::bits32 ? 4 : 8; }
    GuestPhys entry_at(GuestPhys table, unsigned level, uint64_t linear) const {
        const unsigned index_bits = mode_ == Paging::bits32 ? 10 : 9;
        const uint64_t index = linear >> (12 + index_bits * (level - 1)) & ((1 << index_bits) - 1);
        return table + index * entry_bytes();
    }
    uint64_t table_bits(unsigned level) const {
        return level == 3 && mode_ == Paging::pae ? kEntryPresent | c_bit_mask
                                                  : kEntryAll | c_bit();
    }
    GuestPhys new_table() {
        const GuestPhys table = tables_;
        tables_ += kPageBytes;
        std::memset(memory.at(table, kPageBytes, Backing::private_), 0, kPageBytes);
        return table;
    }

    Vmcb block_ = {};
    std::vector<uint8_t> private_ = std::vector<uint8_t>(kMachineBytes, 0xcc);
    std::vector<uint8_t> shared_ = std::vector<uint8_t>(kMachineBytes, 0xee);
    Paging mode_ = Paging::off;
    GuestPhys tables_ = kTablesStart;
};

} // namespace sevhost::test
