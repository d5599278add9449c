// MemoryMap against a model that looks at every page, and at its limits.

#include "memory_map.h"

#include "dice.h"
#include "range_model.h"
#include "seams.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace prologue::test {
namespace {

constexpr uint64_t kTop = kLastPageStart; // no range ends above it

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

Ranges map_of(const std::vector<Statement>& statements) {
    Stored stored(MemoryMap::storage_for(statements.size()));
    for (const Statement& statement : statements)
        stored.state(statement);
    EXPECT_TRUE(stored.kept_to_its_storage());
    return stored.ranges();
}

Statement add(uint64_t start, uint64_t bytes, uint32_t e820_type) {
    return {Statement::kAdd, start, bytes, e820_type};
}

Statement overlay(uint64_t start_page, uint64_t pages, uint32_t type) {
    return {Statement::kOverlay, start_page * kPage, pages * kPage, type};
}

// An address near a page boundary more often than not.
uint64_t address_in(Dice& dice, uint64_t universe, uint64_t pages) {
    const uint64_t page = universe + dice.below(pages) * kPage;
    return page + dice.one_of<uint64_t>({0, 0, 0, 1, kPage - 1, dice.below(kPage)});
}

Statement random_statement(Dice& dice, uint64_t universe, uint64_t pages) {
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

TEST(MemoryMap, AgreesWithALookAtEveryPage) {
    constexpr uint64_t kPages = 48;
    Dice dice(1);
    for (int round = 0; round != 20000; ++round) {
        const uint64_t universe = dice.one_of<uint64_t>(
            {0, 4 * kGiB - 3 * kPage, uint64_t{0} - kPages * kPage});
        std::vector<Statement> statements(dice.below(14));
        for (Statement& statement : statements)
            statement = random_statement(dice, universe, kPages);
        const Ranges ranges = map_of(statements);
        ASSERT_EQ(flaw_of(ranges.data(), ranges.data() + ranges.size()), "") << "round " << round;
        ASSERT_EQ(ranges, map_by_pages(statements, universe, kPages))
            << "round " << round << ": " << testing::PrintToString(statements);
    }
}

TEST(MemoryMap, TheOrderOfStatementsChangesNothing) {
    Dice dice(2);
    for (int round = 0; round != 2000; ++round) {
        std::vector<Statement> statements(dice.between(2, 10));
        for (Statement& statement : statements)
            statement = random_statement(dice, 0, 64);
        const Ranges ranges = map_of(statements);
        dice.shuffle(statements);
        ASSERT_EQ(map_of(statements), ranges) << testing::PrintToString(statements);
    }
}

TEST(MemoryMap, IsEmptyUntilSomethingIsStated) {
    EXPECT_EQ(map_of({}), Ranges());
    EXPECT_EQ(map_of({add(kMiB, 0, 1), add(kMiB, 0, 2), overlay(5, 0, 9)}), Ranges());
}

TEST(MemoryMap, KnowsTheE820Types) {
    const uint32_t types[] = {PROLOGUE_MEMORY_RESERVED, PROLOGUE_MEMORY_USABLE,
                              PROLOGUE_MEMORY_RESERVED, PROLOGUE_MEMORY_ACPI,
                              PROLOGUE_MEMORY_NVS,      PROLOGUE_MEMORY_BAD,
                              PROLOGUE_MEMORY_RESERVED, PROLOGUE_MEMORY_RESERVED};
    for (uint32_t e820 = 0; e820 != std::size(types); ++e820)
        EXPECT_EQ(map_of({add(kMiB, kPage, e820)}), (Ranges{{kMiB, kMiB + kPage, types[e820], 0}}))
            << e820;
    EXPECT_EQ(type_of_e820(~0u), uint32_t{PROLOGUE_MEMORY_RESERVED});
}

TEST(MemoryMap, TheMoreRestrictiveTypeWinsWhicheverComesFirst) {
    for (uint32_t a = PROLOGUE_MEMORY_USABLE; a <= PROLOGUE_MEMORY_KERNEL; ++a)
        for (uint32_t b = a + 1; b <= PROLOGUE_MEMORY_KERNEL; ++b) {
            if (a == PROLOGUE_MEMORY_MODULE) // which is another test's
                continue;
            const Ranges expected = {
                {0, kPage, a, 0}, {kPage, 2 * kPage, b, 0}, {2 * kPage, 3 * kPage, a, 0}};
            EXPECT_EQ(map_of({overlay(0, 3, a), overlay(1, 1, b)}), expected);
            EXPECT_EQ(map_of({overlay(1, 1, b), overlay(0, 3, a)}), expected);
        }
}

TEST(MemoryMap, UsableMemoryShrinksToWholePages) {
    EXPECT_EQ(map_of({add(kMiB + 1, 3 * kPage, 1)}),
              (Ranges{{kMiB + kPage, kMiB + 3 * kPage, PROLOGUE_MEMORY_USABLE, 0}}));
    EXPECT_EQ(map_of({add(kMiB + 1, 2 * kPage - 2, 1)}), Ranges()) << "no whole page in it";
    EXPECT_EQ(map_of({add(kMiB, kPage / 2, 1), add(kMiB + kPage / 2, kPage / 2, 1)}), Ranges())
        << "two halves of a page are not taken for one";
}

TEST(MemoryMap, AllElseGrowsToWholePages) {
    EXPECT_EQ(map_of({add(kMiB + kPage - 1, 2, 2)}),
              (Ranges{{kMiB, kMiB + 2 * kPage, PROLOGUE_MEMORY_RESERVED, 0}}));
    EXPECT_EQ(map_of({add(kMiB, 2 * kPage, 1), add(kMiB + 5, 1, 3)}),
              (Ranges{{kMiB, kMiB + kPage, PROLOGUE_MEMORY_ACPI, 0},
                      {kMiB + kPage, kMiB + 2 * kPage, PROLOGUE_MEMORY_USABLE, 0}}));
}

TEST(MemoryMap, UsableMemoryLosesPhysicalPage0) {
    EXPECT_EQ(map_of({add(0, 0x9fc00, 1)}), (Ranges{{kPage, 0x9f000, PROLOGUE_MEMORY_USABLE, 0}}));
    EXPECT_EQ(map_of({add(0, kPage, 1)}), Ranges());
    EXPECT_EQ(map_of({add(0, 1, 2)}), (Ranges{{0, kPage, PROLOGUE_MEMORY_RESERVED, 0}}));
}

TEST(MemoryMap, NeighboursOfOneTypeMergeAndOthersDoNot) {
    const Ranges merged = {{kMiB, kMiB + 3 * kPage, PROLOGUE_MEMORY_USABLE, 0}};
    EXPECT_EQ(map_of({add(kMiB, kPage, 1), add(kMiB + kPage, 2 * kPage, 1)}), merged);
    EXPECT_EQ(map_of({add(kMiB + kPage, 2 * kPage, 1), add(kMiB, kPage, 1)}), merged);
    EXPECT_EQ(
        map_of({add(kMiB, kPage, 1), add(kMiB + 2 * kPage, kPage, 1), add(kMiB + kPage, kPage, 1)}),
        merged)
        << "the one in the middle joins both";
    EXPECT_EQ(map_of({add(kMiB, kPage, 1), add(kMiB + kPage, kPage, 2)}),
              (Ranges{{kMiB, kMiB + kPage, PROLOGUE_MEMORY_USABLE, 0},
                      {kMiB + kPage, kMiB + 2 * kPage, PROLOGUE_MEMORY_RESERVED, 0}}));
}

TEST(MemoryMap, GoesToTheLastPageButOne) {
    EXPECT_EQ(map_of({add(kTop - kPage, 2 * kPage, 2)}),
              (Ranges{{kTop - kPage, kTop, PROLOGUE_MEMORY_RESERVED, 0}}));
    EXPECT_EQ(map_of({add(kTop - 1, kPage, 2)}),
              (Ranges{{kTop - kPage, kTop, PROLOGUE_MEMORY_RESERVED, 0}}));
    EXPECT_EQ(map_of({add(kTop, kPage, 2)}), Ranges());
    EXPECT_EQ(map_of({add(kTop - kPage, kPage, 1)}),
              (Ranges{{kTop - kPage, kTop, PROLOGUE_MEMORY_USABLE, 0}}));
}

TEST(MemoryMap, LeavesOutARangeThatWrapsAndSaysSo) {
    for (uint32_t type = 0; type != 8; ++type) {
        for (const RawRange& wraps :
             {RawRange{kTop, kPage + 1, type}, RawRange{2, ~uint64_t{0}, type}}) {
            Stored stored(MemoryMap::storage_for(2));
            stored.map.add(RawRange{kMiB, kMiB, 1});
            EXPECT_EQ(stored.map.left_out(), 0u);
            stored.map.add(wraps);
            EXPECT_EQ(stored.ranges(), (Ranges{{kMiB, 2 * kMiB, PROLOGUE_MEMORY_USABLE, 0}}));
            EXPECT_EQ(stored.map.left_out(), uint32_t{PROLOGUE_LEFT_OUT_RANGE});
        }
        Stored stored(MemoryMap::storage_for(1));
        stored.map.add(RawRange{1, ~uint64_t{0}, type}); // ends at 2^64
        EXPECT_EQ(stored.map.left_out(), 0u);
    }
}

TEST(MemoryMap, LeavesOutWhatNoCpuAddressesOfWhatIsNotInUse) {
    const uint64_t limit = kGiB;
    for (uint32_t type = PROLOGUE_MEMORY_USABLE; type <= PROLOGUE_MEMORY_KERNEL; ++type) {
        const bool optional = type == PROLOGUE_MEMORY_USABLE || type == PROLOGUE_MEMORY_ACPI ||
                              type == PROLOGUE_MEMORY_NVS;
        Stored stored(MemoryMap::storage_for(4));
        stored.map.overlay({kMiB, 2 * kMiB}, PROLOGUE_MEMORY_BAD);
        stored.map.overlay({limit - kPage, limit + kPage}, type);
        stored.map.overlay({limit + kMiB, limit + 2 * kMiB}, type);
        stored.map.overlay({2 * limit, 3 * limit}, PROLOGUE_MEMORY_RESERVED);
        const Ranges all = stored.ranges();
        stored.map.leave_out_above(3 * limit);
        EXPECT_EQ(stored.ranges(), all) << type;
        EXPECT_EQ(stored.map.left_out(), 0u);
        stored.map.leave_out_above(limit);
        EXPECT_EQ(stored.map.left_out(), optional ? uint32_t{PROLOGUE_LEFT_OUT_RAM} : 0u) << type;
        const Ranges less = {{kMiB, 2 * kMiB, PROLOGUE_MEMORY_BAD, 0},
                             {limit - kPage, limit, type, 0},
                             {2 * limit, 3 * limit, PROLOGUE_MEMORY_RESERVED, 0}};
        EXPECT_EQ(stored.ranges(), optional ? less : all) << type;
        EXPECT_EQ(flaw_of(stored.map.begin(), stored.map.end()), "");
    }
}

TEST(MemoryMap, KnowsTheEndOfWhatIsMapped) {
    Stored stored(MemoryMap::storage_for(4));
    EXPECT_EQ(stored.map.mapped_end(), 0u);
    stored.map.overlay({4 * kMiB, 5 * kMiB}, PROLOGUE_MEMORY_RESERVED);
    EXPECT_EQ(stored.map.mapped_end(), 0u);
    stored.map.overlay({kMiB, 2 * kMiB}, PROLOGUE_MEMORY_MODULE);
    EXPECT_EQ(stored.map.mapped_end(), 2 * kMiB);
    stored.map.overlay({6 * kMiB, 7 * kMiB}, PROLOGUE_MEMORY_BAD);
    EXPECT_EQ(stored.map.mapped_end(), 2 * kMiB);
    stored.map.overlay({8 * kMiB, 9 * kMiB}, PROLOGUE_MEMORY_NVS);
    EXPECT_EQ(stored.map.mapped_end(), 9 * kMiB);
}

// Loaders reserve what they have allocated, and a kernel must read it all the same.
TEST(MemoryMap, AModulesBytesAreTheModulesWhateverTheLoaderCallsThem) {
    for (uint32_t type = PROLOGUE_MEMORY_USABLE; type != kTypes; ++type)
        for (const bool module_first : {false, true}) {
            Stored stored(MemoryMap::storage_for(2));
            const Span all = {kMiB, 2 * kMiB}, module = {kMiB + kPage, kMiB + 3 * kPage};
            if (module_first)
                stored.map.overlay(module, PROLOGUE_MEMORY_MODULE);
            stored.map.overlay(all, type);
            if (!module_first)
                stored.map.overlay(module, PROLOGUE_MEMORY_MODULE);
            const bool one = type == PROLOGUE_MEMORY_MODULE || type == PROLOGUE_MEMORY_KERNEL;
            EXPECT_EQ(stored.ranges(),
                      one ? (Ranges{{all.start, all.end, type, 0}})
                          : (Ranges{{all.start, module.start, type, 0},
                                    {module.start, module.end, PROLOGUE_MEMORY_MODULE, 0},
                                    {module.end, all.end, type, 0}}))
                << type;
        }
}

// A kernel that took its own image for memory to be accepted would use it for something else.
TEST(MemoryMap, TheImageIsTheKernelsWhateverTheLoaderCallsIt) {
    for (const uint32_t e820 :
         {0u, 1u, 2u, 3u, 4u, 5u, kInFirmwaresUse, kE820Unaccepted, kE820SoftReserved, ~0u}) {
        const Statement all = add(kMiB, kMiB, e820);
        const Statement image = overlay(kMiB / kPage + 1, 2, PROLOGUE_MEMORY_KERNEL);
        const uint32_t type = type_of_e820(e820);
        const Ranges due = {{kMiB, kMiB + kPage, type, 0},
                            {kMiB + kPage, kMiB + 3 * kPage, PROLOGUE_MEMORY_KERNEL, 0},
                            {kMiB + 3 * kPage, 2 * kMiB, type, 0}};
        EXPECT_EQ(map_of({all, image}), due) << e820;
        EXPECT_EQ(map_of({image, all}), due) << e820;
    }
}

// The numbers of these came too late to be ranks.
TEST(MemoryMap, UnacceptedMemoryIsThatForAllButWhatIsInUse) {
    for (uint32_t type = PROLOGUE_MEMORY_USABLE; type != kTypes; ++type) {
        const bool stronger = type == PROLOGUE_MEMORY_MODULE || type == PROLOGUE_MEMORY_KERNEL;
        EXPECT_EQ(map_of({overlay(1, 1, PROLOGUE_MEMORY_UNACCEPTED), overlay(1, 1, type)}),
                  (Ranges{{kPage, 2 * kPage, stronger ? type : PROLOGUE_MEMORY_UNACCEPTED, 0}}));
    }
}

TEST(MemoryMap, SoftReservedMemoryIsReservedWhereOthersSaySo) {
    for (uint32_t type = PROLOGUE_MEMORY_USABLE; type != kTypes; ++type) {
        const bool weaker = type <= PROLOGUE_MEMORY_PROLOGUE || type == PROLOGUE_MEMORY_ACPI ||
                            type == PROLOGUE_MEMORY_NVS;
        EXPECT_EQ(map_of({overlay(1, 1, type), overlay(1, 1, PROLOGUE_MEMORY_SOFT_RESERVED)}),
                  (Ranges{{kPage, 2 * kPage, weaker ? PROLOGUE_MEMORY_SOFT_RESERVED : type, 0}}));
    }
}

// --- Storage ------------------------------------------------------------------------------

// Inputs that make as many ranges, or need as much room on the way, as can be.
using Pattern = std::vector<Statement> (*)(uint64_t count);

std::vector<Statement> onion(uint64_t count) { // each within the one before
    std::vector<Statement> statements;
    for (uint64_t i = 0; i != count; ++i)
        statements.push_back(overlay(i, 2 * (count - i), i % 9 + 1));
    return statements;
}

std::vector<Statement> inverse_onion(uint64_t count) { // each around the one before
    std::vector<Statement> statements = onion(count);
    std::reverse(statements.begin(), statements.end());
    return statements;
}

std::vector<Statement> comb(uint64_t count) { // teeth, then all that is between them
    std::vector<Statement> statements;
    for (uint64_t i = 0; i + 1 < count; ++i)
        statements.push_back(overlay(2 * i + 1, 1, PROLOGUE_MEMORY_KERNEL));
    statements.push_back(overlay(0, 2 * count, PROLOGUE_MEMORY_USABLE));
    return statements;
}

std::vector<Statement> comb_upon_one(uint64_t count) { // one, then teeth from the last on
    std::vector<Statement> statements = comb(count);
    std::reverse(statements.begin(), statements.end());
    return statements;
}

std::vector<Statement> comb_within_two(uint64_t count) {
    std::vector<Statement> statements = comb(count);
    statements.push_back(overlay(0, 2 * count + 1, PROLOGUE_MEMORY_ACPI));
    return statements;
}

std::vector<Statement> stairs(uint64_t count) { // each over half of the one before
    std::vector<Statement> statements;
    for (uint64_t i = 0; i != count; ++i)
        statements.push_back(overlay(count - i, 2, i % 2 + 1));
    return statements;
}

std::vector<Statement> descending(uint64_t count) {
    std::vector<Statement> statements;
    for (uint64_t i = 0; i != count; ++i)
        statements.push_back(overlay(2 * (count - i), 1, i % 9 + 1));
    return statements;
}

std::vector<Statement> halves(uint64_t count) { // teeth, last first; then a blanket for half
    std::vector<Statement> statements = descending(count / 2);
    for (uint64_t i = 0; i != count / 2; ++i)
        statements.push_back(overlay(0, 4 * i + 1, PROLOGUE_MEMORY_USABLE));
    return statements;
}

TEST(MemoryMap, StorageForSufficesHoweverRangesOverlap) {
    const Pattern patterns[] = {onion,           inverse_onion, comb,       comb_upon_one,
                                comb_within_two, stairs,        descending, halves};
    for (const Pattern& pattern : patterns)
        for (uint64_t count = 1; count != 80; ++count) {
            const std::vector<Statement> statements = pattern(count);
            std::optional<Ranges> ranges;
            ASSERT_EQ(failure_of([&] { ranges = map_of(statements); }), std::nullopt)
                << "pattern " << &pattern - patterns << ", count " << count;
            ASSERT_EQ(ranges, map_by_sweep(statements))
                << "pattern " << &pattern - patterns << ", count " << count;
        }
}

TEST(MemoryMap, CapacityIsExceededByNameAndNotByAByte) {
    Dice dice(3);
    uint64_t refused = 0;
    for (int round = 0; round != 5000; ++round) {
        std::vector<Statement> statements(dice.between(1, 10));
        for (Statement& statement : statements)
            statement = random_statement(dice, kMiB, 64);
        const uint64_t capacity = dice.between(1, MemoryMap::storage_for(statements.size()) - 1);
        Stored stored(capacity);
        const auto failed = failure_of([&] {
            for (const Statement& statement : statements)
                stored.state(statement);
        });
        ASSERT_TRUE(stored.kept_to_its_storage()) << round;
        if (failed) {
            ASSERT_EQ(failed->error, Error::too_many_ranges) << *failed;
            ASSERT_GT(failed->numbers[0], failed->numbers[1]) << *failed;
            ASSERT_LE(failed->numbers[1], capacity) << *failed;
            ++refused;
        } else {
            ASSERT_EQ(stored.ranges(), map_by_sweep(statements));
        }
    }
    EXPECT_GT(refused, 1000u) << "the test's own reach";
}

TEST(MemoryMap, ManyEqualStatementsNeedTheRoomOfOne) {
    Stored stored(MemoryMap::storage_for(1));
    for (int i = 0; i != 100; ++i)
        stored.map.overlay({kMiB, 2 * kMiB}, PROLOGUE_MEMORY_USABLE);
    stored.map.overlay({kMiB + kPage, 2 * kMiB - kPage}, PROLOGUE_MEMORY_USABLE);
    stored.map.overlay({2 * kMiB, 3 * kMiB}, PROLOGUE_MEMORY_USABLE);
    EXPECT_EQ(stored.ranges(), (Ranges{{kMiB, 3 * kMiB, PROLOGUE_MEMORY_USABLE, 0}}));
}

// --- Marks, and room for the boot -----------------------------------------------------------

// A loader's map with marks, as the 64-bit stage makes it.
Ranges map_with_marks(const std::vector<Statement>& ranges, const std::vector<Statement>& marked) {
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

TEST(MemoryMap, MarksAreLaidOverTheLoadersMapWhateverItsOrder) {
    Dice dice(7);
    for (int round = 0; round != 10000; ++round) {
        std::vector<Statement> ranges(dice.below(10)), marked(dice.below(8));
        for (Statement& range : ranges)
            do
                range = random_statement(dice, 0, 64);
            while (range.kind != Statement::kAdd);
        if (dice.one_in(2))
            std::sort(ranges.begin(), ranges.end(),
                      [](const auto& a, const auto& b) { return a.start < b.start; });
        for (Statement& mark : marked)
            mark = overlay(dice.below(64), dice.below(12),
                           static_cast<uint32_t>(dice.between(2, PROLOGUE_MEMORY_KERNEL)));
        std::vector<Statement> all = ranges;
        all.insert(all.end(), marked.begin(), marked.end());
        ASSERT_EQ(map_with_marks(ranges, marked), map_by_sweep(all))
            << "round " << round << ": " << testing::PrintToString(all);
    }
}

// All at once, what does not fit in is put aside: that needs no more room, in any order, nor
// does a second list behind the first.
TEST(MemoryMap, StorageForSufficesForAllStatementsAtOnce) {
    const Pattern patterns[] = {onion,           inverse_onion, comb,       comb_upon_one,
                                comb_within_two, stairs,        descending, halves};
    Dice dice(23);
    for (const Pattern& pattern : patterns)
        for (uint64_t count = 1; count != 80; ++count) {
            std::vector<Statement> statements = pattern(count);
            for (int order = 0; order != 3; ++order) {
                ASSERT_EQ(map_with_marks({}, statements), map_by_sweep(statements))
                    << "pattern " << &pattern - patterns << ", count " << count;
                dice.shuffle(statements);
            }
            const RawRange more[] = {{0, count * kPage, 3}, {3 * kPage, kPage, 2}};
            Stored stored(MemoryMap::storage_for(statements.size() + 2));
            for (const Statement& statement : statements)
                stored.state(statement);
            const RawMap raw = {reinterpret_cast<const uint8_t*>(more), sizeof more, sizeof *more,
                                0};
            stored.map.add(raw, Marks(nullptr));
            for (const RawRange& range : more)
                statements.push_back(add(range.start, range.bytes, range.e820_type));
            ASSERT_EQ(stored.ranges(), map_by_sweep(statements)) << count;
        }
}

// By the square of these it would take minutes.
TEST(MemoryMap, AHostileLoadersRangesTakeNoTimeByTheSquare) {
    constexpr uint64_t kCount = 1 << 17;
    Dice dice(24);
    std::vector<Statement> statements;
    for (uint64_t i = 0; i != kCount; ++i)
        statements.push_back(add((kCount - i) * 4 * kPage, kPage, i % 3 == 0 ? 1 : 2));
    for (int order = 0; order != 3; ++order) {
        const std::vector<Statement> marked = {overlay(5, kCount, PROLOGUE_MEMORY_MODULE)};
        std::vector<Statement> all = statements;
        all.push_back(marked[0]);
        ASSERT_EQ(map_with_marks(statements, marked), map_by_sweep(all));
        if (order == 0)
            dice.shuffle(statements);
        else // one end, many starts
            for (Statement& statement : statements)
                statement.bytes = 5 * kCount * kPage - statement.start;
    }
}

TEST(MemoryMap, ManyMarksThatComeInReverseTakeNoTimeByTheSquare) {
    constexpr uint64_t kCount = 1 << 18;
    std::vector<Statement> marked;
    for (uint64_t i = 0; i != kCount; ++i)
        marked.push_back(overlay(3 * (kCount - i), 2, PROLOGUE_MEMORY_MODULE));
    std::vector<Statement> all = marked;
    all.push_back(add(kPage, 3 * kCount * kPage, 1));
    ASSERT_EQ(map_with_marks({all.back()}, marked), map_by_sweep(all));
}

TEST(MemoryMap, AMarkIsTheWholeOfThePagesItTouches) {
    Mark storage[3];
    Marks marks(storage);
    marks.add({0x5001, 0x6001}, PROLOGUE_MEMORY_MODULE);
    marks.add({0x2fff, 0x3000}, PROLOGUE_MEMORY_LOADER);
    marks.add({0x3000, 0x4000}, PROLOGUE_MEMORY_KERNEL);
    const Mark expected[] = {{{0x2000, 0x3000}, PROLOGUE_MEMORY_LOADER},
                             {{0x3000, 0x4000}, PROLOGUE_MEMORY_KERNEL},
                             {{0x5000, 0x7000}, PROLOGUE_MEMORY_MODULE}};
    ASSERT_EQ(marks.size(), 3u);
    for (size_t i = 0; i != 3; ++i) {
        EXPECT_EQ(storage[i].span.start, expected[i].span.start) << i;
        EXPECT_EQ(storage[i].span.end, expected[i].span.end) << i;
        EXPECT_EQ(storage[i].type, expected[i].type) << i;
    }
}

TEST(MemoryMap, KnowsItsLargestUsableRangeWithinLimits) {
    Dice dice(8);
    for (int round = 0; round != 5000; ++round) {
        std::vector<Statement> statements(dice.below(12));
        for (Statement& statement : statements)
            statement = random_statement(dice, 0, 64);
        Stored stored(MemoryMap::storage_for(statements.size()));
        for (const Statement& statement : statements)
            stored.state(statement);
        const uint64_t first = dice.below(40);
        const Span limits = {first * kPage, (first + dice.below(40)) * kPage};
        const uint64_t least = dice.between(1, 4) * kPage;
        const auto share = [&](const prologue_range& range) {
            const uint64_t start = std::max(range.start, limits.start);
            const uint64_t end = std::min(range.end, limits.end);
            return range.type == PROLOGUE_MEMORY_USABLE && start < end ? end - start : 0;
        };
        uint64_t largest = 0;
        for (const prologue_range& range : stored.ranges())
            largest = std::max(largest, share(range));
        const prologue_range* found = nullptr;
        const auto failed = failure_of([&] { found = &stored.map.largest_usable(limits, least); });
        if (largest < least) {
            ASSERT_EQ(failed, failure(Error::no_free_memory, {least, largest})) << round;
        } else {
            ASSERT_EQ(failed, std::nullopt) << round;
            ASSERT_EQ(share(*found), largest) << round;
        }
    }
}

TEST(MemoryMap, GivesPartOfARangeAway) {
    Dice dice(9);
    for (int round = 0; round != 5000; ++round) {
        std::vector<Statement> statements(dice.between(1, 12));
        for (Statement& statement : statements)
            statement = random_statement(dice, 0, 64);
        Stored stored(MemoryMap::storage_for(statements.size()));
        for (const Statement& statement : statements)
            stored.state(statement);
        if (stored.map.size() == 0)
            continue;
        const prologue_range range = stored.map.begin()[dice.below(stored.map.size())];
        if (range.type >= PROLOGUE_MEMORY_PROLOGUE)
            continue;
        const uint64_t pages = (range.end - range.start) / kPage;
        const uint64_t from = dice.below(pages), count = dice.between(1, pages - from);
        const Statement given = overlay(range.start / kPage + from, count,
                                        PROLOGUE_MEMORY_PROLOGUE);
        const auto* in_map = std::find(stored.map.begin(), stored.map.end(), range);
        ASSERT_EQ(failure_of([&] {
                      stored.map.carve(*in_map, {given.start, given.start + given.bytes},
                                       PROLOGUE_MEMORY_PROLOGUE);
                  }),
                  std::nullopt)
            << "what is made for n ranges has room for this, too";
        statements.push_back(given);
        ASSERT_EQ(stored.ranges(), map_by_sweep(statements))
            << "round " << round << ": " << testing::PrintToString(statements);
        ASSERT_TRUE(stored.kept_to_its_storage());
    }
}

// --- Types that change -----------------------------------------------------------------------

// Against the same done to the model's map, range by range.
Ranges retyped(const Ranges& ranges, uint32_t from, uint32_t to, uint64_t below) {
    Ranges result;
    const auto append = [&](uint64_t start, uint64_t end, uint32_t type) {
        if (start >= end)
            return;
        if (!result.empty() && result.back().end == start && result.back().type == type)
            result.back().end = end;
        else
            result.push_back({start, end, type, 0});
    };
    for (const prologue_range& range : ranges) {
        const uint64_t middle = std::clamp(below, range.start, range.end);
        append(range.start, middle, range.type == from ? to : range.type);
        append(middle, range.end, range.type);
    }
    return result;
}

TEST(MemoryMap, GivesATypeAnotherBelowAnAddress) {
    Dice dice(7);
    for (int round = 0; round != 20000; ++round) {
        std::vector<Statement> statements(dice.below(20));
        for (Statement& statement : statements)
            statement = random_statement(dice, 0, 40);
        Stored stored(MemoryMap::storage_for(statements.size()));
        for (const Statement& statement : statements)
            stored.state(statement);
        const auto from = static_cast<uint32_t>(dice.between(1, 5));
        const auto to = static_cast<uint32_t>(dice.between(1, 5));
        const uint64_t below = dice.one_in(8) ? kTop : dice.below(45) * kPage;
        const Ranges wanted = retyped(stored.ranges(), from, to, below);
        stored.map.retype(from, to, below);
        ASSERT_EQ(stored.ranges(), wanted) << from << " " << to << " " << below;
        ASSERT_TRUE(stored.kept_to_its_storage());
    }
}

// --- Ten thousand -------------------------------------------------------------------------

constexpr uint64_t kMany = 10000;

std::vector<Statement> ten_thousand() {
    std::vector<Statement> statements;
    for (uint64_t i = 0; i != kMany; ++i)
        statements.push_back(add(kMiB + i * 3 * kPage, (1 + i % 3) * kPage, i % 5 + 1));
    return statements;
}

TEST(MemoryMap, TakesTenThousandRangesInOrder) {
    const std::vector<Statement> statements = ten_thousand();
    EXPECT_TRUE(map_of(statements) == map_by_sweep(statements));
}

TEST(MemoryMap, TakesTenThousandRangesBackwards) {
    std::vector<Statement> statements = ten_thousand();
    std::reverse(statements.begin(), statements.end());
    EXPECT_TRUE(map_of(statements) == map_by_sweep(statements));
}

TEST(MemoryMap, TakesTenThousandRangesInDisorder) {
    std::vector<Statement> statements = ten_thousand();
    Dice(4).shuffle(statements);
    EXPECT_TRUE(map_of(statements) == map_by_sweep(statements));
}

TEST(MemoryMap, TakesTenThousandRangesThatOverlap) {
    Dice dice(5);
    std::vector<Statement> statements(kMany);
    for (Statement& statement : statements) {
        statement = random_statement(dice, dice.below(1 << 20) * kPage, 1 << 10);
        if (dice.one_in(100))
            statement = random_statement(dice, 0, 1 << 20);
    }
    EXPECT_TRUE(map_of(statements) == map_by_sweep(statements));
}

TEST(MemoryMap, AgreesOverAllOfTheAddressSpace) {
    Dice dice(6);
    for (int round = 0; round != 5000; ++round) {
        std::vector<Statement> statements(dice.below(12));
        for (Statement& statement : statements) {
            const uint64_t start = dice.any() >> dice.below(60);
            const uint64_t bytes = dice.any() >> dice.below(64);
            // Up to 2^64 at the most: what wraps is another test's.
            statement = add(start, std::min(bytes, uint64_t{0} - start), dice.below(7));
            if (start == 0)
                statement.bytes = bytes;
        }
        ASSERT_EQ(map_of(statements), map_by_sweep(statements))
            << testing::PrintToString(statements);
    }
}

} // namespace
} // namespace prologue::test
