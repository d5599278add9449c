// Maps that are made of statements, in storage that lies between bytes that are watched; and random
// statements.
#pragma once

#include "memory_map.h"

#include "dice.h"
#include "range_model.h"
#include "seams.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace prologue::test {

inline constexpr uint64_t kTop = kLastPageStart; // no range ends above it

// A map in storage of exactly that capacity, in which old ranges lie about. Ranges
// are moved by instructions that ASan does not see, so what lies behind the storage
// is looked at, too.
struct Stored {
    static constexpr uint64_t kBehind = 4;
    static constexpr prologue_range kUntouched = {0x5a5a, 0xa5a5, 0x5a, 0xa5};

    explicit Stored(uint64_t capacity)
        : capacity(capacity),
          storage(capacity + kBehind, kUntouched),
          map(litter(), capacity) {}

    prologue_range* litter() {
        Dice dice(capacity);
        for (uint64_t i = 0; i != capacity; ++i) {
            const uint64_t start = dice.below(64) * kPage;
            const auto type = static_cast<uint32_t>(dice.between(1, kTypes - 1));
            storage[i] = {start, start + dice.between(1, 20) * kPage, type, 0};
        }
        return storage.data();
    }

    bool kept_to_its_storage() const {
        return std::all_of(storage.begin() + static_cast<int64_t>(capacity), storage.end(),
                           [](const prologue_range& range) { return range == kUntouched; });
    }

    void state(const Statement& statement) {
        if (statement.kind == Statement::kAdd)
            map.add(RawRange{statement.start, statement.bytes, statement.type});
        else
            map.overlay({statement.start, statement.start + statement.bytes}, statement.type);
    }
    Ranges ranges() const { return {map.begin(), map.end()}; }

    uint64_t capacity;
    std::vector<prologue_range> storage;
    MemoryMap map;
};

inline Ranges map_of(const std::vector<Statement>& statements) {
    Stored stored(MemoryMap::storage_for(statements.size()));
    for (const Statement& statement : statements)
        stored.state(statement);
    EXPECT_TRUE(stored.kept_to_its_storage());
    return stored.ranges();
}

inline Statement add(uint64_t start, uint64_t bytes, uint32_t e820_type) {
    return {Statement::kAdd, start, bytes, e820_type};
}

inline Statement overlay(uint64_t start_page, uint64_t pages, uint32_t type) {
    return {Statement::kOverlay, start_page * kPage, pages * kPage, type};
}

// An address near a page boundary more often than not.
inline uint64_t address_in(Dice& dice, uint64_t universe, uint64_t pages) {
    const uint64_t page = universe + dice.below(pages) * kPage;
    return page + dice.one_of<uint64_t>({0, 0, 0, 1, kPage - 1, dice.below(kPage)});
}

inline Statement random_statement(Dice& dice, uint64_t universe, uint64_t pages) {
    const uint64_t last = universe + pages * kPage - 1;
    if (dice.one_in(3)) {
        const uint64_t start = universe + dice.below(pages) * kPage;
        const uint64_t most = std::min(last + 1 - start, kTop - start);
        const auto type = static_cast<uint32_t>(dice.between(1, kTypes - 1));
        return {Statement::kOverlay, start, dice.below(most / kPage + 1) * kPage, type};
    }
    const uint64_t start = address_in(dice, universe, pages);
    const uint64_t end = address_in(dice, universe, pages);
    const auto type = dice.one_in(4) ? dice.one_of({kE820Unaccepted, kE820SoftReserved})
                                     : static_cast<uint32_t>(dice.below(8));
    if (dice.one_in(20))
        return add(start, 0, type);
    if (dice.one_in(20)) // to the universe's end, which may be that of the address space
        return add(start, last - start + 1, type);
    return add(std::min(start, end), std::max(start, end) - std::min(start, end), type);
}

// A loader's map with marks, as the 64-bit stage makes it.
inline Ranges map_with_marks(const std::vector<Statement>& ranges,
                             const std::vector<Statement>& marked) {
    std::vector<RawRange> raw;
    for (const Statement& range : ranges)
        raw.push_back({range.start, range.bytes, range.type});
    const RawMap raw_map = {reinterpret_cast<const uint8_t*>(raw.data()),
                            raw.size() * sizeof(RawRange), sizeof(RawRange), 0};
    std::vector<Mark> storage(marked.size());
    Marks marks(storage.data());
    for (const Statement& mark : marked)
        marks.add({mark.start, mark.start + mark.bytes}, mark.type);
    EXPECT_EQ(marks.size(), marked.size());
    Stored stored(MemoryMap::storage_for(raw.size() + marks.size()));
    stored.map.add(raw_map, marks);
    EXPECT_TRUE(stored.kept_to_its_storage());
    return stored.ranges();
}

} // namespace prologue::test
