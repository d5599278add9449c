// Lists of page state changes (AMD 56421, 4.1.6): what is done, how far, and what is told.
#include "page_state.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

namespace sevhost {
namespace {

constexpr uint64_t kPrivate = uint64_t{1} << 52, kShared = uint64_t{2} << 52,
                   kPsmash = uint64_t{3} << 52, kUnsmash = uint64_t{4} << 52,
                   kLarge = uint64_t{1} << 56;

struct Change {
    GuestPhys page;
    PageOperation operation;
    uint64_t bytes;
    bool operator==(const Change&) const = default;
};

class Recorder final : public PageOwner {
public:
    bool change(GuestPhys page, PageOperation operation, uint64_t bytes) override {
        if (page == refused)
            return false;
        changes.push_back({page, operation, bytes});
        return true;
    }
    std::vector<Change> changes;
    GuestPhys refused = ~GuestPhys{0};
};

struct List {
    std::vector<uint8_t> bytes = std::vector<uint8_t>(kPageStateListBytes);

    List(std::initializer_list<uint64_t> entries, uint16_t current = 0) {
        set_header(current, static_cast<uint16_t>(entries.size() - 1));
        unsigned i = 0;
        for (const uint64_t entry : entries)
            set(i++, entry);
    }
    void set_header(uint16_t current, uint16_t end, uint32_t reserved = 0) {
        std::memcpy(bytes.data(), &current, 2);
        std::memcpy(bytes.data() + 2, &end, 2);
        std::memcpy(bytes.data() + 4, &reserved, 4);
    }
    void set(unsigned i, uint64_t entry) { std::memcpy(bytes.data() + 8 + 8 * i, &entry, 8); }
    uint64_t get(unsigned i) const {
        uint64_t entry;
        std::memcpy(&entry, bytes.data() + 8 + 8 * i, 8);
        return entry;
    }
    unsigned current() const { return bytes[0] | bytes[1] << 8; }
};

TEST(SevPageState, EntriesAreWorkedOffInTheirOrder) {
    Recorder owner;
    List list = {0x3000 | kPrivate, 0x4000 | kShared, 0x200000 | kPrivate | kLarge,
                 0x400000 | kPsmash | kLarge, 0x600000 | kUnsmash | kLarge};
    EXPECT_EQ(change_page_states(owner, list.bytes.data()), 0u);
    const std::vector<Change> expected = {
        {0x3000, PageOperation::private_, 0x1000},     {0x4000, PageOperation::shared, 0x1000},
        {0x200000, PageOperation::private_, 0x200000}, {0x400000, PageOperation::psmash, 0x200000},
        {0x600000, PageOperation::unsmash, 0x200000},
    };
    EXPECT_EQ(owner.changes, expected);
    EXPECT_EQ(list.current(), 5u) << "one behind the last";
    EXPECT_EQ(list.get(0) & 0xfff, 1u) << "pages done";
    EXPECT_EQ(list.get(2) & 0xfff, 512u);
    EXPECT_EQ(list.get(1), 0x4000 | kShared | 1);
}

TEST(SevPageState, WorkBeginsAtTheCurrentEntry) {
    Recorder owner;
    List list({0x3000 | kPrivate, 0x4000 | kPrivate}, 1);
    EXPECT_EQ(change_page_states(owner, list.bytes.data()), 0u);
    ASSERT_EQ(owner.changes.size(), 1u);
    EXPECT_EQ(owner.changes[0].page, 0x4000u);
}

TEST(SevPageState, ListWhoseEndIsPassedIsDone) {
    Recorder owner;
    List list({0x3000 | kPrivate, 0x4000 | kPrivate}, 2);
    EXPECT_EQ(change_page_states(owner, list.bytes.data()), 0u);
    EXPECT_TRUE(owner.changes.empty());
}

TEST(SevPageState, WhatIsBegunIsEndedPageByPage) {
    Recorder owner;
    List list = {0x200000 | kPrivate | kLarge | 510, 0x3000 | kPrivate | 1};
    EXPECT_EQ(change_page_states(owner, list.bytes.data()), 0u);
    const std::vector<Change> expected = {{0x3fe000, PageOperation::private_, 0x1000},
                                          {0x3ff000, PageOperation::private_, 0x1000}};
    EXPECT_EQ(owner.changes, expected);
    EXPECT_EQ(list.get(0) & 0xfff, 512u);
}

TEST(SevPageState, HeaderMustFitTheList) {
    struct {
        uint16_t current, end;
        uint32_t reserved;
        bool good;
    } const headers[] = {
        {0, 252, 0, true}, {252, 252, 0, true},   {0, 253, 0, false},
        {0, 0, 1, true},   {0, 0xffff, 0, false},
    };
    for (const auto& header : headers) {
        Recorder owner;
        List list = {kPrivate};
        for (unsigned i = 0; i != kMaxPageStateEntries; ++i)
            list.set(i, kPrivate);
        list.set_header(header.current, header.end, header.reserved);
        EXPECT_EQ(change_page_states(owner, list.bytes.data()),
                  header.good ? 0 : uint64_t{1} << 32 | 1);
        EXPECT_EQ(owner.changes.size(), header.good ? header.end - header.current + 1u : 0u);
    }
}

TEST(SevPageState, EntryThatIsNoneEndsTheWork) {
    for (const uint64_t bad : {0x201000 | kPrivate | kLarge, 0x1000 | kPrivate | 2,
                               0x200000 | kPrivate | kLarge | 513}) {
        Recorder owner;
        List list = {0x3000 | kPrivate, bad, 0x4000 | kPrivate};
        EXPECT_EQ(change_page_states(owner, list.bytes.data()), uint64_t{1} << 32 | 2);
        EXPECT_EQ(owner.changes.size(), 1u);
        EXPECT_EQ(list.current(), 1u) << "where it ended";
        EXPECT_EQ(list.get(1), bad) << "untouched";
    }
}

TEST(SevPageState, PageThatIsNotTheGuestsEndsTheWork) {
    Recorder owner;
    owner.refused = 0x4000;
    List list = {0x3000 | kPrivate, 0x4000 | kPrivate, 0x5000 | kPrivate};
    EXPECT_EQ(change_page_states(owner, list.bytes.data()), uint64_t{0x100} << 32);
    EXPECT_EQ(owner.changes.size(), 1u);
    EXPECT_EQ(list.current(), 1u);
}

} // namespace
} // namespace sevhost
