// Which two pages of conventional memory are borrowed, whatever the loader's map and
// the BIOS say of it.

#include "low_pages.h"

#include "dice.h"
#include "parsing.h"

#include <gtest/gtest.h>

namespace prologue::test {
namespace {

constexpr uint64_t kTop = 0x9f000;
constexpr uint32_t kRam = 1, kReserved = 2;
constexpr StatedRange kHighRam = {kMiB, 127 * kMiB, kRam};

using Map = std::vector<StatedRange>;

std::string entries(const Map& map) {
    std::string bytes;
    for (const StatedRange& range : map)
        bytes += raw(range.start) + raw(range.bytes) + raw(range.type);
    return bytes;
}

RawMap raw_map(const std::string& entries) {
    return {reinterpret_cast<const uint8_t*>(entries.data()), entries.size(), sizeof(RawRange), 0};
}

uint64_t found(const Map& map, BiosWords bios = {}, const Map& more = {}) {
    const std::string first = entries(map), second = entries(more);
    return find_low_pages(raw_map(first), raw_map(second), bios);
}

const Map kPlain = {{0, 0xa0000, kRam}, {0xf0000, 0x10000, kReserved}, kHighRam};

// --- What a BIOS says -----------------------------------------------------------------------

TEST(LowPages, WithoutABiosAreTheHighestBelow636KiB) {
    EXPECT_EQ(found(kPlain), kTop - 0x2000);
}

TEST(LowPages, LieBelowTheEbda) {
    EXPECT_EQ(found(kPlain, {0x9d80, 639}), 0x9b000u);
    EXPECT_EQ(found(kPlain, {0x9000, 639}), 0x8e000u);
    EXPECT_EQ(found(kPlain, {0x9fc0, 639}), kTop - 0x2000) << "above 636 KiB: not believed";
}

TEST(LowPages, LieBelowTheEndOfBaseMemory) {
    EXPECT_EQ(found(kPlain, {0, 512}), 0x7e000u);
    EXPECT_EQ(found(kPlain, {0, 630}), 0x9b000u) << "0x9d800 is no page's beginning";
    EXPECT_EQ(found(kPlain, {0x9d80, 512}), 0x7e000u) << "the lower of the two";
    EXPECT_EQ(found(kPlain, {0x7000, 512}), 0x6e000u);
}

TEST(LowPages, AWordOutOfRangeIsNotBelieved) {
    EXPECT_EQ(found(kPlain, {0x40, 1}), kTop - 0x2000);
    EXPECT_EQ(found(kPlain, {0x1fff, 127}), kTop - 0x2000);
    EXPECT_EQ(found(kPlain, {0xffff, 0xffff}), kTop - 0x2000);
    EXPECT_EQ(found(kPlain, {0, 640}), kTop - 0x2000);
    EXPECT_EQ(found(kPlain, {0x9f00, 0}), kTop - 0x2000);
}

TEST(LowPages, AreNeverBelow128KiB) {
    EXPECT_EQ(found(kPlain, {0x2200, 0}), 0x20000u);
    EXPECT_EQ(found(kPlain, {0x21ff, 0}), 0u);
    EXPECT_EQ(found(kPlain, {0x2000, 0}), 0u);
    EXPECT_EQ(found(kPlain, {0, 128}), 0u);
    EXPECT_EQ(found({{0, 0x21fff, kRam}, kHighRam}), 0u);
    EXPECT_EQ(found({{0, 0x22000, kRam}, kHighRam}), 0x20000u);
}

// --- What the loader's map says -------------------------------------------------------------

TEST(LowPages, LieInRam) {
    EXPECT_EQ(found({{0, 0x58000, kRam}, {0x58000, 0x1000, 4}, kHighRam}), 0x56000u);
    EXPECT_EQ(found({{0, 0x57fff, kRam}, kHighRam}), 0x55000u) << "ends within a page";
    EXPECT_EQ(found({kHighRam}), 0u) << "no conventional memory";
    EXPECT_EQ(found({}), 0u);
    EXPECT_EQ(found({{0, 0xa0000, kReserved}, kHighRam}), 0u);
}

TEST(LowPages, AreTheHighestPieceThatIsLargeEnough) {
    const Map holes = {{0, 0x58000, kRam},       {0x58000, 0x1000, kReserved},
                       {0x59000, 0x33000, kRam}, {0x8c000, 0x13000, kReserved},
                       {0x9d000, 0x1000, kRam},  kHighRam};
    EXPECT_EQ(found(holes), 0x8a000u);
    EXPECT_EQ(found(Map(holes.rbegin(), holes.rend())), 0x8a000u) << "the map is in any order";
    EXPECT_EQ(found(holes, {0x5a00, 0}), 0x56000u) << "one page is left of the upper piece";
    EXPECT_EQ(found({{0x20800, 0x2000, kRam}, {0x30800, 0x2800, kRam}}), 0x31000u);
}

TEST(LowPages, AvoidWhatIsReservedWithinRam) {
    const StatedRange ram = {0, 0xa0000, kRam};
    EXPECT_EQ(found({ram, {0x9d400, 0x2c00, kReserved}}), 0x9b000u);
    EXPECT_EQ(found({ram, {0x9e000, 0x10, kReserved}}), 0x9c000u);
    EXPECT_EQ(found({ram, {0x9c000, 0x1001, kReserved}}), 0x9a000u);
    EXPECT_EQ(found({ram, {0x9c000, 0x1000, kReserved}}), 0x9d000u);
    EXPECT_EQ(found({ram, {0x22000, kMiB, kReserved}}), 0x20000u);
    EXPECT_EQ(found({ram, {0x21000, kMiB, kReserved}}), 0u);
    EXPECT_EQ(found({ram, {0, ~uint64_t{0}, kReserved}}), 0u);
    EXPECT_EQ(found({ram, {0x9c000, 0x4000, kReserved}, {0x98000, 0x3800, 5}}), 0x96000u);
}

TEST(LowPages, AMapsSecondPieceCounts) {
    EXPECT_EQ(found({kHighRam}, {}, {{0, 0x80000, kRam}}), 0x7e000u);
    EXPECT_EQ(found({{0, 0x90000, kRam}}, {}, {{0x8f000, 0x10000, kReserved}}), 0x8d000u);
}

TEST(LowPages, RangesThatWrapEndWithMemory) {
    EXPECT_EQ(found({{0x30000, ~uint64_t{0}, kRam}}), kTop - 0x2000);
    EXPECT_EQ(found({{0, 0xa0000, kRam}, {~uint64_t{0}, 2, kReserved}}), kTop - 0x2000);
    EXPECT_EQ(found({{0, 0, kRam}, {0x30000, 0, kRam}}), 0u);
}

// --- Any map --------------------------------------------------------------------------------

bool is_free(const Map& map, uint64_t page, uint64_t end) {
    const auto covers = [&](const StatedRange& range) {
        return range.start <= page && page + kPage <= range.start + range.bytes;
    };
    const auto touches = [&](const StatedRange& range) {
        return range.bytes != 0 && range.start < page + kPage && page < range.start + range.bytes;
    };
    bool ram = false;
    for (const StatedRange& range : map) {
        ram |= range.type == kRam && covers(range);
        if (range.type != kRam && touches(range))
            return false;
    }
    return ram && page >= 0x20000 && page + kPage <= end;
}

// Two pages in one range of RAM: neighbours that only touch may be overlooked.
bool in_one_range(const Map& map, uint64_t pages) {
    for (const StatedRange& range : map)
        if (range.type == kRam && range.start <= pages &&
            pages + kLowPagesBytes <= range.start + range.bytes)
            return true;
    return false;
}

TEST(LowPages, AreTheHighestOfAnyMap) {
    Dice dice(6);
    for (unsigned round = 0; round != 20000; ++round) {
        Map map;
        for (uint64_t i = dice.below(6); i != 0; --i)
            map.push_back({dice.below(0xa0) * 0x1000 + dice.below(2) * 0x800,
                           dice.below(0x60) * 0x1000 + dice.below(2) * 0x400,
                           static_cast<uint32_t>(1 + dice.below(2))});
        uint64_t due = 0;
        for (uint64_t page = 0x20000; page + kLowPagesBytes <= kTop; page += kPage)
            if (is_free(map, page, kTop) && is_free(map, page + kPage, kTop) &&
                in_one_range(map, page))
                due = page;
        EXPECT_EQ(found(map), due) << "round " << round;
    }
}

} // namespace
} // namespace prologue::test
