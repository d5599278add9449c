// SNP's two pages: found by each way that a loader has to tell of them, or by none; and what is
// wrong on the way is not taken for nothing.
#include "confidential.h"

#include "confidential_images.h"
#include "contract_magic.h"
#include "loader_images.h"

#include <gtest/gtest.h>

namespace prologue::test {
namespace {

using namespace confidential;

struct Confidential : testing::Test {
    FakeMemory memory{kMemory};

    Confidential() { put_blob(memory); }
    ConfidentialPages find(uint32_t magic) {
        return find_confidential_pages(memory.seen, magic, kInfo);
    }
    void expect_found(const ConfidentialPages& found) {
        EXPECT_TRUE(found.told);
        EXPECT_FALSE(found.wrong);
        EXPECT_EQ(found.blob.start, uint64_t{kBlob});
        EXPECT_EQ(found.blob.end, uint64_t{kBlob} + 40);
        EXPECT_EQ(found.cpuid.start, uint64_t{kCpuidPage});
        EXPECT_EQ(found.cpuid.end, uint64_t{kCpuidPage} + 0x1000);
        EXPECT_EQ(found.secrets.start, uint64_t{kSecretsPage});
        EXPECT_EQ(found.secrets.end, uint64_t{kSecretsPage} + 0x1000);
    }
    void expect_nothing(const ConfidentialPages& found) {
        EXPECT_FALSE(found.told);
        EXPECT_FALSE(found.wrong);
    }
};

TEST_F(Confidential, IsFoundByMultiboot2sEfiTag) {
    put_multiboot2(memory);
    put_efi(memory);
    const ConfidentialPages found = find(MULTIBOOT2_MAGIC);
    expect_found(found);
    EXPECT_EQ(found.system_table.start, uint64_t{kSystemTable});
    EXPECT_EQ(found.system_table.bytes(), 120u);
    EXPECT_EQ(found.efi_tables.start, uint64_t{kTables});
    EXPECT_EQ(found.efi_tables.bytes(), 3u * kTableBytes);
}

TEST_F(Confidential, ItsPagesMayLieAbove4GiB) { // 32-bit mode, which cannot see them, must know
    put_multiboot2(memory);
    put_efi(memory);
    memory.put<uint64_t>(kBlob + kCpuid, 5 * kGiB + kCpuidPage);
    memory.put<uint64_t>(kBlob + kSecrets, 6 * kGiB + kSecretsPage);
    const ConfidentialPages found = find(MULTIBOOT2_MAGIC);
    EXPECT_FALSE(found.wrong);
    EXPECT_EQ(found.cpuid.start, 5 * kGiB + kCpuidPage);
    EXPECT_EQ(found.cpuid.end, 5 * kGiB + kCpuidPage + 0x1000);
    EXPECT_EQ(found.secrets.start, 6 * kGiB + kSecretsPage);
    EXPECT_EQ(found.secrets.end, 6 * kGiB + kSecretsPage + 0x1000);
}

TEST_F(Confidential, IsFoundByBootParamsEfiFields) {
    put_boot_params(memory);
    put_efi(memory);
    expect_found(find(LINUX_MAGIC));
    memory.put<uint8_t>(kInfo + linux_boot::kEfiSignature + 2, '3');
    expect_nothing(find(LINUX_MAGIC));
}

TEST_F(Confidential, IsFoundBySetupData) {
    put_setup_data(memory, 5);
    expect_found(find(LINUX_MAGIC));
    memory.put<uint16_t>(kInfo + linux_boot::kVersion, 0x208);
    expect_nothing(find(LINUX_MAGIC));
    memory.put<uint16_t>(kInfo + linux_boot::kVersion, 0); // as Firecracker leaves it
    expect_found(find(LINUX_MAGIC));
    memory.put<uint8_t>(kInfo + linux_boot::kSentinel, 0xff);
    expect_nothing(find(LINUX_MAGIC));
}

TEST_F(Confidential, IsFoundDirectly) {
    put_setup_data(memory, 1);
    memory.put<uint32_t>(kInfo + kCcBlobAddress, kBlob + 0x100);
    put_blob(memory, kBlob + 0x100);
    EXPECT_EQ(find(LINUX_MAGIC).blob.start, kBlob + 0x100u);
    memory.put<uint8_t>(kInfo + linux_boot::kSentinel, 0xff); // then it is nobody's word
    expect_found(find(LINUX_MAGIC));
}

TEST_F(Confidential, SetupDataComesBeforeEfi) {
    put_setup_data(memory, 2);
    put_boot_params(memory);
    expect_found(find(LINUX_MAGIC)); // and the system table is none
}

TEST_F(Confidential, WhereNothingLeadsToItThereIsNone) {
    put_multiboot2(memory);
    put_efi(memory, 0);
    expect_nothing(find(MULTIBOOT2_MAGIC));
    expect_nothing(find(PVH_MAGIC));
    memory.put<uint32_t>(kInfo + 24, 13);
    expect_nothing(find(MULTIBOOT2_MAGIC));
}

TEST_F(Confidential, AnotherGuidIsAnotherTable) {
    for (unsigned byte = 0; byte != 16; ++byte) {
        put_multiboot2(memory);
        put_efi(memory, 1);
        *memory.at(kTables + byte) ^= 0x10;
        expect_nothing(find(MULTIBOOT2_MAGIC));
    }
}

TEST_F(Confidential, IsTheLastOfAsManyTablesAsAreBelieved) {
    constexpr uint64_t kList = 0x8000, kMost = 1024;
    FakeMemory large(0x10000);
    put_blob(large);
    put_multiboot2(large);
    put_efi(large, 1);
    large.put_bytes(kList + (kMost - 1) * kTableBytes, large.at(kTables), kTableBytes);
    large.put<uint64_t>(kSystemTable + kTableList, kList);
    large.put<uint64_t>(kSystemTable + kTableCount, kMost);
    expect_found(find_confidential_pages(large.seen, MULTIBOOT2_MAGIC, kInfo));
    large.put<uint64_t>(kSystemTable + kTableCount, kMost + 1);
    EXPECT_TRUE(find_confidential_pages(large.seen, MULTIBOOT2_MAGIC, kInfo).wrong);
}

// What is told and makes no sense must not leave CPUID to the host.
TEST_F(Confidential, ALieIsWrongAndNotNothing) {
    const auto wrong_with = [&](uint64_t at, uint64_t value, unsigned bytes) {
        put_blob(memory);
        put_multiboot2(memory);
        put_efi(memory);
        memory.put_bytes(at, &value, bytes);
        EXPECT_TRUE(find(MULTIBOOT2_MAGIC).wrong) << std::hex << at << " " << value;
    };
    wrong_with(kBlob, 0x45444d42, 4);
    wrong_with(kBlob + kCpuid, kCpuidPage + 8, 8);
    wrong_with(kBlob + kCpuid, 0, 8);
    wrong_with(kBlob + kCpuid, uint64_t{1} << 52, 8);
    wrong_with(kBlob + kCpuidBytes, 0xfff, 4);
    wrong_with(kBlob + kSecrets, kSecretsPage + 1, 8);
    wrong_with(kBlob + kSecretsBytes, 0, 4);
    wrong_with(kSystemTable, 0x5453595320494248, 8);
    wrong_with(kSystemTable + kTableCount, 1025, 8);
    wrong_with(kSystemTable + kTableList, kMemory - 8, 8);
    wrong_with(kSystemTable + kTableList, ~uint64_t{0}, 8);
    wrong_with(kTables + 2 * kTableBytes + 16, kMemory - 39, 8);
    wrong_with(kTables + 2 * kTableBytes + 16, ~uint64_t{0}, 8);
    wrong_with(kInfo + 32, kMemory - 119, 8);
}

TEST_F(Confidential, AListOfSetupDataThatLeadsNowhereIsWrong) {
    put_setup_data(memory, 2);
    memory.put<uint64_t>(kData, kMemory - 15);
    EXPECT_TRUE(find(LINUX_MAGIC).wrong);
    memory.put<uint64_t>(kData, kData); // one that does not end, has none
    expect_nothing(find(LINUX_MAGIC));
}

// A length says no more than that there is a page: of two that are long, one would reach the image.
TEST_F(Confidential, EachIsOnePageWhateverLengthIsTold) {
    put_setup_data(memory, 1);
    for (const uint32_t bytes : {0x1001u, 0x3ffff000u, 0x40000000u, 0xffffffffu}) {
        memory.put<uint32_t>(kBlob + kCpuidBytes, bytes);
        memory.put<uint32_t>(kBlob + kSecretsBytes, bytes);
        expect_found(find(LINUX_MAGIC));
    }
}

// Only a guest that talks to the firmware wants them.
TEST_F(Confidential, ThereNeedBeNoSecrets) {
    put_setup_data(memory, 1);
    memory.put<uint64_t>(kBlob + kSecrets, 0);
    memory.put<uint32_t>(kBlob + kSecretsBytes, 0);
    const ConfidentialPages found = find(LINUX_MAGIC);
    EXPECT_TRUE(found.told && !found.wrong);
    EXPECT_EQ(found.secrets.bytes(), 0u);
    EXPECT_TRUE(lie_apart(found, {{0, 0x1000}, 0, 0}));
}

TEST_F(Confidential, WhatLedThereIsKnown) {
    put_setup_data(memory, 1);
    EXPECT_EQ(find(LINUX_MAGIC).information.start, kInfo);
    EXPECT_EQ(find(LINUX_MAGIC).information.end, kInfo + 0x1000);
    put_multiboot2(memory);
    EXPECT_EQ(find(MULTIBOOT2_MAGIC).information.start, kInfo);
    EXPECT_EQ(find(MULTIBOOT2_MAGIC).information.end, kInfo + 48);
}

// An image from 1 MiB to 2 MiB, with places of its own at its end.
TEST(ConfidentialPages, EachLiesApartFromAllElse) {
    const ImageWithPages image = {{0x100000, 0x200000}, 0x1fe000, 0x1ff000};
    const auto page = [](uint64_t at) { return Span{at, at + kPage}; };
    const auto lie = [&](uint64_t cpuid, uint64_t secrets) {
        const ConfidentialPages pages = {.told = true,
                                         .blob = {0x20ff8, 0x21020},
                                         .cpuid = page(cpuid),
                                         .secrets = secrets != 0 ? page(secrets) : Span{},
                                         .information = {0x30000, 0x30001},
                                         .system_table = {0x40fff, 0x41077},
                                         .efi_tables = {0x51fe8, 0x53000}};
        return lie_apart(pages, image);
    };
    constexpr uint64_t kFree = 0xff000, kFreeBehind = 0x200000;
    EXPECT_TRUE(lie(kFree, kFreeBehind) && lie(kFreeBehind, kFree) && lie(kFree, 0));
    EXPECT_TRUE(lie(image.cpuid, image.secrets) && lie(image.cpuid, kFree));
    EXPECT_TRUE(lie(kFree, image.secrets));
    EXPECT_FALSE(lie(kFree, kFree));
    for (const uint64_t taken : {0x100000, 0x180000, 0x1fd000, 0x20000, 0x21000, 0x30000, 0x40000,
                                 0x41000, 0x51000, 0x52000}) {
        EXPECT_FALSE(lie(taken, kFree)) << std::hex << taken;
        EXPECT_FALSE(lie(kFree, taken)) << std::hex << taken;
    }
    // The CPUID page is copied to its place: the other cannot be there, nor the other way around.
    EXPECT_FALSE(lie(kFree, image.cpuid));
    EXPECT_FALSE(lie(image.secrets, kFree));
    for (const uint64_t apart : {0x1f000, 0x22000, 0x31000, 0x42000, 0x50000, 0x53000})
        EXPECT_TRUE(lie(apart, kFree) && lie(kFree, apart)) << std::hex << apart;
}

} // namespace
} // namespace prologue::test
