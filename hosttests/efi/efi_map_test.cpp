// The EFI stub: the firmware's memory map, as it is told to the kernel.

#include "efi_stub.h"

namespace prologue::test {
namespace {

TEST_F(EfiStub, SaysEachTypeOfMemory) {
    firmware.map.clear();
    constexpr uint32_t kFree = kE820Usable;
    const uint32_t types[] = {2, kFree, kFree, kFree, kFree,           2, 2, kFree, 5, 3, 4,
                              2, 2,     2,     2,     kE820Unaccepted, 2};
    std::vector<StatedRange> wanted;
    for (uint32_t type = 0; type != std::size(types); ++type) {
        firmware.describe(type, 0x100000 * (type + 1), 1);
        wanted.push_back({0x100000 * (type + 1), 0x1000, types[type]});
    }
    firmware.describe(7, 0x40000000, 2, 0x4000f);
    wanted.push_back({0x40000000, 0x2000, kE820SoftReserved});
    EXPECT_EQ(ranges_of(started().memory), wanted);
}

TEST_F(EfiStub, MakesNeighboursOne) {
    firmware.map.clear();
    firmware.describe(7, 0x100000, 1);
    firmware.describe(4, 0x101000, 2);
    firmware.describe(6, 0x103000, 1);
    EXPECT_EQ(ranges_of(started().memory),
              (std::vector<StatedRange>{{0x100000, 0x3000, 1}, {0x103000, 0x1000, 2}}));
}

// The kernel's own map decides between ranges that overlap, or are none: all of them are told.
TEST_F(EfiStub, TellsRangesThatOverlapAsTheyAre) {
    firmware.map.clear();
    firmware.describe(7, 0x100000, 0x100);
    firmware.describe(6, 0x180000, 1);
    firmware.describe(7, 0x180000, 0x200);
    firmware.describe(7, 0x800000, 0);
    firmware.describe(5, 0x100000, 1);
    EXPECT_EQ(ranges_of(started().memory), (std::vector<StatedRange>{{0x100000, 0x100000, 1},
                                                                     {0x180000, 0x1000, 2},
                                                                     {0x180000, 0x200000, 1},
                                                                     {0x100000, 0x1000, 2}}));
}

// No number of pages makes a range that it does not speak of: the kernel's map leaves out what
// wraps. Nor does one behind the last address take a neighbour's beginning for its own.
TEST_F(EfiStub, TellsRangesThatWrapAsSuch) {
    constexpr uint64_t kHalf = uint64_t{1} << 63, kMost = kLastPageStart;
    firmware.map.clear();
    firmware.describe(7, 0x100000, (uint64_t{1} << 52) + 1);
    firmware.describe(7, 0x200000, ~uint64_t{0});
    firmware.describe(7, kHalf, kHalf / kPage);
    firmware.describe(7, 0, 0x9f);
    EXPECT_EQ(ranges_of(started().memory),
              (std::vector<StatedRange>{
                  {0x100000, kMost, 1}, {0x200000, kMost, 1}, {kHalf, kHalf, 1}, {0, 0x9f000, 1}}));
}

TEST_F(EfiStub, SaysAMapOf10000Descriptors) {
    firmware.map.clear();
    firmware.stride = 104; // more than 1 MiB of it
    for (uint64_t i = 0; i != 10000; ++i)
        firmware.describe(i % 2 != 0 ? 7 : 6, i << 20, 1);
    const LoaderInfo loader = started();
    std::vector<StatedRange> ranges = ranges_of(loader.memory),
                             more = ranges_of(loader.more_memory);
    EXPECT_EQ(ranges.size(), 128u);
    ranges.insert(ranges.end(), more.begin(), more.end());
    ASSERT_EQ(ranges.size(), 10000u);
    for (uint64_t i = 0; i != ranges.size(); ++i)
        ASSERT_EQ(ranges[i], (StatedRange{i << 20, 0x1000, i % 2 != 0 ? 1u : 2u}));
    EXPECT_EQ(loader.uefi.memory_map_bytes, firmware.map.size());
    EXPECT_EQ(std::string(static_cast<const char*>(loader.uefi.memory_map), firmware.map.size()),
              firmware.map);
}

// A map of 8 MiB, and so many descriptors more.
void describe_8_mib(FakeFirmware& firmware, uint64_t more) {
    firmware.stride = 4096;
    firmware.map.clear();
    for (uint64_t i = 0; i != 2048 + more; ++i)
        firmware.describe(i % 2 != 0 ? 7 : 6, i << 20, 1);
}

TEST_F(EfiStub, SaysAMapOf8MiB) {
    describe_8_mib(firmware, 0);
    EXPECT_EQ(started().uefi.memory_map_bytes, 8u << 20);
}

TEST_F(EfiStub, RefusesAMapOfMoreThan8MiB) {
    describe_8_mib(firmware, 1);
    expect_refusal("the firmware's memory map makes no sense: bytes, bytes of a descriptor",
                   (8 << 20) + 4096, 4096);
}

TEST_F(EfiStub, RefusesAMapThatMakesNoSense) {
    for (const uint64_t stride : {0, 1, 39, 44, 4104, -8}) {
        firmware.stride = stride;
        expect_refusal("the firmware's memory map makes no sense: bytes, bytes of a descriptor",
                       firmware.map.size(), stride);
    }
}

TEST_F(EfiStub, RefusesAnEmptyMap) {
    firmware.map.clear();
    expect_refusal("GetMemoryMap does not tell the map's size: status, bytes", kBufferTooSmall, 0);
}

TEST_F(EfiStub, RefusesAMapThatChangesItsForm) {
    firmware.later_stride = 56;
    expect_refusal("the firmware's memory map changes its form: bytes, bytes of a descriptor",
                   firmware.map.size(), 56);
}

TEST_F(EfiStub, TakesAMapThatGrowsAndOneThatShrinks) {
    for (const uint64_t more : {-1, 1, 64}) { // descriptors, than were told at first
        FakeFirmware own;
        for (uint64_t i = 0; i != 2 + more; ++i)
            own.describe(i % 2 != 0 ? 7 : 6, i << 20, 1);
        own.later_map = own.map;
        own.map.resize(2 * own.stride);
        EXPECT_EQ(ranges_of(parsed(own.start()).memory).size(), 2 + more);
    }
}

TEST_F(EfiStub, DropsAPieceOfADescriptor) {
    firmware.map.resize(firmware.map.size() - 1);
    EXPECT_EQ(ranges_of(started().memory).size(), 1u);
}

TEST_F(EfiStub, RefusesAMapThatOutgrowsItsRoom) {
    firmware.map_grows = 1 << 20;
    expect_refusal("the firmware's memory map is not to be had: status, bytes", kBufferTooSmall,
                   firmware.map.size() + (1 << 20));
}

} // namespace
} // namespace prologue::test
