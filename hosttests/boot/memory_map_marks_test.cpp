// MemoryMap: marks over a loader's map.

#include "stated_maps.h"

namespace prologue::test {
namespace {

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

} // namespace
} // namespace prologue::test
