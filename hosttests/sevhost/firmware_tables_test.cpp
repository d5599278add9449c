// The tables at the end of an OVMF image, made here as edk2 makes them: the GUIDs are spelt
// again, as their text has them.
#include "firmware_tables.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

namespace sevhost {
namespace {

constexpr char kFooter[] = "96b582de-1fb2-45f7-baea-a366c55a082d";
constexpr char kMetadata[] = "dc886566-984a-4798-a75e-5585a7bf67cc";
constexpr char kApReset[] = "00f771de-1a7e-4fcb-890e-68c77e2fb44e";
constexpr char kHashes[] = "7255371f-3a3b-4b04-927b-1da6efa8d454";
constexpr unsigned kMetadataFromEnd = 0x400, kImageBytes = 0x2000;

using Bytes = std::vector<uint8_t>;

template <typename T>
void append(Bytes& to, T value) {
    const auto* bytes = reinterpret_cast<const uint8_t*>(&value);
    to.insert(to.end(), bytes, bytes + sizeof value);
}

// Data, the entry's bytes with these 18, and the GUID, whose first three parts are numbers.
void append_entry(Bytes& to, const char* guid, const Bytes& data) {
    unsigned a, b, c, d[8];
    ASSERT_EQ(11, std::sscanf(guid, "%8x-%4x-%4x-%2x%2x-%2x%2x%2x%2x%2x%2x", &a, &b, &c, d, d + 1,
                              d + 2, d + 3, d + 4, d + 5, d + 6, d + 7));
    to.insert(to.end(), data.begin(), data.end());
    append(to, static_cast<uint16_t>(data.size() + 18));
    append(to, static_cast<uint32_t>(a));
    append(to, static_cast<uint16_t>(b));
    append(to, static_cast<uint16_t>(c));
    for (unsigned byte : d)
        append(to, static_cast<uint8_t>(byte));
}

struct Image {
    Bytes bytes = Bytes(kImageBytes);

    explicit Image(const std::vector<Section>& sections, uint32_t version = 1) {
        Bytes metadata;
        append(metadata, uint32_t{0x56455341});
        append(metadata, static_cast<uint32_t>(16 + 12 * sections.size()));
        append(metadata, version);
        append(metadata, static_cast<uint32_t>(sections.size()));
        for (const Section& section : sections)
            append(metadata, section);
        put(kMetadataFromEnd, metadata);

        Bytes from_end, place, ap_reset, entries, table;
        append(from_end, uint32_t{kMetadataFromEnd});
        append(place, uint64_t{0x100'00010c00});
        append(ap_reset, uint32_t{0x0080b004});
        append_entry(entries, kMetadata, from_end);
        append_entry(entries, kHashes, place);
        append_entry(entries, kApReset, ap_reset);
        append_entry(table, kFooter, entries);
        put(32 + static_cast<unsigned>(table.size()), table);
    }
    void put(unsigned from_end, const Bytes& what) {
        std::copy(what.begin(), what.end(), bytes.end() - from_end);
    }
    Sections sections() const { return read_sections({bytes.data(), bytes.size()}); }
};

const std::vector<Section> kThree = {{0x800000, 0x9000, SectionType::memory},
                                     {0x80d000, 0x1000, SectionType::secrets},
                                     {0x80e000, 0x1000, SectionType::cpuid}};

TEST(SevFirmwareTables, SectionsAreFoundBehindOtherEntries) {
    const Sections found = Image(kThree).sections();
    ASSERT_EQ(found.wrong, nullptr);
    ASSERT_EQ(found.count, 3u);
    EXPECT_EQ(found.list[0].base, 0x800000u);
    EXPECT_EQ(found.list[0].bytes, 0x9000u);
    EXPECT_EQ(found.list[2].type, SectionType::cpuid);
}

TEST(SevFirmwareTables, PlaceOfHashesIsFound) {
    const Image image(kThree);
    const HashesPlace place = read_hashes_place({image.bytes.data(), image.bytes.size()});
    EXPECT_EQ(place.base, 0x10c00u);
    EXPECT_EQ(place.bytes, 0x100u);
}

TEST(SevFirmwareTables, TheOtherProcessorsBeginWhereItSays) {
    const Image image(kThree);
    EXPECT_EQ(read_ap_reset({image.bytes.data(), image.bytes.size()}), 0x0080b004u);
    EXPECT_EQ(read_ap_reset({image.bytes.data(), 0x100}), 0u);
}

TEST(SevFirmwareTables, WhatIsNoOvmfIsRefused) {
    for (const uint64_t bytes : {0u, 16u, 40u, 60u, 0x2000u}) {
        const Bytes nothing(bytes);
        EXPECT_NE(read_sections({nothing.data(), bytes}).wrong, nullptr) << bytes;
        EXPECT_EQ(read_hashes_place({nothing.data(), bytes}).bytes, 0u) << bytes;
    }
}

TEST(SevFirmwareTables, WrongMetadataIsRefused) {
    EXPECT_NE(Image(kThree, 2).sections().wrong, nullptr) << "version";
    EXPECT_NE(Image({{0x800, 0x1000, SectionType::memory}}).sections().wrong, nullptr) << "base";
    EXPECT_NE(Image({{0x1000, 0x800, SectionType::memory}}).sections().wrong, nullptr) << "bytes";
    EXPECT_NE(Image(std::vector<Section>(40, kThree[0])).sections().wrong, nullptr) << "count";
}

// Whatever one byte of the tables says, nothing outside of the image is read.
TEST(SevFirmwareTables, NoByteLeadsOutOfTheImage) {
    for (unsigned from_end = 1; from_end != kMetadataFromEnd; ++from_end)
        for (const int value : {0x00, 0x01, 0x7f, 0xff}) {
            Image image(kThree);
            image.bytes[kImageBytes - from_end] = static_cast<uint8_t>(value);
            const Bytes exact(image.bytes.begin(), image.bytes.end()); // for the sanitizer
            (void)read_sections({exact.data(), exact.size()});
            (void)read_hashes_place({exact.data(), exact.size()});
        }
}

} // namespace
} // namespace sevhost
