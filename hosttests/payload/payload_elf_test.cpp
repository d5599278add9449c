// An ELF64 payload: what is read out of it, and each lie in its headers.

#include "payload/elf64.h"

#include "dice.h"
#include "payload_files.h"
#include "refusing.h"

#include <gtest/gtest.h>

namespace prologue::test {
namespace {

std::optional<Refused> refusal_of_file(const std::vector<uint8_t>& file) {
    return refusal_of([&] { read_elf(file.data(), file.size()); });
}

// The file with another value in one field.
template <class T>
std::vector<uint8_t> with(size_t at, T value) {
    std::vector<uint8_t> file = elf_file();
    std::memcpy(file.data() + at, &value, sizeof value);
    return file;
}

constexpr size_t kFirst = 64, kSecond = kFirst + 56; // program headers
constexpr size_t kNote = kFirst + 2 * 56;
constexpr size_t kFlags = 4, kOffset = 8, kVirt = 16, kPhys = 24, kFileBytes = 32, kBytes = 40;

TEST(ElfPayload, IsReadWhole) {
    const std::vector<uint8_t> file = elf_file();
    const ElfPayload elf = read_elf(file.data(), file.size());
    EXPECT_EQ(elf.entry, kElfVirtual + 0x10);
    EXPECT_EQ(elf.contract, Contract::handoff);
    ASSERT_EQ(elf.count, 2u);
    EXPECT_EQ(elf.segments[0].phys, 0x200000u);
    EXPECT_TRUE(elf.segments[0].executable && !elf.segments[0].writable);
    EXPECT_EQ(elf.segments[1].file_offset, 0x1800u);
    EXPECT_EQ(elf.segments[1].file_bytes, 0x20u);
    EXPECT_EQ(elf.segments[1].bytes, 0x3000u);
    EXPECT_EQ(elf.segments[1].pages().start, 0x202000u);
    EXPECT_EQ(elf.segments[1].pages().end, 0x206000u);
    EXPECT_EQ(elf.virtual_span().start, kElfVirtual);
    EXPECT_EQ(elf.virtual_span().end, kElfVirtual + 0x6000);
}

TEST(ElfPayload, WithoutTheNoteItCannotBeStarted) {
    const std::vector<std::vector<uint8_t>> files = {
        with(kNote, uint32_t{6}), with(kElfNoteAt + 8, uint32_t{0x71}),
        with(kElfNoteAt + 12, uint8_t{'p'}), with(kNote + kFileBytes, uint64_t{0})};
    for (const auto& file : files)
        EXPECT_EQ(refusal_of_file(file), refused(Refusal::elf_contract, {}));
}

TEST(ElfPayload, EachFieldOfTheHeaderIsChecked) {
    const auto header = [](uint64_t is, uint64_t due, const char* field) {
        return refused(Refusal::elf_header, {is, due}, field);
    };
    EXPECT_EQ(refusal_of_file(with(1, uint8_t{'e'})), header(0x464c657f, 0x464c457f, "EI_MAG"));
    EXPECT_EQ(refusal_of_file(with(4, uint8_t{1})), header(62, 3, "e_machine"));
    EXPECT_EQ(refusal_of_file(with(4, uint8_t{3})), header(3, 2, "EI_CLASS"));
    EXPECT_EQ(refusal_of_file(with(5, uint8_t{2})), header(2, 1, "EI_DATA"));
    EXPECT_EQ(refusal_of_file(with(6, uint8_t{0})), header(0, 1, "EI_VERSION"));
    EXPECT_EQ(refusal_of_file(with(16, uint16_t{4})), header(4, 2, "e_type"));
    EXPECT_EQ(refusal_of_file(with(18, uint16_t{183})), header(183, 62, "e_machine"));
    EXPECT_EQ(refusal_of_file(with(20, uint32_t{2})), header(2, 1, "e_version"));
    EXPECT_EQ(refusal_of_file(with(52, uint16_t{52})), header(52, 64, "e_ehsize"));
    EXPECT_EQ(refusal_of_file(with(54, uint16_t{32})), header(32, 56, "e_phentsize"));
    EXPECT_EQ(refusal_of_file(with(56, uint16_t{0})), header(0, 64, "e_phnum"));
    EXPECT_EQ(refusal_of_file(with(56, uint16_t{65})), header(65, 64, "e_phnum"));
    EXPECT_EQ(refusal_of_file(with(32, ~uint64_t{0}))->what, "the table of program headers");
    EXPECT_EQ(refusal_of_file(with(24, kElfVirtual + 0x2000)),
              refused(Refusal::elf_entry, {kElfVirtual + 0x2000}))
        << "data";
    EXPECT_EQ(refusal_of_file(with(24, uint64_t{0})), refused(Refusal::elf_entry, {0}));
}

TEST(ElfPayload, EachFieldOfASegmentIsChecked) {
    const auto what = [](const std::vector<uint8_t>& file) {
        const auto refused = refusal_of_file(file);
        return refused ? refused->what : "";
    };
    EXPECT_EQ(what(with(kSecond + kOffset, ~uint64_t{0})), "does not lie in the file");
    EXPECT_EQ(what(with(kSecond + kFileBytes, uint64_t{0x21})), "does not lie in the file");
    EXPECT_EQ(what(with(kSecond + kBytes, uint64_t{0x1f})),
              "has more bytes in the file than in memory");
    EXPECT_EQ(what(with(kSecond + kPhys, uint64_t{1} << 52)), "lies beyond all physical memory");
    EXPECT_EQ(what(with(kSecond + kBytes, uint64_t{1} << 52)), "lies beyond all physical memory");
    EXPECT_EQ(what(with(kSecond + kVirt, ~uint64_t{0x7ff})), "wraps");
    EXPECT_EQ(what(with(kSecond + kPhys, uint64_t{0x202000})),
              "has other places in its virtual and its physical page");
    EXPECT_EQ(what(with(kSecond + kFlags, uint32_t{7})), "is writable and executable");
    EXPECT_EQ(what(with(kSecond + kPhys, uint64_t{0x203800})),
              "is not at the first segment's distance");
    EXPECT_EQ(what(with(kFirst + kBytes, uint64_t{0x2001})),
              "begins before the one before it has ended, or in its last page");
    EXPECT_EQ(what(with(kNote, uint32_t{3})), "wants an interpreter");
    EXPECT_EQ(what(with(kNote + kOffset, ~uint64_t{0})), "a note segment");
    EXPECT_EQ(what(with(kElfNoteAt, ~uint32_t{0})), "a note");
    EXPECT_EQ(what(with(kElfNoteAt + 4, uint32_t{8})), "a note");
    EXPECT_EQ(what(with(kElfNoteAt + 4, uint32_t{0})), "the payload note's n_descsz");
    EXPECT_EQ(what(with(kElfNoteAt + 24, uint32_t{2})), "the payload note's version");
}

TEST(ElfPayload, WishesForADepthOfPaging) {
    const auto with_note = [](uint32_t levels) {
        std::vector<uint8_t> file = elf_file();
        const uint32_t notes[] = {9, 4, 0x70, 0x6c6f7250, 0x6575676f, 0, 1,
                                  9, 4, 0x51, 0x6c6f7250, 0x6575676f, 0, levels};
        std::memcpy(file.data() + kElfNoteAt, notes, sizeof notes);
        const uint64_t bytes = sizeof notes;
        std::memcpy(file.data() + kNote + kFileBytes, &bytes, sizeof bytes);
        return file;
    };
    EXPECT_EQ(read_elf(elf_file().data(), elf_file().size()).paging, 4u);
    for (const uint32_t levels : {0u, 4u, 5u})
        EXPECT_EQ(read_elf(with_note(levels).data(), elf_file().size()).paging, levels);
    EXPECT_EQ(refusal_of_file(with_note(3)),
              refused(Refusal::elf_header, {3, 4}, "the paging note's levels"));
}

TEST(ElfPayload, IsRefusedWhereverItIsCutOff) {
    const std::vector<uint8_t> file = elf_file();
    for (size_t bytes = 0; bytes != file.size(); ++bytes) {
        const std::vector<uint8_t> cut(file.begin(), file.begin() + static_cast<ptrdiff_t>(bytes));
        const auto refused = refusal_of_file(cut);
        ASSERT_TRUE(refused) << bytes;
        EXPECT_TRUE(refused->refusal == Refusal::elf_cut ||
                    refused->what == "does not lie in the file")
            << bytes << *refused;
    }
}

// --- In 32-bit mode -------------------------------------------------------------------------

TEST(ElfPayload, Of32BitsIsEnteredWherePvhsNoteSays) {
    const std::vector<uint8_t> file = elf32_file(false);
    const ElfPayload elf = read_elf(file.data(), file.size());
    EXPECT_EQ(elf.contract, Contract::pvh);
    ASSERT_EQ(elf.count, 1u);
    EXPECT_EQ(elf.segments[0].phys, 0x200000u);
    EXPECT_EQ(elf.segments[0].bytes, 0x3000u);
    EXPECT_EQ(elf.physical_entry(), 0x200014u);
}

TEST(ElfPayload, OfMultibootIsEnteredWhereItsEntryLies) {
    const std::vector<uint8_t> file = elf32_file(true);
    const ElfPayload elf = read_elf(file.data(), file.size());
    EXPECT_EQ(elf.contract, Contract::multiboot1);
    EXPECT_TRUE(elf.multiboot.aligns_modules);
    EXPECT_EQ(elf.physical_entry(), 0x200010u);
}

TEST(ElfPayload, LiesIn32BitsAreRefused) {
    const auto with32 = [](bool multiboot1, size_t at, uint32_t value) {
        std::vector<uint8_t> file = elf32_file(multiboot1);
        std::memcpy(file.data() + at, &value, sizeof value);
        return refusal_of_file(file);
    };
    EXPECT_EQ(with32(false, kElf32Note + 16, 0x203000), refused(Refusal::elf_entry, {0x203000}));
    EXPECT_EQ(with32(false, kElf32Note + 4, 0),
              refused(Refusal::elf_header, {0, 4}, "PVH's note's n_descsz"));
    EXPECT_EQ(with32(false, kElf32Note + 8, 17), refused(Refusal::elf_contract, {}));
    EXPECT_EQ(with32(true, 24, 0x200010), refused(Refusal::elf_entry, {0x200010})) << "physical";
    for (const uint32_t flags : {8u, 0x1000fu, 0x8000u}) {
        std::vector<uint8_t> file = elf32_file(true);
        const uint32_t header[] = {0x1badb002, flags, -(0x1badb002 + flags)};
        std::memcpy(file.data() + 0x1000, header, sizeof header);
        EXPECT_EQ(refusal_of_file(file),
                  refused(Refusal::elf_header, {flags, 7}, "the Multiboot header's flags"));
    }
    EXPECT_FALSE(with32(true, 0x1008, 1)) << "no checksum: no header, and PVH's note is there";
}

TEST(ElfPayload, Of32BitsIsRefusedWhereverItIsCutOff) {
    for (const bool multiboot1 : {false, true}) {
        const std::vector<uint8_t> file = elf32_file(multiboot1);
        for (size_t bytes = 0; bytes != file.size(); ++bytes)
            ASSERT_TRUE(
                refusal_of_file({file.begin(), file.begin() + static_cast<ptrdiff_t>(bytes)}))
                << bytes;
    }
}

TEST(ElfPayload, WhatIsReadOfAnyBytesHolds) {
    Dice dice(64);
    unsigned good = 0;
    for (unsigned round = 0; round != 20000; ++round) {
        std::vector<uint8_t> file = elf_file();
        for (uint64_t changes = 1 + dice.below(3); changes != 0; --changes)
            file[dice.below(kElfNoteAt + 28)] = static_cast<uint8_t>(dice.any());
        good += !refusal_of([&] { expect_sound_elf(file.data(), file.size()); });
    }
    EXPECT_GT(good, 1000u);
}

} // namespace
} // namespace prologue::test
