// The public headers mean the same in C11, in C++20 and in assembly.

#include "handoff_facts.h"

#include "bits.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace prologue::test {
namespace {

const handoff_fact kFactsInCxx[] = {HANDOFF_FIELDS(HANDOFF_FACT)};

TEST(Handoff, HasTheSameLayoutInCAndCxx) {
    ASSERT_EQ(handoff_facts_in_c_count, std::size(kFactsInCxx));
    for (size_t i = 0; i != std::size(kFactsInCxx); ++i) {
        const handoff_fact &c = handoff_facts_in_c[i], &cxx = kFactsInCxx[i];
        EXPECT_STREQ(c.name, cxx.name);
        EXPECT_EQ(c.offset, cxx.offset) << c.name;
        EXPECT_EQ(c.field_bytes, cxx.field_bytes) << c.name;
        EXPECT_EQ(c.structure_bytes, cxx.structure_bytes) << c.name;
    }
}

// A hole would be bytes that nobody writes, or a field that the list forgets.
TEST(Handoff, HasNoHoleBetweenItsFields) {
    std::map<std::string, size_t> named, bytes;
    for (const handoff_fact& fact : kFactsInCxx) {
        const std::string name = fact.name;
        const std::string structure = name.substr(0, name.find('.'));
        EXPECT_EQ(fact.offset, named[structure]) << name << " does not follow the field before it";
        named[structure] += fact.field_bytes;
        bytes[structure] = fact.structure_bytes;
    }
    for (auto& [structure, end] : named)
        end = (end + 7) & ~size_t{7}; // a multiple of the alignment
    EXPECT_EQ(named, bytes);
}

// A kernel built against version 1 stays right for ever: no field ever moves.
TEST(Handoff, Version1IsWhereItWas) {
    EXPECT_EQ(offsetof(prologue_handoff, magic), 0u);
    EXPECT_EQ(offsetof(prologue_handoff, size), 12u);
    EXPECT_EQ(offsetof(prologue_handoff, memory_count), 104u);
    EXPECT_EQ(offsetof(prologue_handoff, module_count), 136u);
    EXPECT_EQ(offsetof(prologue_handoff, spare_end), 200u);
    EXPECT_EQ(offsetof(prologue_handoff, stack_top), 216u);
    EXPECT_EQ(offsetof(prologue_handoff, sev), 232u);
}

TEST(Handoff, Version2BeginsWhereVersion1Ended) {
    EXPECT_EQ(offsetof(prologue_handoff, boot), 288u);
    EXPECT_EQ(offsetof(prologue_handoff, efi), 352u);
}

TEST(Handoff, Version3BeginsWhereVersion2Ended) {
    EXPECT_EQ(PROLOGUE_HANDOFF_VERSION, 3);
    EXPECT_EQ(offsetof(prologue_handoff, smbios_phys), 400u);
    EXPECT_EQ(offsetof(prologue_handoff, left_out), 408u);
    EXPECT_EQ(sizeof(prologue_handoff), 416u);
}

TEST(Handoff, MagicSpellsTheName) {
    const uint64_t magic = PROLOGUE_HANDOFF_MAGIC;
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(&magic), 8), "Prologue");
}

TEST(Handoff, HasTheSameConstantsInAssembly) {
    const uint64_t constants[] = {
        PROLOGUE_HANDOFF_MAGIC,      PROLOGUE_HANDOFF_VERSION,
        PROLOGUE_DIRECT_MAP_4_LEVEL, PROLOGUE_DIRECT_MAP_5_LEVEL,
        PROLOGUE_SELECTOR_CODE64,    PROLOGUE_SELECTOR_DATA,
        PROLOGUE_SELECTOR_TSS,       PROLOGUE_PAT,
        PROLOGUE_PAGING_BEST,        PROLOGUE_PAGING_FOUR,
        PROLOGUE_PAGING_FIVE,        PROLOGUE_EXIT_PORT,
        PROLOGUE_EXIT_SUCCESS,       PROLOGUE_EXIT_FATAL,
    };
    for (size_t i = 0; i != std::size(constants); ++i)
        EXPECT_EQ(handoff_constants_in_assembly[i], constants[i]) << i;
}

TEST(Handoff, NamesTheSelectorsThatTheEntryLoads) {
    EXPECT_EQ(PROLOGUE_SELECTOR_CODE64, SELECTOR_CODE64);
    EXPECT_EQ(PROLOGUE_SELECTOR_DATA, SELECTOR_DATA);
    EXPECT_EQ(PROLOGUE_SELECTOR_TSS, SELECTOR_TSS);
}

} // namespace
} // namespace prologue::test
