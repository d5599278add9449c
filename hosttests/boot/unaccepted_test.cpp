// UEFI's unaccepted memory: in the map it is that, whatever a loader calls it.
#include "unaccepted.h"

#include "range_model.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

namespace prologue::test {
namespace {

struct Described {
    uint32_t type;
    uint64_t start, pages;
};

// A firmware's map, its descriptors 48 bytes apart, at an odd address.
struct FirmwareMap {
    static constexpr uint64_t kStride = 48;
    std::vector<uint8_t> bytes;
    prologue_efi efi = {};

    explicit FirmwareMap(const std::vector<Described>& all) : bytes(1 + all.size() * kStride) {
        for (size_t i = 0; i != all.size(); ++i) {
            uint8_t* const at = bytes.data() + 1 + i * kStride;
            std::memcpy(at, &all[i].type, 4);
            std::memcpy(at + 8, &all[i].start, 8);
            std::memcpy(at + 24, &all[i].pages, 8);
        }
        efi.memory_map = bytes.data() + 1;
        efi.memory_map_bytes = all.size() * kStride;
        efi.descriptor_bytes = kStride;
    }
};

constexpr uint32_t kUsable = PROLOGUE_MEMORY_USABLE, kReserved = PROLOGUE_MEMORY_RESERVED,
                   kUnaccepted = PROLOGUE_MEMORY_UNACCEPTED;

TEST(Unaccepted, IsWhatTheFirmwareCallsSo) {
    FirmwareMap firmware({{7, kMiB, 256},
                          {15, 2 * kMiB, 256},
                          {3, 3 * kMiB, 1},
                          {15, 4 * kGiB, 512},
                          {14, 5 * kGiB, 512}});
    EXPECT_EQ(count_unaccepted(firmware.efi), 2u);
    const uint64_t capacity = MemoryMap::storage_for(8);
    std::vector<prologue_range> storage(capacity);
    MemoryMap map(storage.data(), capacity);
    map.overlay({kMiB, 4 * kMiB}, kUsable);
    map.overlay({4 * kGiB, 4 * kGiB + kMiB}, kReserved);
    add_unaccepted(map, firmware.efi);
    const std::vector<prologue_range> wanted = {{kMiB, 2 * kMiB, kUsable, 0},
                                                {2 * kMiB, 3 * kMiB, kUnaccepted, 0},
                                                {3 * kMiB, 4 * kMiB, kUsable, 0},
                                                {4 * kGiB, 4 * kGiB + 2 * kMiB, kUnaccepted, 0}};
    EXPECT_EQ(std::vector<prologue_range>(map.begin(), map.end()), wanted);
}

TEST(Unaccepted, WhatLiesNowhereIsNone) {
    const FirmwareMap firmware({{15, 0x1234, 1},
                                {15, kMiB, 0},
                                {15, kMostPhysical, 1},
                                {15, kMostPhysical - kPage, 2},
                                {15, 0, ~uint64_t{0}},
                                {15, ~uint64_t{0xfff}, 1}});
    EXPECT_EQ(count_unaccepted(firmware.efi), 0u);
    EXPECT_EQ(count_unaccepted({}), 0u);
}

} // namespace
} // namespace prologue::test
