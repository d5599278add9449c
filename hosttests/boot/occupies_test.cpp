// What a loader occupies: up to its pages' ends, in a few spans, and never less than it said.

#include "dice.h"
#include "elf_image.h"
#include "parsing.h"

#include <algorithm>

namespace prologue::test {
namespace {

TEST(Occupies, UpToThePagesEnd) {
    LoaderInfo loader;
    loader.occupies(0x1fff, 2);
    ASSERT_EQ(loader.structure_count, 1u);
    EXPECT_EQ(loader.structures[0].start, 0x1fffu);
    EXPECT_EQ(loader.structures[0].end, 0x3000u);
}

// The image's .bss has been written to: what lay there is gone. Only what the boot reads is
// said to be there for certain, and it is held against the image before it is joined.
TEST(Occupies, NothingThatIsReadMayLieOnTheImage) {
    FakeMemory memory(2 * kPage, 2 * kMiB);
    put_elf(memory, 2 * kMiB,
            {{2 * kMiB, 2 * kMiB, kMiB / 2 - 0x100, kRead},
             {2 * kMiB + kMiB / 2, 2 * kMiB + kMiB / 2, kMiB / 2, kWrite}});
    const Image image(memory.window(), 2 * kMiB);
    LoaderInfo loader;
    loader.image = &image;
    const auto fails = [&](uint64_t start, uint64_t bytes) {
        return failure_of([&] { loader.occupies(start, bytes); });
    };
    EXPECT_EQ(fails(2 * kMiB - kPage, kPage), std::nullopt);
    EXPECT_EQ(fails(3 * kMiB, kPage), std::nullopt);
    EXPECT_EQ(fails(2 * kMiB - 1, 2),
              failure(Error::on_the_image, {2 * kMiB - 1, 2 * kMiB + kPage, 2 * kMiB, 3 * kMiB},
                      "information"));
    EXPECT_TRUE(fails(3 * kMiB - 1, 1));
    EXPECT_EQ(fails(2 * kMiB + kMiB / 2 - 0x100, 0x100), std::nullopt) << "in a gap of it";
    loader.may_occupy(2 * kMiB, kPage);
}

TEST(Occupies, NeighboursInOneSpan) {
    LoaderInfo loader;
    loader.occupies(0x5000, 0x10);
    loader.occupies(0x9000, 0x10);
    loader.occupies(0x6ff0, 0x10); // touches the first, which is not the last
    loader.occupies(0x4fff, 1);
    loader.occupies(0x5800, 0x100);
    ASSERT_EQ(loader.structure_count, 2u);
    EXPECT_EQ(loader.structures[0].start, 0x4fffu);
    EXPECT_EQ(loader.structures[0].end, 0x7000u);
}

TEST(Occupies, NeverLessThanWasSaidAndNotMoreWhereThereIsRoom) {
    Dice dice(41);
    for (int round = 0; round != 5000; ++round) {
        LoaderInfo loader;
        std::vector<Span> said;
        for (uint64_t left = dice.between(1, 200); left != 0; --left) {
            const uint64_t start = kPage + dice.below(2000 * kPage);
            const Span span = {start, start + dice.between(1, 3 * kPage)};
            said.push_back(span);
            loader.occupies(span.start, span.bytes());
            ASSERT_LE(loader.structure_count, kMaxStructures);
        }
        const std::set<uint64_t> due = pages_on(said), occupied = pages_occupied(loader);
        if (said.size() <= kMaxStructures)
            ASSERT_EQ(occupied, due) << round;
        else
            ASSERT_TRUE(std::includes(occupied.begin(), occupied.end(), due.begin(), due.end()))
                << round;
    }
}

TEST(Occupies, TheLeastThatIsNotItsOwnWhereThereIsNoRoom) {
    LoaderInfo loader;
    for (uint64_t i = 0; i != kMaxStructures; ++i)
        loader.occupies((1 + i) * kMiB, 1);
    loader.occupies(3 * kMiB - 2 * kPage, 1); // nearest to the one at 3 MiB
    loader.occupies(8 * kMiB + 2 * kPage, 1); // and at 8 MiB
    std::vector<Span> due;
    for (uint64_t i = 0; i != kMaxStructures; ++i)
        due.push_back({(1 + i) * kMiB, (1 + i) * kMiB + kPage});
    due[2].start -= 2 * kPage;
    due[7].end += 2 * kPage;
    EXPECT_EQ(loader.structure_count, kMaxStructures);
    EXPECT_EQ(pages_occupied(loader), pages_on(due));
}

} // namespace
} // namespace prologue::test
