// Where an image may lie by chance: slots in pieces of memory, those that are free for a payload,
// and the words that turn chance on and off; and the seed that a loader gives.

#include "boot_params.h"
#include "contract_magic.h"
#include "payload/mover.h"
#include "payload/seed.h"
#include "slots.h"
#include "words.h"

#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <string>
#include <vector>

namespace prologue::test {
namespace {

TEST(Slots, AreCountedToTheLastByte) {
    const Span piece = {3 * kMiB, 9 * kMiB};
    EXPECT_EQ(first_slot(3 * kMiB, 0), 4 * kMiB);
    EXPECT_EQ(first_slot(4 * kMiB, 0), 4 * kMiB);
    EXPECT_EQ(first_slot(3 * kMiB, 0xffffffff80100000), 3 * kMiB);
    EXPECT_EQ(slots_in(piece, kPage, 0), 3u) << "4, 6, 8";
    EXPECT_EQ(slots_in(piece, kMiB, 0), 3u);
    EXPECT_EQ(slots_in(piece, kMiB + 1, 0), 2u);
    EXPECT_EQ(slots_in(piece, 5 * kMiB, 0), 1u);
    EXPECT_EQ(slots_in(piece, 5 * kMiB + 1, 0), 0u);
    EXPECT_EQ(slots_in(piece, 6 * kMiB, kMiB), 1u);
    EXPECT_EQ(slots_in({}, kPage, 0), 0u);
    EXPECT_EQ(slots_in({~uint64_t{kMiB}, ~uint64_t{0}}, kPage, 0), 0u) << "it would wrap";
}

constexpr prologue_range kMemory[] = {{kPage, 0xa0000, PROLOGUE_MEMORY_USABLE, 0},
                                      {kMiB, 8 * kMiB, PROLOGUE_MEMORY_USABLE, 0},
                                      {8 * kMiB, 16 * kMiB, PROLOGUE_MEMORY_RESERVED, 0},
                                      {16 * kMiB, 22 * kMiB, PROLOGUE_MEMORY_USABLE, 0}};

TEST(Slots, OfAPayloadAreInFreeMemoryAlone) {
    Rooms rooms(kMemory, 4);
    rooms.keep({4 * kMiB, 4 * kMiB + 1});
    std::set<uint64_t> places;
    const uint64_t count = rooms.places(kMiB, 0);
    for (uint64_t i = 0; i != count; ++i)
        places.insert(rooms.place(kMiB, 0, i));
    EXPECT_EQ(places, (std::set<uint64_t>{2 * kMiB, 6 * kMiB, 16 * kMiB, 18 * kMiB, 20 * kMiB}));
    EXPECT_EQ(count, places.size());
    EXPECT_EQ(rooms.places(7 * kMiB, 0), 0u);
}

bool found(const char* cmdline, const char* word) {
    return has_word({cmdline, std::strlen(cmdline)}, word);
}

TEST(Words, AreWholeOnes) {
    EXPECT_TRUE(found("nokaslr", "nokaslr"));
    EXPECT_TRUE(found("a nokaslr b", "nokaslr"));
    EXPECT_TRUE(found("a\tnokaslr\n", "nokaslr"));
    EXPECT_FALSE(found("", "nokaslr"));
    EXPECT_FALSE(found(" ", "nokaslr"));
    EXPECT_FALSE(found("nokaslr=0", "nokaslr"));
    EXPECT_FALSE(found("xnokaslr", "nokaslr"));
    EXPECT_FALSE(found("nokasl", "nokaslr"));
    EXPECT_FALSE(has_word({}, "nokaslr"));
}

// boot_params in the third page of some memory, and two pieces of setup_data behind it.
class LoaderSeed : public testing::Test {
protected:
    static constexpr uint64_t kParams = 2 * kPage, kFirst = 3 * kPage, kSecond = 3 * kPage + 64;

    LoaderSeed() {
        handoff_.loader_magic = LINUX_MAGIC;
        handoff_.loader_info_phys = kParams;
        handoff_.memory = &range_;
        handoff_.memory_count = 1;
        put(kParams + offsetof(BootParams, setup_data), kFirst);
        put(kFirst, SetupData{kSecond, kImaLog, 16});
        put(kSecond, SetupData{0, kSeed, 32});
        memory_[kSecond + sizeof(SetupData)] = 'x';
    }
    template <class T>
    void put(uint64_t at, const T& value) {
        std::memcpy(memory_.data() + at, &value, sizeof value);
    }
    Text seed() const { return loader_seed(handoff_, reinterpret_cast<uintptr_t>(memory_.data())); }

    std::vector<char> memory_ = std::vector<char>(5 * kPage);
    prologue_range range_ = {kParams, 5 * kPage, PROLOGUE_MEMORY_LOADER, 0};
    prologue_handoff handoff_ = {};
};

TEST_F(LoaderSeed, IsFoundInItsList) {
    EXPECT_EQ(seed().bytes, 32u);
    ASSERT_NE(seed().start, nullptr);
    EXPECT_EQ(*seed().start, 'x');
}

TEST_F(LoaderSeed, IsNoneWithOtherLoaders) {
    handoff_.loader_magic = PVH_MAGIC;
    EXPECT_EQ(seed().bytes, 0u);
}

TEST_F(LoaderSeed, IsReadWhereTheLoadersMemoryIsAndNowhereElse) {
    put(kFirst, SetupData{1 << 30, kImaLog, 16});
    EXPECT_EQ(seed().bytes, 0u) << "a piece elsewhere";
    put(kFirst, SetupData{kSecond, kImaLog, 16});
    put(kSecond, SetupData{0, kSeed, 2 * kPage});
    EXPECT_EQ(seed().bytes, 0u) << "too long";
    put(kSecond, SetupData{kSecond, kImaLog, 16});
    EXPECT_EQ(seed().bytes, 0u) << "a circle";
    range_.type = PROLOGUE_MEMORY_USABLE;
    EXPECT_EQ(seed().bytes, 0u) << "boot_params elsewhere";
}

} // namespace
} // namespace prologue::test
