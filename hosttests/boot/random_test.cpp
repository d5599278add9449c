// Randomness for where a kernel lies: that what is mixed in decides, and that each place is as
// likely as the others.

#include "random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <vector>

namespace prologue::test {
namespace {

// A CPU whose every source is given.
struct FakeCpu {
    bool has_rdseed = true, has_rdrand = true;
    uint64_t seed_word = 1, rand_word = 2, time = 3;

    bool rdseed(uint64_t& word) const {
        word = seed_word;
        return has_rdseed;
    }
    bool rdrand(uint64_t& word) const {
        word = rand_word;
        return has_rdrand;
    }
    uint64_t tsc() const { return time; }
};

unsigned sources_of(const FakeCpu& cpu, uint64_t seed_bytes = 0, bool from_cpu_alone = false) {
    const uint8_t seed[32] = {1};
    Random random;
    return gather(random, cpu, seed, seed_bytes, from_cpu_alone);
}

uint64_t first_draw(const FakeCpu& cpu, const std::vector<uint8_t>& seed = {},
                    bool from_cpu_alone = false) {
    Random random;
    gather(random, cpu, seed.data(), seed.size(), from_cpu_alone);
    return random.draw();
}

TEST(Random, EachSourceThatIsThereCounts) {
    EXPECT_EQ(sources_of({}), kFromRdseed | kFromRdrand | kFromTsc);
    EXPECT_EQ(sources_of({}, 32), kFromRdseed | kFromRdrand | kFromLoader | kFromTsc);
    EXPECT_EQ(sources_of({.has_rdseed = false}), kFromRdrand | kFromTsc);
    EXPECT_EQ(sources_of({.has_rdseed = false, .has_rdrand = false}), kFromTsc);
    EXPECT_EQ(sources_of({.seed_word = 0, .rand_word = ~uint64_t{0}}), kFromTsc)
        << "what broken ones say";
    EXPECT_EQ(sources_of({}, 32, true), kFromRdseed | kFromRdrand) << "an SEV guest's";
}

TEST(Random, EachSourceDecides) {
    std::set<uint64_t> draws = {
        first_draw({}),          first_draw({.seed_word = 5}), first_draw({.rand_word = 5}),
        first_draw({.time = 5}), first_draw({}, {1}),          first_draw({}, {2}),
        first_draw({}, {1, 0})};
    EXPECT_EQ(draws.size(), 7u);
}

TEST(Random, WhatTheHostKnowsDecidesNothingInAnSevGuest) {
    EXPECT_EQ(first_draw({.time = 3}, {1}, true), first_draw({.time = 4}, {2}, true));
    EXPECT_NE(first_draw({.rand_word = 2}, {}, true), first_draw({.rand_word = 3}, {}, true));
}

TEST(Random, ASourceIsAskedAgainAFewTimes) {
    Random random;
    unsigned asked = 0;
    EXPECT_TRUE(mix_words(random, [&](uint64_t& word) {
        word = 7;
        return ++asked % kTriesOfWord == 0;
    }));
    EXPECT_EQ(asked, kWordsOfSource * kTriesOfWord);
    asked = 0;
    EXPECT_FALSE(mix_words(random, [&](uint64_t&) { return ++asked == 0; }));
    EXPECT_EQ(asked, kTriesOfWord);
}

// Pearson's: how far counts are from each place's due, in standard deviations of what chance does.
double deviations(const std::vector<unsigned>& counts, unsigned draws) {
    const double due = static_cast<double>(draws) / static_cast<double>(counts.size());
    double sum = 0;
    for (const unsigned count : counts)
        sum += (count - due) * (count - due) / due;
    const double freedom = static_cast<double>(counts.size()) - 1;
    return (sum - freedom) / std::sqrt(2 * freedom);
}

// 10,000 boots, of which nothing differs but the TSC, by little: the least that there can be.
TEST(Random, ChiSquareOfTenThousandBootsIsChances) {
    for (const unsigned places : {7u, 64u, 511u, 1000u}) {
        std::vector<unsigned> first(places), second(places), both(places);
        constexpr unsigned kBoots = 10000;
        for (unsigned boot = 0; boot != kBoots; ++boot) {
            Random random;
            const FakeCpu cpu = {.has_rdseed = false, .has_rdrand = false, .time = boot};
            gather(random, cpu, nullptr, 0, false);
            const uint64_t a = random.below(places), b = random.below(places);
            ++first[a];
            ++second[b];
            ++both[(a + b) % places]; // neither tells of the other
        }
        for (const auto* counts : {&first, &second, &both})
            EXPECT_LT(std::abs(deviations(*counts, kBoots)), 4) << places;
    }
}

TEST(Random, BelowStaysBelow) {
    Random random;
    for (unsigned i = 0; i != 1000; ++i) {
        EXPECT_EQ(random.below(1), 0u);
        EXPECT_LT(random.below(3), 3u);
        EXPECT_LT(random.below((uint64_t{1} << 63) + 1), (uint64_t{1} << 63) + 1);
    }
}

} // namespace
} // namespace prologue::test
