// Linux: what is read out of boot_params, and how each lie in them is named.

#include "entry_state.h"
#include "linux_parsing.h"

namespace prologue::test {
namespace {

TEST_F(Linux, IsReadWhole) {
    const Stated stated = {
        .modules = {{0x1000000, 0x12345, std::nullopt}},
        .cmdline = "console=ttyS0 /not/a/path quiet",
        .rsdp = 0xf5a40,
        .framebuffer = kTrueColour,
    };
    put(stated);
    parse();
    EXPECT_EQ(loader.loader, uint32_t{PROLOGUE_LOADER_LINUX});
    EXPECT_FALSE(loader.efi);
    EXPECT_EQ(ranges_of(loader.memory), stated.memory);
    EXPECT_EQ(loader.memory.most_entries(), stated.memory.size());
    EXPECT_EQ(loader.more_memory.bytes, 0u);
    EXPECT_EQ(str(loader.cmdline), stated.cmdline);
    EXPECT_EQ(loader.module_count, 1u);
    EXPECT_EQ(modules(), stated.modules);
    EXPECT_EQ(loader.rsdp_phys, stated.rsdp);
    EXPECT_TRUE(same(loader.framebuffer, kTrueColour));
    EXPECT_EQ(pages_occupied(loader), pages_on({{info, info + kBytes},
                                                text_span(at::kCmdline, stated.cmdline),
                                                {stated.rsdp, stated.rsdp + 36}}));
}

TEST_F(Linux, WithNothingButAMapIsEnough) {
    put({});
    parse();
    EXPECT_EQ(loader.cmdline.start, nullptr);
    EXPECT_EQ(loader.module_count, 0u);
    EXPECT_EQ(modules(), std::vector<StatedModule>());
    EXPECT_EQ(loader.rsdp_phys, 0u);
    EXPECT_TRUE(same(loader.framebuffer, {}));
}

TEST_F(Linux, RamdiskAndFramebufferMayLieAbove4GiB) {
    prologue_framebuffer high = kTrueColour;
    high.phys = 0x12'fd000000;
    put({.modules = {{0x7'00001000, 0x1'00000003, std::nullopt}}, .framebuffer = high});
    parse();
    EXPECT_EQ(modules(), (std::vector<StatedModule>{{0x7'00001000, 0x1'00000003, ""}}));
    EXPECT_EQ(loader.framebuffer.phys, high.phys);
}

TEST_F(Linux, ACommandLineAbove4GiBIsLookedForThere) {
    put({.cmdline = "x"});
    poke<uint32_t>(kCmdlineHigh, 5);
    const auto failed = parse_fails();
    ASSERT_TRUE(failed);
    EXPECT_EQ(failed->error, Error::out_of_reach);
    EXPECT_EQ(failed->what, "linux command line");
}

// Firecracker, Cloud Hypervisor, crosvm and libkrun enter an ELF file by the 64-bit protocol:
// there is no setup header to copy, so no version and no length.
TEST_F(Linux, WithoutAVersionWhatIsThereIsMeant) {
    const Stated stated = {.modules = {{0x7'00001000, 0x1'00000003, std::nullopt}},
                           .cmdline = "reboot=k panic=1",
                           .rsdp = 0xf5a40};
    for (const uint8_t header_rest : {0x00, 0x6a}) {
        put(stated);
        poke<uint16_t>(kVersion, 0);
        poke<uint8_t>(kHeaderRest, header_rest);
        put_data(kData, 0, 9, 0x20);
        poke<uint64_t>(kSetupData, kData);
        parse();
        EXPECT_EQ(ranges_of(loader.memory), stated.memory);
        EXPECT_EQ(str(loader.cmdline), stated.cmdline);
        EXPECT_EQ(modules(), stated.modules);
        EXPECT_EQ(loader.rsdp_phys, stated.rsdp);
        EXPECT_EQ(pages_occupied(loader).count(kData / kPage), 1u) << "setup_data";
        poke<uint32_t>(kSubarch, 1);
        EXPECT_EQ(parse_fails(), refused("lguest", 1, 0));
    }
}

TEST_F(Linux, WithoutAVersionAndNotClearedOnlyWhatIsOldIsMeant) {
    put({.modules = {{0x1000000, 0x5000, std::nullopt}}, .cmdline = "a", .rsdp = 0xf5a40});
    poke<uint16_t>(kVersion, 0);
    poke<uint8_t>(kHeaderRest, 0);
    poke<uint8_t>(kSentinel, 0xff);
    poke<uint32_t>(kRamdiskHigh, 0xcccccccc);
    poke<uint32_t>(kSubarch, 0xcccccccc);
    poke<uint64_t>(kSetupData, 0xcccccccccccccccc);
    parse();
    EXPECT_EQ(modules(), (std::vector<StatedModule>{{0x1000000, 0x5000, ""}}));
    EXPECT_EQ(str(loader.cmdline), "a");
    EXPECT_EQ(loader.rsdp_phys, 0u);
}

// kexec's loaders of ELF files have a version and no length.
TEST_F(Linux, WithoutALengthTheVersionCounts) {
    put({.cmdline = "a", .rsdp = 0xf5a40});
    poke<uint8_t>(kHeaderRest, 0);
    poke<uint32_t>(kSubarch, 1);
    poke<uint16_t>(kVersion, 0x206);
    parse();
    EXPECT_EQ(str(loader.cmdline), "a");
    EXPECT_EQ(loader.rsdp_phys, 0u);
    poke<uint16_t>(kVersion, 0x207);
    EXPECT_EQ(parse_fails(), refused("lguest", 1, 0));
}

TEST_F(Linux, EfiFirmwareIsTold) {
    put({});
    poke<uint32_t>(kEfiSignature, 0x34364c45); // EL64
    parse();
    EXPECT_TRUE(loader.efi);
    poke<uint32_t>(kEfiSignature, 0x32334c45); // EL32
    parse();
    EXPECT_TRUE(loader.efi);
}

// --- What a version or a length does not admit ----------------------------------------------

TEST_F(Linux, FieldsNewerThanTheVersionAreAbsent) {
    put({.modules = {{0x3'01000000, 0x5000, std::nullopt}}, .cmdline = "a", .rsdp = 0xf5a40});
    poke<uint32_t>(kSubarch, 1);
    poke<uint64_t>(kSetupData, ~uint64_t{0});

    poke<uint16_t>(kVersion, 0x206); // no subarch, no setup_data, no high parts, no RSDP
    parse();
    EXPECT_EQ(modules(), (std::vector<StatedModule>{{0x1000000, 0x5000, ""}}));
    EXPECT_EQ(str(loader.cmdline), "a");
    EXPECT_EQ(loader.rsdp_phys, 0u);

    poke<uint32_t>(kSubarch, 0);
    poke<uint16_t>(kVersion, 0x208);
    parse();
    poke<uint16_t>(kVersion, 0x209);
    EXPECT_TRUE(parse_fails()) << "setup_data counts from 2.09 on";

    poke<uint64_t>(kSetupData, 0);
    poke<uint16_t>(kVersion, 0x20b);
    parse();
    EXPECT_EQ(modules(), (std::vector<StatedModule>{{0x1000000, 0x5000, ""}}));
    poke<uint16_t>(kVersion, 0x20d);
    parse();
    EXPECT_EQ(modules(), (std::vector<StatedModule>{{0x3'01000000, 0x5000, ""}}));
    EXPECT_EQ(loader.rsdp_phys, 0u);
    poke<uint16_t>(kVersion, 0x20e);
    parse();
    EXPECT_EQ(loader.rsdp_phys, 0xf5a40u);
}

TEST_F(Linux, FieldsPastTheHeadersEndAreAbsent) {
    put({});
    poke<uint32_t>(kSubarch, 1);
    poke<uint64_t>(kSetupData, ~uint64_t{0});
    poke<uint8_t>(kHeaderRest, kSubarch + 3 - 0x202);
    parse();
    poke<uint8_t>(kHeaderRest, kSubarch + 4 - 0x202);
    EXPECT_EQ(parse_fails(), refused("lguest", 1, 0));
    poke<uint32_t>(kSubarch, 0);
    poke<uint8_t>(kHeaderRest, kSetupData + 7 - 0x202);
    parse();
    poke<uint8_t>(kHeaderRest, kSetupData + 8 - 0x202);
    EXPECT_TRUE(parse_fails());
    poke<uint8_t>(kHeaderRest, kCmdline + 3 - 0x202);
    EXPECT_EQ(parse_fails(), refused("a protocol older than 2.02", info, 0x20f));
}

TEST_F(Linux, WhatALoaderDidNotClearIsNotBelieved) {
    put({.modules = {{0x1000000, 0x5000, std::nullopt}}, .cmdline = "a", .rsdp = 0xf5a40});
    poke<uint32_t>(kRamdiskHigh, 0xcccccccc);
    poke<uint32_t>(kRamdiskBytesHigh, 0xcccccccc);
    poke<uint32_t>(kCmdlineHigh, 0xcccccccc);
    poke<uint8_t>(kSentinel, 0xff);
    parse();
    EXPECT_EQ(modules(), (std::vector<StatedModule>{{0x1000000, 0x5000, ""}}));
    EXPECT_EQ(str(loader.cmdline), "a");
    EXPECT_EQ(loader.rsdp_phys, 0u);
}

TEST_F(Linux, AnOldProtocolIsNamed) {
    put({});
    poke<uint16_t>(kVersion, 0x201);
    EXPECT_EQ(parse_fails(), refused("a protocol older than 2.02", info, 0x201));
}

TEST_F(Linux, PlatformsThatAreNotServedAreNamed) {
    put({});
    const char* const names[] = {"lguest", "Xen", "Intel MID", "CE4100",
                                 "an unknown hardware_subarch"};
    for (uint32_t i = 0; i != 5; ++i) {
        poke<uint32_t>(kSubarch, i + 1);
        EXPECT_EQ(parse_fails(), refused(names[i], i + 1, 0));
    }
    poke<uint32_t>(kSubarch, 0xffffffff);
    EXPECT_EQ(parse_fails(), refused(names[4], 0xffffffff, 0));
}

TEST_F(Linux, AMissingMagicIsNamed) {
    put({});
    poke<uint32_t>(kMagic, 0x12345678);
    EXPECT_EQ(parse_fails(), refused("no HdrS in boot_params", info, 0x12345678));
}

TEST_F(Linux, BootParamsBeyondMemoryCannotBeReached) {
    put({});
    info = memory.end() - kBytes + 1;
    EXPECT_EQ(parse_fails(), failure(Error::out_of_reach, {kBytes, info}, "linux boot_params"));
}

TEST_F(Linux, ARamdiskBeyondAllMemoryIsNamed) {
    put({.modules = {{~uint64_t{0}, 1, std::nullopt}}});
    EXPECT_EQ(parse_fails(), failure(Error::module_too_high, {~uint64_t{0}, 1}, "linux"));
}

TEST_F(Linux, AnRsdpBeyondAllMemoryOccupiesNothing) {
    put({.rsdp = ~uint64_t{0}});
    parse();
    EXPECT_EQ(pages_occupied(loader), pages_on({{info, info + kBytes}}));
}

TEST_F(Linux, NoRangeAndTooManyAreNamed) {
    put({});
    poke<uint8_t>(kMapEntries, 0);
    EXPECT_EQ(parse_fails(), refused("the e820's entries are none, or too many", info, 0));
    poke<uint8_t>(kMapEntries, 129);
    EXPECT_EQ(parse_fails(), refused("the e820's entries are none, or too many", info, 129));
    poke<uint8_t>(kMapEntries, 128);
    EXPECT_EQ(parse_fails(), std::nullopt);
}

// --- Without a magic in EAX -----------------------------------------------------------------

TEST_F(Linux, IsRecognisedByBootParamsInRsi) {
    put({});
    EntryState state = {.si = info};
    uint64_t known_at = 0;
    EXPECT_EQ(prologue_recognise_linux(memory.seen, state, known_at), uint32_t{0x53726448});
    EXPECT_EQ(known_at, info);
    poke<uint32_t>(kMagic, 0);
    EXPECT_EQ(prologue_recognise_linux(memory.seen, state, known_at), 0u);
    for (const uint64_t nowhere : {kMemory - kBytes + 1, ~uint64_t{0}, uint64_t{1} << 40}) {
        state.si = nowhere;
        EXPECT_EQ(prologue_recognise_linux(memory.seen, state, known_at), 0u);
    }
}

} // namespace
} // namespace prologue::test
