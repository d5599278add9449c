// MemoryMap at its limits: the room that it needs, the steps that it takes, ten thousand ranges.

#include "stated_maps.h"

namespace prologue::test {
namespace {

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

} // namespace
} // namespace prologue::test
