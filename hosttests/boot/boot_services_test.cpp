// What Multiboot 2's information says of running boot services, and the firmware's
// map in the loader-neutral form.

#include "boot_services.h"

#include "parsing.h"

#include <gtest/gtest.h>

namespace prologue::test {
namespace {

constexpr uint64_t kTable = 0x123456789abcdef0, kHandle = 0xfedcba9876543210;

std::string tag(uint32_t type, const std::string& body) {
    std::string bytes = raw(type) + raw(static_cast<uint32_t>(8 + body.size())) + body;
    bytes.resize((bytes.size() + 7) / 8 * 8);
    return bytes;
}

BootServicesTags found(const std::string& tags) {
    const std::string info = raw(static_cast<uint32_t>(8 + tags.size())) + raw(uint32_t{0}) + tags;
    // Of exactly that size, so that a read beyond it is seen.
    const std::vector<uint8_t> bytes(info.begin(), info.end());
    return find_boot_services(bytes.data());
}

const std::string kRunning = tag(18, ""), kEfi64 = tag(12, raw(kTable)),
                  kImage = tag(20, raw(kHandle)), kCmdline = tag(1, "odd"), kEndTag = tag(0, "");

TEST(BootServicesTags, AreFoundInAnyOrder) {
    for (const std::string& tags : {kCmdline + kEfi64 + kRunning + kImage + kEndTag,
                                    kImage + kRunning + kCmdline + kEfi64 + kEndTag}) {
        const BootServicesTags seen = found(tags);
        EXPECT_TRUE(seen.running);
        EXPECT_EQ(seen.system_table, kTable);
        EXPECT_EQ(seen.image_handle, kHandle);
    }
}

TEST(BootServicesTags, DoNotRunWithoutTheTagOrBehindTheEnd) {
    EXPECT_FALSE(found(kEfi64 + kImage + kEndTag).running);
    EXPECT_FALSE(found(kEfi64 + kEndTag + kRunning).running);
}

TEST(BootServicesTags, AreNoneInABrokenList) {
    const std::string too_short = raw(uint32_t{1}) + raw(uint32_t{7});
    const std::string too_long = raw(uint32_t{1}) + raw(uint32_t{17}) + std::string(8, 0);
    for (const std::string& tags : {kRunning + kEfi64, kRunning + kEfi64 + too_short + kEndTag,
                                    kRunning + kEfi64 + too_long, std::string()}) {
        EXPECT_FALSE(found(tags).running);
        EXPECT_EQ(found(tags).system_table, 0u);
    }
}

TEST(BootServicesTags, AreNotReadFromAShortTag) {
    const BootServicesTags seen = found(kRunning + tag(12, "abcd") + tag(20, "abcd") + kEndTag);
    EXPECT_TRUE(seen.running);
    EXPECT_EQ(seen.system_table, 0u);
    EXPECT_EQ(seen.image_handle, 0u);
}

struct Described {
    uint32_t type;
    uint64_t start, pages;
};

std::vector<StatedRange> translated(const std::vector<Described>& map, Span own,
                                    uint64_t stride = 48) {
    std::string bytes;
    for (const Described& from : map) {
        bytes += raw(uint64_t{from.type}) + raw(from.start) + raw(uint64_t{0}) + raw(from.pages) +
                 raw(uint64_t{15});
        bytes.resize(bytes.size() + stride - 40);
    }
    std::vector<RawRange> ranges(ranges_for(map.size()));
    const auto* const at = reinterpret_cast<const uint8_t*>(bytes.data());
    std::vector<StatedRange> result;
    for (const RawRange& range : translate({at, bytes.size(), stride}, own, ranges.data()))
        result.push_back({range.start, range.bytes, range.e820_type});
    return result;
}

constexpr Span kOwn = {0x800000, 0x900000};
constexpr StatedRange kOwnRange = {0x800000, 0x100000, 1};

void expect_ranges(const std::vector<StatedRange>& seen, const std::vector<StatedRange>& wanted) {
    ASSERT_EQ(seen.size(), wanted.size());
    for (size_t i = 0; i != seen.size(); ++i) {
        EXPECT_EQ(seen[i].start, wanted[i].start) << i;
        EXPECT_EQ(seen[i].bytes, wanted[i].bytes) << i;
        EXPECT_EQ(seen[i].type, wanted[i].type) << i;
    }
}

TEST(FirmwareMap, LeavesNothingUsableButOurOwn) {
    constexpr uint32_t kInUse = kInFirmwaresUse;
    constexpr uint32_t kTypes[] = {2, kInUse, kInUse, kInUse, kInUse, 2, 2, kInUse,
                                   5, 3,      4,      2,      2,      2, 2, kE820Unaccepted};
    for (uint32_t type = 0; type != std::size(kTypes); ++type)
        expect_ranges(translated({{type, 0x100000, 2}}, kOwn),
                      {{0x100000, 0x2000, kTypes[type]}, kOwnRange});
    expect_ranges(translated({{0x80000000, 0x100000, 2}}, kOwn),
                  {{0x100000, 0x2000, 2}, kOwnRange});
}

TEST(FirmwareMap, IsCutAroundOurOwn) {
    constexpr uint32_t kInUse = kInFirmwaresUse;
    expect_ranges(translated({{2, 0x700000, 0x300}}, kOwn),
                  {{0x700000, 0x100000, kInUse}, {0x900000, 0x100000, kInUse}, kOwnRange});
    expect_ranges(translated({{2, 0x800000, 0x100}}, kOwn), {kOwnRange});
    expect_ranges(translated({{2, 0x7ff000, 2}, {2, 0x801000, 0xff}, {7, 0x900000, 1}}, kOwn),
                  {{0x7ff000, 0x1000, kInUse}, {0x900000, 0x1000, kInUse}, kOwnRange});
}

TEST(FirmwareMap, HasDescriptorsOfAnySize) {
    for (const uint64_t stride : {40, 48, 200})
        expect_ranges(translated({{9, 0x1000, 1}, {10, 0x5000, 2}}, kOwn, stride),
                      {{0x1000, 0x1000, 3}, {0x5000, 0x2000, 4}, kOwnRange});
}

// The memory map is what judges them.
TEST(FirmwareMap, PassesRangesThatWrapOn) {
    expect_ranges(translated({{7, ~uint64_t{0xfff}, 2}}, kOwn),
                  {{~uint64_t{0xfff}, 0x2000, kInFirmwaresUse}, kOwnRange});
}

} // namespace
} // namespace prologue::test
