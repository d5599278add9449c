// Memory that nobody has written: noise, and never what was there before.
#include "guest_memory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace sevhost {
namespace {

constexpr uint64_t kBytes = 4 * kPageBytes;
using Page = std::vector<uint64_t>;

struct Noisy : GuestMemory {
    std::vector<uint8_t> private_ = std::vector<uint8_t>(kBytes);
    std::vector<uint8_t> shared = std::vector<uint8_t>(kBytes);
    std::vector<uint8_t> seen = std::vector<uint8_t>(kBytes / kPageBytes);

    explicit Noisy(uint64_t seed = 1) {
        noise_seed = seed;
        add({0x100000, kBytes, private_.data(), shared.data(), seen.data()});
    }
    Page page(unsigned i, Backing backing = Backing::private_) const {
        const auto* words = reinterpret_cast<const uint64_t*>(
            at(0x100000 + i * kPageBytes, kPageBytes, backing));
        return Page(words, words + kPageBytes / 8);
    }
};

TEST(SevGuestMemory, WhatNobodyWroteIsNoise) {
    const Noisy memory;
    Page words = memory.page(1);
    EXPECT_EQ(std::count(words.begin(), words.end(), 0u), 0);
    std::sort(words.begin(), words.end());
    EXPECT_EQ(std::unique(words.begin(), words.end()), words.end());
}

TEST(SevGuestMemory, NoiseFollowsFromSeedPageAndBacking) {
    const Noisy memory, again, other(2);
    EXPECT_EQ(memory.page(1), again.page(1));
    EXPECT_NE(memory.page(1), other.page(1));
    EXPECT_NE(memory.page(1), memory.page(2));
    EXPECT_NE(memory.page(1), memory.page(1, Backing::shared));
}

TEST(SevGuestMemory, WhatIsWrittenStays) {
    const Noisy memory;
    *memory.at(0x100008, 1, Backing::private_) = 0x5a;
    EXPECT_EQ(*memory.at(0x100008, 1, Backing::private_), 0x5a);
    memory.load(memory[0], 0x100000, kPageBytes);
    EXPECT_EQ(*memory.at(0x100008, 1, Backing::private_), 0x5a);
}

TEST(SevGuestMemory, WhatIsLoadedIsZeroAroundIt) {
    const Noisy memory;
    memory.load(memory[0], 0x100010, 1);
    EXPECT_EQ(memory.page(0), Page(kPageBytes / 8));
    EXPECT_NE(memory.page(1), Page(kPageBytes / 8));
}

TEST(SevGuestMemory, WhatIsLostIsOtherNoise) {
    Noisy memory;
    const Page before = memory.page(1), shared = memory.page(1, Backing::shared);
    memory.lose(0x100000 + kPageBytes);
    EXPECT_NE(memory.page(1), before);
    EXPECT_NE(memory.page(1, Backing::shared), shared);
}

} // namespace
} // namespace sevhost
