// Where the boot may write: held against a look at every page.

#include "free_memory.h"

#include "dice.h"
#include "parsing.h"
#include "seams.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

namespace prologue::test {
namespace {

constexpr uint64_t kFar = 4 * kGiB;

// What a loader put into memory, of which nothing but the addresses counts: no
// memory is behind them.
struct Layout {
    std::vector<StatedRange> map;
    std::vector<Span> structures; // whole pages
    std::vector<Span> modules;
    std::vector<Span> texts; // one a module; its last byte is the NUL, if it has any byte
    Span image = {kMiB, kMiB + kPage};
    Span limits = {kMiB, kFar};
};

// The modules of the layout that is looked at: a NextModule is a plain function.
const Layout* listed;

uint64_t modules_seen; // how often one was looked at
bool next_listed(PhysMemory& memory, ModuleCursor& cursor, LoaderModule& module) {
    ++modules_seen;
    if (cursor.at == cursor.end)
        return false;
    const Span text = listed->texts[cursor.at];
    module.bytes = listed->modules[cursor.at];
    module.cmdline = text.start == text.end
                         ? Text{}
                         : Text{memory.seen<const char>(text.start), text.bytes() - 1};
    ++cursor.at;
    return true;
}

Span find(const Layout& layout, uint64_t bytes) {
    std::string map;
    for (const StatedRange& range : layout.map)
        map += raw(range.start) + raw(range.bytes) + raw(range.type) + raw(uint32_t{0});
    LoaderInfo loader;
    loader.memory = {reinterpret_cast<const uint8_t*>(map.data()), map.size(), 24, 0};
    for (const Span& span : layout.structures)
        loader.structures[loader.structure_count++] = span;
    listed = &layout;
    loader.modules = {0, layout.modules.size()};
    loader.module_count = layout.modules.size();
    PhysMemory memory = {.window = uint64_t{1} << 62, .mapped = kFar};
    return find_free_memory(memory, loader, next_listed, layout.image, layout.limits, bytes);
}

// --- Every page -----------------------------------------------------------------------------

constexpr uint64_t kPages = 768; // 3 MiB: what the random layouts lie in

struct Model {
    std::vector<bool> free = std::vector<bool>(kPages);

    explicit Model(const Layout& layout) {
        for (const StatedRange& range : layout.map)
            if (range.type == 1)
                for_whole_pages(range, [&](uint64_t page) { free[page] = true; });
        for (uint64_t page = 0; page != kPages; ++page)
            if (page * kPage < layout.limits.start || (page + 1) * kPage > layout.limits.end)
                free[page] = false;
        for (const StatedRange& range : layout.map)
            if (range.type != 1)
                occupy({range.start, range.start + range.bytes});
        for (const auto& list : {layout.structures, layout.modules, layout.texts})
            for (const Span& span : list)
                occupy(span);
        occupy(layout.image);
    }

    bool has_room(uint64_t pages) const {
        uint64_t run = 0;
        for (const bool is_free : free)
            if ((run = is_free ? run + 1 : 0) == pages)
                return true;
        return false;
    }
    bool is_free(Span span) const {
        for (uint64_t page = span.start / kPage; page != span.end / kPage; ++page)
            if (!free.at(page))
                return false;
        return true;
    }

private:
    static void for_whole_pages(const StatedRange& range,
                                const std::function<void(uint64_t)>& visit) {
        const uint64_t end = range.start + range.bytes;
        for (uint64_t page = 0; page != kPages; ++page)
            if (page * kPage >= range.start && (page + 1) * kPage <= end)
                visit(page);
    }

    void occupy(Span span) {
        for (uint64_t page = 0; page != kPages; ++page)
            if (span.start < span.end && span.start < (page + 1) * kPage && page * kPage < span.end)
                free[page] = false;
    }
};

Span random_span(Dice& dice, uint64_t most_pages) {
    const uint64_t ends = kPages * kPage;
    const uint64_t start = dice.below(ends);
    const uint64_t bytes = dice.below(most_pages * kPage);
    const Span span = {start, std::min(start + bytes, ends)};
    if (dice.one_in(2))
        return {page_down(span.start), page_down(span.end)};
    return span;
}

Span whole_pages(Span span) {
    return {page_down(span.start), page_up(span.end)};
}

Layout random_layout(Dice& dice) {
    Layout layout;
    for (uint64_t left = dice.below(5); left != 0; --left) {
        const Span span = random_span(dice, 600);
        layout.map.push_back({span.start, span.bytes(), 1});
    }
    for (uint64_t left = dice.below(4); left != 0; --left) {
        const Span span = random_span(dice, 30);
        layout.map.push_back({span.start, span.bytes(), static_cast<uint32_t>(dice.below(7))});
    }
    if (dice.one_in(2))
        std::sort(layout.map.begin(), layout.map.end(),
                  [](const auto& a, const auto& b) { return a.start < b.start; });
    else
        dice.shuffle(layout.map);
    for (uint64_t left = dice.below(4); left != 0; --left)
        layout.structures.push_back(whole_pages(random_span(dice, 4)));
    for (uint64_t left = dice.below(4); left != 0; --left) {
        layout.modules.push_back(random_span(dice, 50));
        if (dice.one_in(10))
            layout.modules.back().end = layout.modules.back().start;
        Span text = random_span(dice, 2);
        if (dice.one_in(4)) // the NUL has a page of its own
            text = {page_down(text.start) + kPage - 5, page_down(text.start) + kPage + 1};
        layout.texts.push_back(dice.one_in(3) ? Span{} : text);
    }
    layout.image = whole_pages(random_span(dice, 60));
    if (dice.one_in(4))
        layout.limits = {dice.below(kPages) * kPage, dice.between(1, kPages) * kPage};
    return layout;
}

// These are small enough for blocks of a page in the end: no room is overlooked.
TEST(FreeMemory, IsRoomThatNobodyUsesInRandomLayouts) {
    Dice dice(21);
    int found = 0, missing = 0;
    for (int round = 0; round != 20000; ++round) {
        const Layout layout = random_layout(dice);
        const uint64_t pages = dice.one_in(2) ? dice.between(1, 40) : dice.between(1, 300);
        const Model model(layout);
        const uint64_t bytes = pages * kPage;
        Span span;
        const auto failed = failure_of([&] { span = find(layout, bytes); });
        if (!model.has_room(pages)) {
            ++missing;
            ASSERT_EQ(failed, failure(Error::no_room_for_map, {bytes})) << round;
            continue;
        }
        ++found;
        ASSERT_EQ(failed, std::nullopt) << round;
        ASSERT_EQ(span.start % kPage, 0u) << round;
        ASSERT_EQ(span.bytes(), bytes) << round;
        ASSERT_TRUE(model.is_free(span)) << round;
    }
    EXPECT_GT(found, 5000) << "the test's own reach";
    EXPECT_GT(missing, 5000);
}

// --- Cases ----------------------------------------------------------------------------------

void expect_span(Span span, uint64_t start, uint64_t end) {
    EXPECT_EQ(span.start, start);
    EXPECT_EQ(span.end, end);
}

TEST(FreeMemory, LiesWithinTheLimits) {
    const Layout layout = {.map = {{0, 16 * kGiB, 1}}, .image = {}};
    expect_span(find(layout, 5 * kPage), kMiB, kMiB + 5 * kPage);
    expect_span(find(layout, kFar - kMiB), kMiB, kFar);
    EXPECT_EQ(failure_of([&] { find(layout, kFar - kMiB + 1); })->error, Error::no_room_for_map);
    for (const uint64_t bytes : {uint64_t{0} - kPage, ~uint64_t{0}})
        EXPECT_EQ(failure_of([&] { find(layout, bytes); }),
                  failure(Error::no_room_for_map, {bytes}));
    const Layout above = {.map = {{kFar, 16 * kGiB, 1}}};
    EXPECT_EQ(failure_of([&] { find(above, kPage); })->error, Error::no_room_for_map);
}

TEST(FreeMemory, IsFoundBetweenObstacles) {
    const Layout layout = {.map = {{kMiB, 32 * kMiB, 1}, {5 * kMiB, 1, 2}},
                           .structures = {{16 * kMiB, 17 * kMiB}},
                           .modules = {{17 * kMiB, 33 * kMiB}, {2 * kMiB, 3 * kMiB}},
                           .texts = {{}, {}}};
    constexpr uint64_t kBlock = 32 * kMiB / 512; // of the first look
    expect_span(find(layout, kPage), kMiB + kBlock, kMiB + kBlock + kPage);
    expect_span(find(layout, kMiB), 3 * kMiB, 4 * kMiB);
    expect_span(find(layout, 11 * kMiB - kPage), 5 * kMiB + kPage, 16 * kMiB);
    EXPECT_EQ(failure_of([&] { find(layout, 11 * kMiB); })->error, Error::no_room_for_map);
}

TEST(FreeMemory, IsNotSoughtWhereAddressesEnd) {
    // The fuzzer's: all is reserved, so what lies behind that is the last page of all.
    const Layout layout = {.map = {{0, 1ull << 62, 1}, {0, ~uint64_t{0}, 2}}};
    EXPECT_EQ(failure_of([&] { find(layout, 16 * kPage); }),
              failure(Error::no_room_for_map, {16 * kPage}));
}

TEST(FreeMemory, IsNotKeptFromByWhatIsEmpty) {
    const Layout layout = {.map = {{kMiB, 32 * kMiB, 1}, {kMiB + 7, 0, 2}},
                           .modules = {{kMiB + 5, kMiB + 5}},
                           .texts = {{}},
                           .image = {}};
    expect_span(find(layout, kPage), kMiB, kMiB + kPage);
}

TEST(FreeMemory, DoesNotLieOnTheNulOfAModulesText) {
    // The list of modules is read again once this memory is in use.
    const Layout layout = {.map = {{kMiB, kMiB + 2 * kPage, 1}},
                           .modules = {{kMiB, 2 * kMiB}},
                           .texts = {{2 * kMiB - 5, 2 * kMiB + 1}}};
    expect_span(find(layout, kPage), 2 * kMiB + kPage, 2 * kMiB + 2 * kPage);
}

// A map that a hostile loader makes: as many usable ranges as there are obstacles in each of them,
// and a module for each. Whatever the order and the number, each is seen a few times.
TEST(FreeMemory, IsSoughtInStepsThatGrowAsTheRangesDo) {
    constexpr uint64_t kMostLooks = 18;
    for (const uint64_t count : {100u, 1000u, 4000u}) {
        Layout layout;
        for (uint64_t i = 0; i != count; ++i) {
            const uint64_t at = kMiB + (count - 1 - i) * 16 * kPage;
            layout.map.push_back({kMiB, 3 * kGiB, 1});
            layout.map.push_back({at, kPage, 2});
            layout.modules.push_back({at + 8 * kPage, at + 9 * kPage});
            layout.texts.push_back({});
        }
        layout.map.push_back({kMiB + count * 16 * kPage, 3 * kGiB, 2});
        modules_seen = 0;
        EXPECT_EQ(failure_of([&] { find(layout, 32 * kPage); })->error, Error::no_room_for_map);
        EXPECT_LE(modules_seen, kMostLooks * (count + 1));
        layout.map.pop_back();
        const uint64_t behind = kMiB + count * 16 * kPage;
        EXPECT_GE(find(layout, 32 * kPage).start, behind - 7 * kPage);
    }
}

// What it may overlook: in the largest search, a room with less than a MiB to spare.
TEST(FreeMemory, ARoomWithAMibToSpareIsFoundWhereverItLies) {
    Dice dice(22);
    for (int round = 0; round != 2000; ++round) {
        const uint64_t bytes = dice.between(1, 1000) * kPage;
        const uint64_t room = bytes + kMiB, start = kMiB + dice.below(500000) * kPage;
        Layout layout = {.map = {{0, kFar, 1}}, .image = {}};
        layout.modules = {{kMiB, start}, {start + room, kFar}};
        layout.texts = {{}, {}};
        const Span found = find(layout, bytes);
        ASSERT_GE(found.start, start) << round;
        ASSERT_LE(found.end, start + room) << round;
    }
}

// --- Arena ----------------------------------------------------------------------------------

struct ArenaTest : testing::Test {
    static constexpr uint64_t kStart = 0x10000, kEnd = 0x20000;
    FakeMemory memory{kEnd - kStart, kStart, 0xff};
    Arena arena{memory.seen, {kStart, kEnd}};
};

TEST_F(ArenaTest, GivesWhatIsAskedForFromItsEndDownAndAligned) {
    EXPECT_EQ(arena.take(3, 1), 0x1fffdu);
    EXPECT_EQ(arena.take(1, 1), 0x1fffcu);
    EXPECT_EQ(arena.take(8, 8), 0x1fff0u);
    EXPECT_EQ(arena.take(0, 16), 0x1fff0u);
    EXPECT_EQ(arena.take(16, 16), 0x1ffe0u);
    EXPECT_EQ(arena.rest().end, 0x1f000u);
    EXPECT_EQ(arena.take(1, 4096), 0x1f000u);
    EXPECT_EQ(arena.end(), 0x20000u);
    EXPECT_EQ(arena.rest().end, 0x1f000u);
    EXPECT_EQ(arena.rest().start, 0x10000u);
}

TEST_F(ArenaTest, GivesArraysThroughTheWindow) {
    arena.array<char>(1);
    EXPECT_EQ(memory.seen.phys_of(arena.array<uint64_t>(3)), 0x1ffe0u);
    EXPECT_EQ(memory.seen.phys_of(arena.array<prologue_range>(2)), 0x1ffb0u);
}

TEST_F(ArenaTest, CopiesTexts) {
    const char* with_nul = arena.copy("abcdef", 3, true);
    const char* without = arena.copy("abcdef", 3, false);
    EXPECT_EQ(memory.seen.phys_of(with_nul), 0x1fffcu);
    EXPECT_EQ(memory.seen.phys_of(without), 0x1fff9u);
    EXPECT_EQ(std::string(without, 7), std::string("abcabc\0", 7));
    EXPECT_STREQ(arena.copy("", 0, true), "");
}

TEST_F(ArenaTest, GivesItsLastByteAndThenNamesWhatIsMissing) {
    EXPECT_EQ(arena.take(0xfff0, 1), 0x10010u);
    EXPECT_EQ(failure_of([&] { arena.take(0x11, 1); }),
              failure(Error::no_free_memory, {0x11, 0x10}));
    EXPECT_EQ(failure_of([&] { arena.take(1, 0x40000); }),
              failure(Error::no_free_memory, {1, 0x10}))
        << "aligned down, it starts before the beginning";
    EXPECT_EQ(arena.take(0x10, 16), 0x10000u);
    EXPECT_EQ(arena.take(0, 1), 0x10000u);
    EXPECT_EQ(failure_of([&] { arena.take(1, 1); }), failure(Error::no_free_memory, {1, 0}));
}

TEST_F(ArenaTest, RefusesSizesThatWrap) {
    for (const uint64_t bytes : {~uint64_t{0}, uint64_t{0} - 0x10000, uint64_t{0x10001}})
        EXPECT_EQ(failure_of([&] { arena.take(bytes, 8); }),
                  failure(Error::no_free_memory, {bytes, 0x10000}));
    EXPECT_EQ(arena.take(0x10000, 8), 0x10000u) << "a refusal takes nothing";
}

TEST_F(ArenaTest, MakesVisibleNoMoreThanItWillUse) {
    PhysMemory vast = {.window = 0, .mapped = 3 * kGiB};
    const Arena last(vast, {kMiB, 3 * kGiB});
    EXPECT_EQ(last.rest().start, 3 * kGiB - Arena::kMost);
    EXPECT_EQ(last.rest().end, 3 * kGiB);
    PhysMemory less = {.window = 0, .mapped = 3 * kGiB - kPage};
    const auto beyond = [&] { Arena(less, {kMiB, 3 * kGiB}); };
    EXPECT_EQ(failure_of(beyond),
              failure(Error::out_of_reach, {Arena::kMost, 3 * kGiB - Arena::kMost}, "free memory"));
}

} // namespace
} // namespace prologue::test
