// The tags that a payload's Multiboot 2 information has beside what prologue/multiboot.h makes.

#include "payload/multiboot_more.h"

#include "dice.h"
#include "payload_files.h"

#include <gtest/gtest.h>

namespace prologue::test {
namespace {

using Bytes = std::vector<uint8_t>;

template <class T>
T get(const Bytes& bytes, size_t at) {
    T value;
    std::memcpy(&value, bytes.data() + at, sizeof value);
    return value;
}

template <class T>
void put(Bytes& bytes, size_t at, T value) {
    std::memcpy(bytes.data() + at, &value, sizeof value);
}

// A size, and an end tag.
Bytes information() {
    Bytes info(4096, 0xee);
    put(info, 0, uint32_t{16});
    put(info, 8, uint64_t{8} << 32);
    return info;
}

TEST(MultibootMore, TagsAreAddedBeforeTheEnd) {
    Bytes info = information();
    for (const uint32_t bytes : {5u, 16u, 0u}) {
        const uint32_t before = get<uint32_t>(info, 0);
        EXPECT_EQ(add_tag(info.data(), 77, bytes), info.data() + before);
        EXPECT_EQ(get<uint32_t>(info, before - 8), 77u);
        EXPECT_EQ(get<uint32_t>(info, before - 4), 8 + bytes);
        const uint32_t after = get<uint32_t>(info, 0);
        EXPECT_EQ(after, before + 8 + (bytes + 7) / 8 * 8);
        EXPECT_EQ(get<uint64_t>(info, after - 8), uint64_t{8} << 32);
    }
}

// An ELF64 with four sections: none, one that is loaded, a string table, and .bss without an address.
constexpr uint64_t kSections = 0x1900;
Bytes with_sections() {
    Bytes file = elf_file();
    file.resize(kSections + 4 * 64);
    const auto section = [&](unsigned index, uint32_t type, uint64_t address, uint64_t offset,
                             uint64_t bytes) {
        put(file, kSections + 64 * index + 4, type);
        put(file, kSections + 64 * index + 16, address);
        put(file, kSections + 64 * index + 24, offset);
        put(file, kSections + 64 * index + 32, bytes);
    };
    section(1, 1, kElfVirtual, 0x800, 0x1000);
    section(2, 3, 0, 0x1850, 21);
    section(3, 8, 0, 0x1900, 0x100000);
    put(file, 0x28, kSections);
    put(file, 0x3a, uint16_t{64});
    put(file, 0x3c, uint16_t{4});
    put(file, 0x3e, uint16_t{2});
    std::memcpy(file.data() + 0x1850, "a table of some names", 21);
    return file;
}

TEST(MultibootMore, SectionsThatNoSegmentLoadsAreCopied) {
    const Bytes file = with_sections();
    const SectionTable sections = read_sections(file.data(), file.size());
    ASSERT_EQ(sections.count, 4u);
    ASSERT_EQ(unloaded_bytes(sections, file.size()), 32u);
    Bytes content(kSectionsHead + sections.bytes()), room(32);
    put_sections(sections, file.data(), file.size(), content.data(), room.data(), 0x123000);
    EXPECT_EQ(get<uint32_t>(content, 0), 4u);
    EXPECT_EQ(get<uint32_t>(content, 4), 64u);
    EXPECT_EQ(get<uint32_t>(content, 8), 2u);
    const auto address = [&](unsigned index) {
        return get<uint64_t>(content, kSectionsHead + 64 * index + 16);
    };
    EXPECT_EQ(address(0), 0u);
    EXPECT_EQ(address(1), kElfVirtual);
    EXPECT_EQ(address(2), 0x123000u);
    EXPECT_EQ(address(3), 0u) << "nothing of it is in the file";
    EXPECT_EQ(std::memcmp(room.data(), "a table of some names\0", 22), 0);
}

TEST(MultibootMore, SectionsThatDoNotLieInTheFileAreLeftOut) {
    const Bytes good = with_sections();
    for (size_t bytes = 0; bytes != good.size(); ++bytes) {
        const Bytes cut(good.begin(), good.begin() + static_cast<ptrdiff_t>(bytes)); // ASan's, too
        EXPECT_EQ(read_sections(cut.data(), bytes).count, 0u) << bytes;
    }
    const auto count = [&](size_t at, auto value) {
        Bytes file = good;
        put(file, at, value);
        return read_sections(file.data(), file.size()).count;
    };
    EXPECT_EQ(count(0x28, ~uint64_t{0}), 0u);
    EXPECT_EQ(count(0x3a, uint16_t{40}), 0u) << "an ELF32's";
    EXPECT_EQ(count(0x3c, uint16_t{5}), 0u);
    EXPECT_EQ(count(4, uint8_t{1}), 0u);
    const auto unloaded = [&](size_t at, uint64_t value) {
        Bytes file = good;
        put(file, kSections + 128 + at, value);
        return unloaded_bytes(read_sections(file.data(), file.size()), file.size());
    };
    EXPECT_EQ(unloaded(24, ~uint64_t{0}), 0u);
    EXPECT_EQ(unloaded(32, uint64_t{0x1000}), 0u);
    EXPECT_EQ(unloaded(32, uint64_t{0}), 0u);
}

TEST(MultibootMore, SectionsThatOverlapAreLeftOut) {
    Bytes file = with_sections();
    for (const unsigned index : {2, 3}) {
        put(file, kSections + 64 * index + 4, uint32_t{3});
        put(file, kSections + 64 * index + 24, uint64_t{0});
        put(file, kSections + 64 * index + 32, uint64_t{0x1a00});
    }
    EXPECT_EQ(read_sections(file.data(), file.size()).count, 0u);
}

TEST(MultibootMore, AnElf32sSectionsAreRead) {
    Bytes file = elf32_file(true);
    const size_t sections = file.size();
    file.resize(sections + 2 * 40);
    put(file, 32, static_cast<uint32_t>(sections));
    put(file, 46, uint16_t{40});
    put(file, 48, uint16_t{2});
    put(file, 50, uint16_t{1});
    put(file, sections + 40 + 4, uint32_t{3});
    put(file, sections + 40 + 16, uint32_t{0x1000});
    put(file, sections + 40 + 20, uint32_t{16});
    const SectionTable table = read_sections(file.data(), file.size());
    ASSERT_EQ(table.count, 2u);
    ASSERT_EQ(unloaded_bytes(table, file.size()), 16u);
    Bytes content(kSectionsHead + 80), room(16);
    put_sections(table, file.data(), file.size(), content.data(), room.data(), 0x5000);
    EXPECT_EQ(get<uint32_t>(content, kSectionsHead + 40 + 12), 0x5000u);
    EXPECT_EQ(get<uint32_t>(room, 0), 0x1badb002u);
}

TEST(MultibootMore, AnEntryPointOfSmbiosIsCopied) {
    Bytes older(kMostSmbios), newer(kMostSmbios);
    std::memcpy(older.data(), "_SM_\x11\x1f\2\x8", 8);
    std::memcpy(newer.data(), "_SM3_\x11\x18\3\4", 9);
    EXPECT_EQ(smbios_bytes(older.data()), 31u);
    EXPECT_EQ(smbios_bytes(newer.data()), 24u);
    Bytes content(kSmbiosHead + kMostSmbios);
    put_smbios(older.data(), content.data());
    EXPECT_EQ(get<uint16_t>(content, 0), 0x802u);
    put_smbios(newer.data(), content.data());
    EXPECT_EQ(get<uint16_t>(content, 0), 0x403u);
    EXPECT_EQ(std::memcmp(content.data() + kSmbiosHead, newer.data(), 24), 0);
    newer[6] = 65;
    EXPECT_EQ(smbios_bytes(newer.data()), 0u) << "too long";
    newer[6] = 23;
    EXPECT_EQ(smbios_bytes(newer.data()), 0u) << "too short";
    older[1] = 's';
    EXPECT_EQ(smbios_bytes(older.data()), 0u);
}

} // namespace
} // namespace prologue::test
