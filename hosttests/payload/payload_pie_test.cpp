// A PIE among payloads: each kind of relocation, each lie in their tables, and that what is
// relocated in the file is what a loader would have relocated in memory.

#include "payload/pie.h"

#include "dice.h"
#include "payload_files.h"
#include "refusing.h"

#include <gtest/gtest.h>

#include <map>

namespace prologue::test {
namespace {

ElfPayload read(const std::vector<uint8_t>& file) {
    return read_elf(file.data(), file.size());
}

uint64_t quadword(const std::vector<uint8_t>& file, size_t at) {
    uint64_t value;
    std::memcpy(&value, file.data() + at, sizeof value);
    return value;
}

std::optional<Refused> refusal_of_file(std::vector<uint8_t> file) {
    return refusal_of([&] { relocate_file(file.data(), read(file), kPieSlide); });
}

template <class T>
std::vector<uint8_t> with(size_t at, T value) {
    std::vector<uint8_t> file = pie_file();
    std::memcpy(file.data() + at, &value, sizeof value);
    return file;
}

constexpr size_t kData = 64 + 56, kDynamic = 64 + 3 * 56; // program headers
constexpr const char* kPlace = "its place is in no segment's bytes in the file";
constexpr const char* kTable = "the table is in no segment's bytes in the file";

TEST(PiePayload, EachKindOfRelocationIsApplied) {
    std::vector<uint8_t> file = pie_file();
    const ElfPayload elf = read(file);
    EXPECT_TRUE(elf.is_pie);
    relocate_file(file.data(), elf, kPieSlide);
    EXPECT_EQ(quadword(file, kPieDataAt), kPieSlide + 0x10) << "RELATIVE";
    EXPECT_EQ(quadword(file, kPieDataAt + 8), kPieSlide + 0x40 + 4) << "64";
    EXPECT_EQ(quadword(file, kPieDataAt + 0x10), 0x1234u) << "GLOB_DAT of what is absolute";
    EXPECT_EQ(quadword(file, kPieDataAt + 0x18), kPieSlide + 0x300) << "RELR, an address";
    EXPECT_EQ(quadword(file, kPieDataAt + 0x20), kPieSlide + 0x400) << "RELR, its first bit";
    EXPECT_EQ(quadword(file, kPieDataAt + 0x28), 0u) << "RELR, no bit";
    EXPECT_EQ(quadword(file, kPieDataAt + 0x30), kPieSlide + 0x600) << "RELR, its third bit";
}

TEST(PiePayload, SlidesWhole) {
    ElfPayload elf = read(pie_file());
    elf.slide(kPieSlide, 0x1000000);
    EXPECT_EQ(elf.entry, kPieSlide + 0x10);
    EXPECT_EQ(elf.virtual_span().start, kPieSlide);
    EXPECT_EQ(elf.physical_span().start, 0x1000000u);
    EXPECT_EQ(elf.physical_span().end, 0x1006000u);
}

TEST(PiePayload, IsTakenWithTheHandoffsNoteAlone) {
    std::vector<uint8_t> file = elf32_file(false);
    file[16] = 3;
    EXPECT_EQ(refusal_of_file(file), refused(Refusal::elf_header, {3, 2}, "e_type"));
}

TEST(PiePayload, WithoutADynamicSectionHasNoRelocation) {
    std::vector<uint8_t> file = with(kDynamic, uint32_t{0});
    const std::vector<uint8_t> before = file;
    relocate_file(file.data(), read(file), kPieSlide);
    EXPECT_EQ(file, before);
}

TEST(PiePayload, WhatIsNotServedIsRefusedByName) {
    const auto of_type = [](uint32_t type) {
        const auto refused = refusal_of_file(with(kPieRela + 8, type));
        return refused ? refused->what : "";
    };
    EXPECT_EQ(of_type(5), "R_X86_64_COPY is not served");
    EXPECT_EQ(of_type(7), "R_X86_64_JUMP_SLOT is not served");
    EXPECT_EQ(of_type(16), "R_X86_64_DTPMOD64 is not served");
    EXPECT_EQ(of_type(17), "R_X86_64_DTPOFF64 is not served");
    EXPECT_EQ(of_type(18), "R_X86_64_TPOFF64 is not served");
    EXPECT_EQ(of_type(36), "R_X86_64_TLSDESC is not served");
    EXPECT_EQ(of_type(37), "R_X86_64_IRELATIVE is not served");
    EXPECT_EQ(of_type(10), "its type is not served");
    EXPECT_EQ(refusal_of_file(with(kPieRela + 8, uint32_t{10})),
              refused(Refusal::elf_relocation, {10, kPieData}, "its type is not served"));
}

TEST(PiePayload, EachLieOfTheDynamicSectionIsRefused) {
    const auto lie = [](uint64_t a, uint64_t b, const char* what) {
        return refused(Refusal::elf_relocation, {a, b}, what);
    };
    const auto value = [](unsigned entry, uint64_t is) {
        return refusal_of_file(with(kPieDynamic + 16 * entry + 8, is));
    };
    const auto tag = [](unsigned entry, uint64_t is) {
        return refusal_of_file(with(kPieDynamic + 16 * entry, is));
    };
    EXPECT_EQ(value(0, 0x1000), lie(0x1000, 24, kTable)) << "DT_RELA behind the text";
    EXPECT_EQ(value(0, ~uint64_t{7}), lie(~uint64_t{7}, 24, kTable));
    EXPECT_EQ(value(1, ~uint64_t{0})->what, kPlace) << "DT_RELASZ: what is there is a table, too";
    EXPECT_EQ(value(2, 16), lie(16, 24, "DT_RELAENT is another"));
    EXPECT_EQ(value(3, 0x10000),
              lie(0x10018, 24, "its symbol is in no segment's bytes in the file"));
    EXPECT_EQ(value(4, 16), lie(16, 24, "DT_SYMENT is another"));
    EXPECT_EQ(value(5, 0x1000), lie(0x1000, 8, kTable)) << "DT_RELR";
    EXPECT_EQ(value(7, 4), lie(4, 8, "DT_RELRENT is another"));
    EXPECT_EQ(tag(6, 1), lie(16, 0, "a library is needed"));
    EXPECT_EQ(tag(6, 17), lie(16, 0, "DT_REL is not served"));
    EXPECT_EQ(refusal_of_file(with(kDynamic + 8, ~uint64_t{0}))->what, "the dynamic section");
}

TEST(PiePayload, EachLieOfATableIsRefused) {
    const auto lie = [](uint64_t a, uint64_t b, const char* what) {
        return refused(Refusal::elf_relocation, {a, b}, what);
    };
    EXPECT_EQ(refusal_of_file(with(kPieRela, kPieData + 0x200)), lie(kPieData + 0x200, 8, kPlace))
        << ".bss";
    EXPECT_EQ(refusal_of_file(with(kPieRela, kPieData + 0x1f9)), lie(kPieData + 0x1f9, 8, kPlace))
        << "into .bss";
    EXPECT_EQ(refusal_of_file(with(kPieRela, ~uint64_t{3})), lie(~uint64_t{3}, 8, kPlace));
    EXPECT_EQ(refusal_of_file(with(kPieSymbols + 24 + 6, uint16_t{0})),
              lie(1, kPieData + 8, "the image does not define its symbol"));
    EXPECT_EQ(refusal_of_file(with(kPieRela + 24 + 12, ~uint32_t{0}))->what,
              "its symbol is in no segment's bytes in the file");
    EXPECT_EQ(refusal_of_file(with(kPieRelr, uint64_t{0x1000})), lie(0x1000, 8, kPlace));
}

TEST(PiePayload, SegmentsThatShareBytesOfTheFileAreRefused) {
    EXPECT_EQ(refusal_of_file(with(kData + 8, uint64_t{0x1600})),
              refused(Refusal::elf_segment, {1, 0}, "shares bytes of the file with this one"));
}

TEST(PiePayload, OfMoreAlignmentThanItSlidesByIsRefused) {
    EXPECT_EQ(refusal_of_file(with(kData + 48, uint64_t{0x400000})),
              refused(Refusal::elf_segment, {1, 0x400000, 0x200000},
                      "wants more than 2 MiB of alignment"));
}

TEST(PiePayload, IsRefusedWhereverItIsCutOff) {
    const std::vector<uint8_t> file = pie_file();
    for (size_t bytes = 0; bytes != file.size(); ++bytes)
        ASSERT_TRUE(refusal_of_file({file.begin(), file.begin() + static_cast<ptrdiff_t>(bytes)}))
            << bytes;
}

// --- The same as in memory, of any tables -----------------------------------------------------

// Memory by virtual address, as a loader would have it that relocates what it has loaded.
using Memory = std::map<uint64_t, uint8_t>;

Memory loaded(const std::vector<uint8_t>& file, const ElfPayload& elf) {
    Memory memory;
    for (const PayloadSegment& segment : elf)
        for (uint64_t i = 0; i != segment.file_bytes; ++i)
            memory[segment.virt + i] = file[segment.file_offset + i];
    return memory;
}

uint64_t read(const Memory& memory, uint64_t at) {
    uint64_t value = 0;
    for (unsigned i = 0; i != 8; ++i)
        value |= uint64_t{memory.at(at + i)} << 8 * i;
    return value;
}

void write(Memory& memory, uint64_t at, uint64_t value) {
    for (unsigned i = 0; i != 8; ++i)
        memory.at(at + i) = static_cast<uint8_t>(value >> 8 * i);
}

TEST(PiePayload, ItsFileIsRelocatedAsMemoryWouldBe) {
    Dice dice(16);
    for (unsigned round = 0; round != 200; ++round) {
        std::vector<uint8_t> file = pie_file();
        const auto put = [&](size_t at, uint64_t value) {
            std::memcpy(file.data() + at, &value, sizeof value);
        };
        // Places in the first 0x100 bytes of data, RELA's apart from RELR's.
        const uint64_t rela_at = kPieData + 8 * dice.below(8);
        const uint64_t relr_at = kPieData + 0x48, bits = dice.any() << 1 | 1;
        const uint64_t addend = dice.any(), kept = bits & 0xfffff;
        put(kPieRela, rela_at);
        put(kPieRela + 16, addend);
        put(kPieRela + 24 + 8, 0); // the others: NONE
        put(kPieRela + 48 + 8, 0);
        put(kPieRelr, relr_at);
        put(kPieRelr + 8, kept);
        for (unsigned i = 0; i != 32; ++i)
            put(kPieDataAt + 8 * i, dice.any());
        const ElfPayload elf = read(file);
        Memory memory = loaded(file, elf);
        write(memory, rela_at, addend + kPieSlide);
        write(memory, relr_at, read(memory, relr_at) + kPieSlide);
        for (unsigned bit = 1; bit != 20; ++bit)
            if ((kept >> bit & 1) != 0)
                write(memory, relr_at + 8 * bit, read(memory, relr_at + 8 * bit) + kPieSlide);
        relocate_file(file.data(), elf, kPieSlide);
        ASSERT_EQ(loaded(file, elf), memory) << round;
    }
}

} // namespace
} // namespace prologue::test
