// A Linux bzImage as payload: its header, each lie in it, and the boot_params it gets.

#include "payload/linux_image.h"

#include "dice.h"
#include "payload_files.h"
#include "refusing.h"

#include <gtest/gtest.h>

#include <array>

namespace prologue::test {
namespace {

std::optional<Refused> refusal_of_file(const std::vector<uint8_t>& file) {
    return refusal_of([&] { read_linux(file.data(), file.size()); });
}

template <class T>
std::vector<uint8_t> with(size_t at, T value) {
    std::vector<uint8_t> file = linux_file();
    std::memcpy(file.data() + at, &value, sizeof value);
    return file;
}

TEST(LinuxPayload, IsRead) {
    const std::vector<uint8_t> file = linux_file();
    EXPECT_TRUE(is_linux(file.data(), file.size()));
    const LinuxImage image = read_linux(file.data(), file.size());
    EXPECT_EQ(image.kernel_offset, 1024u);
    EXPECT_EQ(image.kernel_bytes, 0x800u);
    EXPECT_EQ(image.preferred, 0x1000000u);
    EXPECT_EQ(image.alignment, 0x200000u);
    EXPECT_EQ(image.init_bytes, 0x3000000u);
    EXPECT_EQ(image.most_cmdline, 2047u);
    EXPECT_TRUE(image.is_relocatable);
    EXPECT_EQ(image.initrd_limit, kMostPhysical);
    EXPECT_EQ(image.contract, Contract::linux64);
    EXPECT_EQ(image.entry, 0x200u);
}

TEST(LinuxPayload, EachFieldIsChecked) {
    const auto what = [](const std::vector<uint8_t>& file) {
        const auto refused = refusal_of_file(file);
        return refused ? refused->what : "";
    };
    EXPECT_EQ(what(with(0x1fe, uint16_t{0})), "its boot_flag is not aa55");
    EXPECT_EQ(what(with(0x206, uint16_t{0x209})), "its protocol is older than 2.10");
    EXPECT_EQ(what(with(0x211, uint8_t{0})), "it wants to be loaded low");
    EXPECT_EQ(what(with(0x230, uint32_t{0})),
              "its kernel_alignment is no power of two from a page on");
    EXPECT_EQ(what(with(0x230, uint32_t{0x3000})),
              "its kernel_alignment is no power of two from a page on");
    EXPECT_EQ(what(with(0x258, uint64_t{0x1000001})), "its pref_address is no page's");
    EXPECT_EQ(what(with(0x258, uint64_t{1} << 52)), "its pref_address is no page's");
    EXPECT_EQ(what(with(0x1f4, uint32_t{0x20})), "its syssize and init_size do not fit");
    EXPECT_EQ(what(with(0x260, uint32_t{0x7ff})), "its syssize and init_size do not fit");
    EXPECT_EQ(refusal_of_file(with(0x1f1, uint8_t{2})),
              refused(Refusal::linux_cut, {0xe00, 0xc00}, "the kernel"));
    EXPECT_EQ(refusal_of_file(with(0x1f1, uint8_t{0})),
              refused(Refusal::linux_cut, {0x1200, 0xc00}, "the kernel"))
        << "0 is 4 sectors";
    EXPECT_EQ(refusal_of_file(with(0x1f4, ~uint32_t{0})),
              refused(Refusal::linux_cut, {0x400 + 0xffffffff0, 0xc00}, "the kernel"));
}

TEST(LinuxPayload, WithoutA64BitEntryIsEnteredIn32BitMode) {
    const std::vector<std::vector<uint8_t>> files = {with(0x236, uint16_t{2}),
                                                     with(0x206, uint16_t{0x20b})};
    for (const auto& file : files) {
        const LinuxImage image = read_linux(file.data(), file.size());
        EXPECT_EQ(image.contract, Contract::linux32);
        EXPECT_EQ(image.entry, 0u);
        EXPECT_EQ(image.initrd_limit, 0x80000000u);
        EXPECT_EQ(
            refusal_of([&] { read_linux(file.data(), file.size(), Contract::linux64); })->what,
            "it has no 64-bit entry");
    }
    std::vector<uint8_t> high = with(0x258, 4 * kGiB - 0x2fff000);
    EXPECT_FALSE(refusal_of([&] { read_linux(high.data(), high.size()); }));
    high[0x236] = 0;
    EXPECT_EQ(refusal_of_file(high)->what, "its pref_address is no page's");
}

TEST(LinuxPayload, IsRefusedWhereverItIsCutOff) {
    const std::vector<uint8_t> file = linux_file();
    for (size_t bytes = 0; bytes + 15 != file.size(); ++bytes) {
        const std::vector<uint8_t> cut(file.begin(), file.begin() + static_cast<ptrdiff_t>(bytes));
        EXPECT_EQ(is_linux(cut.data(), cut.size()), bytes >= 0x206) << bytes;
        const auto refused = refusal_of_file(cut);
        ASSERT_TRUE(refused) << bytes;
        EXPECT_EQ(refused->refusal, Refusal::linux_cut) << bytes;
    }
}

TEST(LinuxPayload, NeedNotHaveItsLastParagraphWhole) {
    std::vector<uint8_t> file = linux_file();
    for (unsigned missing = 1; missing != 16; ++missing) {
        file.pop_back();
        EXPECT_EQ(read_linux(file.data(), file.size()).kernel_bytes, 0x800 - missing);
    }
    file.pop_back();
    EXPECT_TRUE(refusal_of_file(file));
}

TEST(LinuxPayload, WhatIsReadOfAnyBytesHolds) {
    Dice dice(65);
    unsigned good = 0;
    for (unsigned round = 0; round != 20000; ++round) {
        std::vector<uint8_t> file = linux_file();
        file[0x1f1 + dice.below(0x80)] = static_cast<uint8_t>(dice.any());
        good += !refusal_of([&] { expect_sound_linux(file.data(), file.size()); });
    }
    EXPECT_GT(good, 1000u);
}

// --- boot_params ----------------------------------------------------------------------------

struct BootParamsMade : testing::Test {
    std::vector<uint8_t> file = linux_file();
    std::vector<prologue_range> memory = {{0x1000, 0x9f000, PROLOGUE_MEMORY_USABLE, 0},
                                          {0xf0000, 0x100000, PROLOGUE_MEMORY_RESERVED, 0}};
    prologue_handoff handoff = {};
    std::vector<uint8_t> more = std::vector<uint8_t>(0x10000);
    alignas(8) BootParams params = {};
    Confidential confidential = {};

    void make(Span initrd = {}) {
        params = {};
        fill_boot_params(params, file.data(), handoff,
                         {memory.data(), memory.size(), 0x1234567890, initrd,
                          reinterpret_cast<SetupData*>(more.data()), 0x7000, confidential});
    }
    using Entry = std::array<uint64_t, 3>; // start, bytes, type
    std::vector<Entry> entries() const {
        std::vector<Entry> all;
        for (unsigned i = 0; i != params.e820_count; ++i) {
            const RawRange& entry = params.e820[i];
            all.push_back({entry.start, entry.bytes, entry.e820_type});
        }
        return all;
    }
};

TEST_F(BootParamsMade, HaveTheFilesHeaderAndWhatALoaderFillsIn) {
    handoff.rsdp_phys = 0xf59d0;
    make({0x123456000, 0x323456789});
    const auto* const bytes = reinterpret_cast<const uint8_t*>(&params);
    for (const size_t at : {0x1f1, 0x1fe, 0x1ff, 0x202, 0x206, 0x236, 0x26b})
        EXPECT_EQ(bytes[at], file[at]) << at;
    EXPECT_EQ(bytes[0x26c], 0) << "the header ends there";
    EXPECT_EQ(bytes[0x210], 0xff) << "type_of_loader";
    EXPECT_EQ(params.cmdline, 0x34567890u);
    EXPECT_EQ(params.cmdline_high, 0x12u);
    EXPECT_EQ(params.ramdisk_start, 0x23456000u);
    EXPECT_EQ(params.ramdisk_start_high, 1u);
    EXPECT_EQ(params.ramdisk_bytes, 0x789u);
    EXPECT_EQ(params.ramdisk_bytes_high, 2u);
    EXPECT_EQ(params.rsdp, 0xf59d0u);
    EXPECT_EQ(params.setup_data, 0u);
    EXPECT_EQ(params.screen.kind, 0);
}

TEST_F(BootParamsMade, AHeaderIsNoLongerThanItsPlace) {
    file[0x201] = 0xff;
    make();
    EXPECT_EQ(reinterpret_cast<const uint8_t*>(&params)[0x28f], file[0x28f]);
    EXPECT_EQ(reinterpret_cast<const uint8_t*>(&params)[0x290], 0);
}

TEST_F(BootParamsMade, RamIsOneEntryWhoeverHasIt) {
    memory = {{0x1000, 0x2000, PROLOGUE_MEMORY_LOADER, 0},
              {0x2000, 0x9f000, PROLOGUE_MEMORY_USABLE, 0},
              {0x100000, 0x200000, PROLOGUE_MEMORY_KERNEL, 0},
              {0x200000, 0x300000, PROLOGUE_MEMORY_MODULE, 0},
              {0x300000, 0x400000, PROLOGUE_MEMORY_PROLOGUE, 0},
              {0x400000, 0x500000, PROLOGUE_MEMORY_ACPI, 0},
              {0x500000, 0x600000, PROLOGUE_MEMORY_NVS, 0},
              {0x600000, 0x700000, PROLOGUE_MEMORY_RESERVED, 0},
              {0x700000, 0x800000, PROLOGUE_MEMORY_BAD, 0},
              {0x800000, 0x900000, PROLOGUE_MEMORY_SOFT_RESERVED, 0}};
    make();
    EXPECT_EQ(entries(), (std::vector<Entry>{{0x1000, 0x9e000, 1},
                                             {0x100000, 0x300000, 1},
                                             {0x400000, 0x100000, 3},
                                             {0x500000, 0x100000, 4},
                                             {0x600000, 0x100000, 2},
                                             {0x700000, 0x100000, 5},
                                             {0x800000, 0x100000, 0xefffffff}}));
}

TEST_F(BootParamsMade, MoreThan128EntriesGoOnInSetupData) {
    memory.clear();
    for (uint64_t i = 0; i != 131; ++i)
        memory.push_back({i * 0x2000, i * 0x2000 + 0x1000, PROLOGUE_MEMORY_USABLE, 0});
    make();
    EXPECT_EQ(params.e820_count, 128);
    EXPECT_EQ(params.setup_data, 0x7000u);
    const auto* const data = reinterpret_cast<const SetupData*>(more.data());
    EXPECT_EQ(data->next, 0u);
    EXPECT_EQ(data->type, 1u);
    EXPECT_EQ(data->bytes, 3 * sizeof(RawRange));
    EXPECT_EQ(reinterpret_cast<const RawRange*>(data + 1)[2].start, 130u * 0x2000);
    memory.resize(128);
    make();
    EXPECT_EQ(params.setup_data, 0u);
}

TEST_F(BootParamsMade, AnSnpGuestsPagesAreBehindAPieceOfSetupData) {
    ConfidentialBlob blob = {};
    ConfidentialComputingPiece piece = {};
    confidential = {0x3000, 0x4000, &blob, 0x5000, &piece, 0x6000};
    make();
    EXPECT_EQ(params.setup_data, 0x6000u);
    EXPECT_EQ(params.cc_blob, 0u) << "which the kernel sets itself";
    EXPECT_EQ(piece.data.next, 0u);
    EXPECT_EQ(piece.data.type, 7u);
    EXPECT_EQ(piece.data.bytes, 4u);
    EXPECT_EQ(+piece.blob_phys, 0x5000u);
    EXPECT_EQ(std::memcmp(&blob, "AMDE\0\0\0", 8), 0);
    EXPECT_EQ(+blob.secrets, 0x4000u);
    EXPECT_EQ(+blob.secrets_bytes, 0x1000u);
    EXPECT_EQ(+blob.cpuid, 0x3000u);
    EXPECT_EQ(+blob.cpuid_bytes, 0x1000u);
    for (uint64_t i = 0; i != 129; ++i)
        memory.push_back({0x200000 + i * 0x2000, 0x201000 + i * 0x2000, PROLOGUE_MEMORY_USABLE, 0});
    make();
    EXPECT_EQ(piece.data.next, 0x7000u) << "more of the memory map";
}

TEST_F(BootParamsMade, AFramebufferIsShownInVesasWay) {
    handoff.framebuffer = {0x1fd000000, 4096, 1024, 768, 32, 1, 16, 8, 8, 8, 0, 8};
    make();
    const ScreenInfo& screen = params.screen;
    EXPECT_EQ(screen.kind, 0x23);
    EXPECT_EQ(screen.width, 1024);
    EXPECT_EQ(screen.height, 768);
    EXPECT_EQ(screen.depth, 32);
    EXPECT_EQ(screen.pitch, 4096);
    EXPECT_EQ(+screen.base, 0xfd000000u);
    EXPECT_EQ(+screen.base_high, 1u);
    EXPECT_EQ(+screen.capabilities, 2u);
    EXPECT_EQ(+screen.size, 48u) << "in units of 64 KiB";
    const uint8_t colours[] = {8, 16, 8, 8, 8, 0, 0, 0};
    EXPECT_EQ(std::memcmp(screen.colours, colours, 8), 0);
    handoff.framebuffer.kind = 2; // text
    make();
    EXPECT_EQ(params.screen.kind, 0);
}

} // namespace
} // namespace prologue::test
