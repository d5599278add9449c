// The table builder against the independent walker, on random layouts.

#include "page_tables.h"

#include "dice.h"
#include "seams.h"
#include "table_audit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

namespace prologue::test {
namespace {

constexpr uint64_t k2M = 2 * kMiB;
constexpr uint64_t kTablesAt = 0x345000;
constexpr uint8_t kStale = 0xa5; // what lies in memory that nobody has zeroed

// Tables under construction, in memory that is dirty but for the root.
struct Build {
    Build(const Cpu& cpu, uint64_t pages)
        : cpu(cpu),
          memory((pages + 2) * kPage, kTablesAt - kPage, kStale),
          free{kTablesAt + kPage, kTablesAt + pages * kPage},
          tables(new_builder()) {
        std::memset(memory.at(root()), 0, kPage);
    }

    static uint64_t root() { return kTablesAt; }

    std::unique_ptr<PageTables> new_builder() {
        const PagingMode mode = {cpu.levels, cpu.has_1g_pages, cpu.c_bit};
        return std::make_unique<PageTables>(memory.window(), root(), mode, free);
    }

    MapResult map(const Stretch& run) {
        const uint64_t bits = (run.writable ? PTE_WRITABLE : 0) | (run.executable ? 0 : kNoExecute);
        return tables->map(run.virt, run.phys, run.bytes, bits);
    }

    std::string flaw(const std::vector<Stretch>& runs) const {
        return flaw_of_tables(cpu, memory, root(), runs);
    }

    // Is all memory but the tables' as it was?
    bool kept_to_its_pages() const {
        const auto stale = [&](uint64_t start, uint64_t end) {
            return std::all_of(memory.at(start), memory.at(end - 1) + 1,
                               [](uint8_t byte) { return byte == kStale; });
        };
        return stale(memory.start(), root()) && stale(free.next, memory.end());
    }

    uint64_t tables_used() const { return (free.next - root()) / kPage; }

    Cpu cpu;
    FakeMemory memory;
    TablePages free;
    std::unique_ptr<PageTables> tables;
};

// --- Random layouts -------------------------------------------------------------------------

Cpu random_cpu(Dice& dice) {
    return {
        .levels = dice.one_in(2) ? 5u : 4u,
        .has_1g_pages = dice.one_in(2),
        .c_bit = dice.one_of<uint64_t>({0, 0, 0, 1ull << 47, 1ull << 51}),
    };
}

// A length or a gap: some pages, at one scale or on the edge between two. Small
// pages are slow to check, so there are never very many of them.
uint64_t random_size(Dice& dice, uint64_t largest_page) {
    const uint64_t few = dice.below(8) * kPage;
    switch (dice.below(largest_page == kGiB ? 6 : largest_page == k2M ? 4 : 2)) {
    case 0:
        return few + kPage;
    case 1:
        return dice.between(1, 1500) * kPage;
    case 2:
        return dice.between(1, 1100) * k2M;
    case 3:
        return dice.between(1, 3) * k2M + dice.one_of<uint64_t>({few, 0 - few});
    case 4:
        return dice.between(1, 1100) * kGiB;
    default:
        return dice.between(1, 3) * kGiB + dice.one_of<uint64_t>({few, 0 - few}) +
               dice.below(3) * k2M;
    }
}

// Where stretches may begin: near what a kernel uses, and near every table's edge.
uint64_t random_base(Dice& dice, unsigned levels) {
    const unsigned bits = levels == 5 ? 57 : 48;
    const uint64_t half = 1ull << (bits - 1);
    const uint64_t upper = 0 - half;
    const uint64_t top_entry = 1ull << (bits - 9);
    const uint64_t edge = dice.one_of<uint64_t>(
        {0, kMiB, 4 * kGiB, top_entry, 5 * top_entry, half - kGiB, upper, upper + top_entry,
         0 - 2 * kGiB, 0 - top_entry, dice.below(half), upper + dice.below(half)});
    const uint64_t before = dice.one_of<uint64_t>({0, 0, kPage, k2M, kGiB}) * dice.below(4);
    const uint64_t base = page_down(edge - before);
    const bool lower_half = base < half, upper_half = base >= upper;
    return lower_half || upper_half ? base : page_down(edge);
}

// The last address of the half that the base is in.
uint64_t last_of_half(uint64_t base, unsigned levels) {
    const uint64_t half = 1ull << (levels == 5 ? 56 : 47);
    return base < half ? half - 1 : ~uint64_t{0};
}

Stretch random_stretch(Dice& dice, uint64_t virt) {
    // Aligned to virt by so much and no more.
    const uint64_t alignment = dice.one_of<uint64_t>({kPage, k2M, k2M, kGiB, kGiB});
    const uint64_t somewhere = dice.below(1ull << dice.between(30, 46)) & ~(kGiB - 1);
    uint64_t phys = somewhere + virt % kGiB;
    if (alignment != kGiB)
        phys += dice.between(1, 500) * alignment;
    const uint64_t page = alignment;
    return {virt, random_size(dice, page), phys, dice.one_in(2), dice.one_in(2)};
}

std::vector<Stretch> random_layout(Dice& dice, const Cpu& cpu) {
    std::vector<Stretch> runs;
    for (uint64_t left = dice.between(1, 3); left != 0; --left) {
        uint64_t virt = random_base(dice, cpu.levels);
        const uint64_t last = last_of_half(virt, cpu.levels);
        for (uint64_t count = dice.between(1, 4); count != 0; --count) {
            Stretch run = random_stretch(dice, virt);
            // Without 1 GiB pages, a TiB is half a million entries.
            if (!cpu.has_1g_pages)
                run.bytes = std::min(run.bytes, 8 * kGiB + dice.below(4) * kPage);
            run.bytes = std::min(run.bytes - 1, last - virt) + 1;
            const bool overlaps = std::any_of(runs.begin(), runs.end(), [&](const Stretch& other) {
                return run.virt <= other.last() && other.virt <= run.last();
            });
            if (overlaps)
                break;
            runs.push_back(run);
            const uint64_t gap = dice.one_in(2) ? 0 : random_size(dice, kGiB);
            if (last - run.last() <= gap)
                break;
            virt = run.last() + 1 + gap;
        }
    }
    dice.shuffle(runs);
    return runs;
}

TEST(PageTables, MapRandomLayoutsAsTheWalkerSeesThem) {
    Dice dice(11);
    for (int round = 0; round != 8000; ++round) {
        const Cpu cpu = random_cpu(dice);
        const std::vector<Stretch> runs = random_layout(dice, cpu);
        const uint64_t needed = tables_needed(cpu, runs);
        Build build(cpu, needed + 2);
        for (const Stretch& run : runs) {
            if (dice.one_in(4)) // tables of an earlier builder are as good as one's own
                build.tables = build.new_builder();
            ASSERT_EQ(build.map(run), MapResult::ok) << run;
        }
        ASSERT_EQ(build.flaw(runs), "")
            << "round " << round << ", " << cpu << ": " << testing::PrintToString(runs);
        ASSERT_EQ(build.tables_used(), needed) << testing::PrintToString(runs);
        ASSERT_TRUE(build.kept_to_its_pages());
    }
}

TEST(PageTables, GiveUpWhenPagesRunOutAndTouchNoOther) {
    Dice dice(12);
    for (int round = 0; round != 400; ++round) {
        const Cpu cpu = random_cpu(dice);
        const std::vector<Stretch> runs = random_layout(dice, cpu);
        const uint64_t needed = tables_needed(cpu, runs);
        const uint64_t pages = dice.between(1, needed);
        Build build(cpu, pages);
        MapResult result = MapResult::ok;
        for (const Stretch& run : runs)
            if (result == MapResult::ok)
                result = build.map(run);
        ASSERT_EQ(result, pages == needed ? MapResult::ok : MapResult::no_memory);
        ASSERT_TRUE(build.kept_to_its_pages());
        ASSERT_EQ(build.tables_used(), pages) << "all that there were";
    }
}

// --- Cases ----------------------------------------------------------------------------------

constexpr Cpu kFour = {.levels = 4, .has_1g_pages = true};
constexpr Cpu kFive = {.levels = 5, .has_1g_pages = true};

Stretch data(uint64_t virt, uint64_t phys, uint64_t bytes) {
    return {virt, bytes, phys, true, false};
}

TEST(PageTables, MapNothingForNoBytes) {
    Build build(kFour, 4);
    EXPECT_EQ(build.map(data(kGiB, kGiB, 0)), MapResult::ok);
    EXPECT_EQ(build.flaw({}), "");
    EXPECT_EQ(build.tables_used(), 1u);
}

TEST(PageTables, ReachTheLastByteOfAllAddresses) {
    for (const Cpu& cpu : {kFour, kFive}) {
        Build build(cpu, 20);
        const Stretch run = data(0 - 2 * kGiB - 3 * kPage, 5 * kGiB - 3 * kPage,
                                 2 * kGiB + 3 * kPage);
        ASSERT_EQ(run.last(), ~uint64_t{0});
        EXPECT_EQ(build.map(run), MapResult::ok);
        EXPECT_EQ(build.flaw({run}), "");
    }
}

TEST(PageTables, MapTheUpperHalfOfFiveLevelsApartFromTheLower) {
    Build build(kFive, 20);
    const std::vector<Stretch> runs = {data(kGiB, 0x5000 + kGiB, kPage),
                                       data(0xff00000000000000 + kGiB, kGiB, kGiB),
                                       data(0xffff800000000000 + kGiB, 2 * kGiB, 2 * k2M)};
    for (const Stretch& run : runs)
        EXPECT_EQ(build.map(run), MapResult::ok);
    EXPECT_EQ(build.flaw(runs), "");
}

TEST(PageTables, PutTheCBitIntoEveryEntry) {
    const Cpu cpu = {.levels = 4, .has_1g_pages = true, .c_bit = 1ull << 51};
    Build build(cpu, 20);
    const Stretch run = data(kGiB - k2M - kPage, kGiB - k2M - kPage, kGiB + k2M + kPage);
    EXPECT_EQ(build.map(run), MapResult::ok);
    for (uint64_t at = build.root(); at != build.free.next; at += 8) {
        const auto entry = build.memory.get<uint64_t>(at);
        EXPECT_TRUE(entry == 0 || (entry & cpu.c_bit) != 0) << std::hex << at << ": " << entry;
    }
    EXPECT_EQ(build.flaw({run}), "") << "the walker takes no pointer without it";
}

TEST(PageTables, RefuseWhatALargerPageMaps) {
    const struct {
        Stretch first, second;
    } cases[] = {
        {data(k2M, k2M, k2M), data(k2M, k2M, kPage)},
        {data(k2M, k2M, k2M), data(2 * k2M - kPage, kMiB, 2 * kPage)},
        {data(kGiB, kGiB, kGiB), data(kGiB + k2M, k2M, k2M)},
        {data(kGiB, kGiB, kGiB), data(2 * kGiB - kPage, k2M, kPage)},
    };
    for (const auto& one : cases) {
        Build build(kFour, 20);
        ASSERT_EQ(build.map(one.first), MapResult::ok);
        EXPECT_EQ(build.map(one.second), MapResult::conflict) << one.second;
        EXPECT_EQ(build.flaw({one.first}), "") << "and what was there stays";
    }
}

TEST(PageTables, WriteOverWhatIsMappedInPagesOfThatSizeOrSmaller) {
    const struct {
        Stretch first, second;
        std::vector<Stretch> result;
    } cases[] = {
        {data(k2M, k2M, 4 * kPage),
         {k2M + kPage, kPage, 9 * k2M, false, true},
         {data(k2M, k2M, kPage),
          {k2M + kPage, kPage, 9 * k2M, false, true},
          data(k2M + 2 * kPage, k2M + 2 * kPage, 2 * kPage)}},
        {data(k2M, k2M, k2M), data(k2M, 7 * k2M, k2M), {data(k2M, 7 * k2M, k2M)}},
        {data(k2M + kPage, kPage, kPage), data(k2M, 7 * k2M, k2M), {data(k2M, 7 * k2M, k2M)}},
        {data(kGiB + k2M, k2M, k2M), data(kGiB, kGiB, kGiB), {data(kGiB, kGiB, kGiB)}},
    };
    for (const auto& one : cases) {
        Build build(kFour, 20);
        ASSERT_EQ(build.map(one.first), MapResult::ok);
        EXPECT_EQ(build.map(one.second), MapResult::ok) << one.second;
        EXPECT_EQ(build.flaw(one.result), "") << one.second;
    }
}

// A table of small pages that a large page has replaced is nobody's any more:
// what is written to it is lost.
TEST(PageTables, ForgetATableThatALargePageHasReplaced) {
    for (const Stretch& large : {data(k2M, 7 * k2M, k2M), data(0, 0, kGiB)}) {
        Build build(kFour, 20);
        ASSERT_EQ(build.map(data(k2M + kPage, kPage, kPage)), MapResult::ok);
        ASSERT_EQ(build.map(large), MapResult::ok);
        EXPECT_EQ(build.map(data(k2M + 5 * kPage, kMiB, kPage)), MapResult::conflict) << large;
        EXPECT_EQ(build.flaw({large}), "");
    }
}

TEST(PageTables, MapOnAfterARefusal) {
    const Stretch first = data(k2M + kPage, kPage, kPage), large = data(kGiB, kGiB, k2M);
    const Stretch next = data(k2M + 2 * kPage, 5 * kPage, kPage);
    Build build(kFour, 5);
    ASSERT_EQ(build.map(first), MapResult::ok);
    ASSERT_EQ(build.map(large), MapResult::ok);
    EXPECT_EQ(build.map(data(kGiB + kPage, kPage, kPage)), MapResult::conflict);
    EXPECT_EQ(build.map(next), MapResult::ok);
    EXPECT_EQ(build.map(data(kMiB, kMiB, kPage)), MapResult::no_memory);
    EXPECT_EQ(build.map(next), MapResult::ok);
    EXPECT_EQ(build.flaw({first, large, next}), "");
}

// --- Single pages within large ones ---------------------------------------------------------

// What the independent walker says of an address, without the size of its page.
Translation page_at(const Build& build, uint64_t virt) {
    const PagingState state = state_of(build.cpu, build.root());
    const WalkResult result = walk(state, reader_of(build.memory), virt, Access::Read, false);
    EXPECT_TRUE(std::holds_alternative<Translation>(result)) << std::get<Fault>(result);
    Translation page = std::get<Translation>(result);
    page.page_bytes = 0;
    return page;
}

// An attribute, by where it stands in the entry of a large page.
constexpr uint64_t kAttributes[] = {0,
                                    PTE_WRITABLE,
                                    PTE_WRITE_THROUGH,
                                    PTE_CACHE_DISABLE,
                                    1 << 12 /* PAT */,
                                    kNoExecute,
                                    1 << 12 | PTE_WRITE_THROUGH | PTE_CACHE_DISABLE};

TEST(PageTables, ASplitPageIsWhatItWasAtEachSizeWithEachAttribute) {
    for (const Cpu& cpu :
         {kFour, kFive, Cpu{.levels = 4, .has_1g_pages = true, .c_bit = 1ull << 51},
          Cpu{.levels = 5, .has_1g_pages = true, .c_bit = 1ull << 47}})
        for (const uint64_t size : {k2M, kGiB})
            for (const uint64_t bits : kAttributes) {
                Build build(cpu, 60);
                const uint64_t virt = 5 * kGiB, phys = 3 * kGiB;
                ASSERT_EQ(build.tables->map(virt, phys, size, bits), MapResult::ok);
                std::vector<uint64_t> at; // around what is split, and far from it
                for (uint64_t step = kPage; step <= size; step *= 2)
                    at.insert(at.end(), {virt + step - kPage, virt + size - step});
                std::vector<Translation> before;
                for (const uint64_t address : at)
                    before.push_back(page_at(build, address));
                ASSERT_EQ(before[0].pat, (bits >> 12 & 1) != 0) << "the test's own";
                MapResult result = MapResult::ok;
                for (const uint64_t address : at) {
                    const uint64_t* const entry = build.tables->small_page(address, result);
                    ASSERT_NE(entry, nullptr);
                    ASSERT_EQ(build.tables->pointed_to(*entry), address - virt + phys);
                }
                for (size_t i = 0; i != at.size(); ++i)
                    ASSERT_EQ(page_at(build, at[i]), before[i])
                        << std::hex << at[i] << ", " << bits << ", of " << size;
            }
}

// A page that is shown to the host and taken back is what it was, and its neighbours are.
TEST(PageTables, ASharedPageIsAsItWasWhenItIsTakenBack) {
    const Cpu cpu = {.levels = 4, .has_1g_pages = true, .c_bit = 1ull << 51};
    for (const uint64_t size : {kPage, k2M, kGiB})
        for (const uint64_t bits : kAttributes) {
            const bool pat = (bits & 1 << 12) != 0;
            const uint64_t own = size != kPage ? bits
                                               : (bits & ~uint64_t{1 << 12}) | (pat ? 0x80 : 0);
            Build build(cpu, 20);
            const uint64_t virt = 5 * kGiB, phys = 3 * kGiB;
            ASSERT_EQ(build.tables->map(virt, phys, size, own), MapResult::ok);
            const Translation before = page_at(build, virt);
            EXPECT_EQ(before.pat, pat) << "the test's own";
            MapResult result = MapResult::ok;
            uint64_t* const entry = build.tables->small_page(virt, result);
            *entry &= ~cpu.c_bit;
            Translation shown = before;
            shown.encrypted = false;
            EXPECT_EQ(page_at(build, virt), shown);
            if (size != kPage) {
                EXPECT_TRUE(page_at(build, virt + kPage).encrypted);
                EXPECT_EQ(page_at(build, virt + kPage).pa, phys + kPage);
            }
            *build.tables->small_page(virt, result) |= cpu.c_bit;
            EXPECT_EQ(page_at(build, virt), before);
        }
}

TEST(TablePages, AreZeroedAndTakenInAscendingOrder) {
    FakeMemory memory(4 * kPage, kTablesAt - kPage, kStale);
    TablePages pages = {kTablesAt, kTablesAt + 2 * kPage};
    for (const uint64_t expected : {kTablesAt, kTablesAt + kPage}) {
        ASSERT_EQ(pages.take(memory.window()), expected);
        for (uint64_t at = expected; at != expected + kPage; ++at)
            ASSERT_EQ(memory.get<uint8_t>(at), 0);
    }
    EXPECT_EQ(pages.take(memory.window()), 0u);
    EXPECT_EQ(memory.get<uint8_t>(kTablesAt - 1), kStale);
    EXPECT_EQ(memory.get<uint8_t>(kTablesAt + 2 * kPage), kStale);
}

TEST(TablePages, AreTakenInDescendingOrderByANegativeStep) {
    FakeMemory memory(4 * kPage, kTablesAt - kPage, kStale);
    TablePages pages = {kTablesAt + kPage, kTablesAt - kPage, -int64_t{kPage}};
    for (const uint64_t expected : {kTablesAt + kPage, kTablesAt}) {
        ASSERT_EQ(pages.take(memory.window()), expected);
        for (uint64_t at = expected; at != expected + kPage; ++at)
            ASSERT_EQ(memory.get<uint8_t>(at), 0);
    }
    EXPECT_EQ(pages.take(memory.window()), 0u);
    EXPECT_EQ(memory.get<uint8_t>(kTablesAt - 1), kStale);
    EXPECT_EQ(memory.get<uint8_t>(kTablesAt + 2 * kPage), kStale);
}

TEST(TablePages, AreNotTakenPastTheirEnd) {
    FakeMemory memory(2 * kPage, kTablesAt, kStale);
    for (const uint64_t end : {kTablesAt, kTablesAt - kPage, kTablesAt + kPage - 1}) {
        TablePages pages = {kTablesAt, end};
        EXPECT_EQ(pages.take(memory.window()), 0u);
        EXPECT_EQ(pages.next, kTablesAt);
    }
    EXPECT_EQ(memory.get<uint8_t>(kTablesAt), kStale);
}

TEST(PageTables, KnowTheirTopLevel) {
    const Build four(kFour, 2), five(kFive, 2);
    EXPECT_EQ(four.tables->top_entry_bytes(), 1ull << 39);
    EXPECT_EQ(five.tables->top_entry_bytes(), 1ull << 48);
    EXPECT_EQ(four.tables->top_index(0xffff800000000000), 256u);
    EXPECT_EQ(four.tables->top_index(0xffffffff80000000), 511u);
    EXPECT_EQ(four.tables->top_index((1ull << 39) - 1), 0u);
    EXPECT_EQ(five.tables->top_index(0xff00000000000000), 256u);
    EXPECT_EQ(five.tables->top_index(0xffffffff80000000), 511u);
    EXPECT_EQ(five.tables->top_index((1ull << 48) - 1), 0u);
}

} // namespace
} // namespace prologue::test
