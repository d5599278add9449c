// The EFI stub: the firmware's tables and its screens.

#include "efi_stub.h"

namespace prologue::test {
namespace {

TEST_F(EfiStub, FindsTheNewerTables) {
    firmware.tables = {{kAcpi1Table, 0x1000},
                       {kSmbiosTable, 0x2000},
                       {kSmbios3Table, 0x3000},
                       {kAcpi2Table, 0x4000}};
    const LoaderInfo loader = started();
    EXPECT_EQ(loader.rsdp_phys, 0x4000u);
    EXPECT_EQ(loader.smbios_phys, 0x3000u);
}

TEST_F(EfiStub, FindsTheOlderTables) {
    firmware.tables = {{kAcpi1Table, 0x1000}, {kSmbiosTable, 0x2000}};
    const LoaderInfo loader = started();
    EXPECT_EQ(loader.rsdp_phys, 0x1000u);
    EXPECT_EQ(loader.smbios_phys, 0x2000u);
}

TEST_F(EfiStub, PassesTheConfidentialComputingBlobOn) {
    firmware.tables = {{kConfidentialComputingBlob, 0x12345000}};
    const auto& params = *reinterpret_cast<const BootParams*>(firmware.start().boot_params);
    EXPECT_EQ(params.cc_blob, 0x12345000u);
}

TEST_F(EfiStub, PassesTheFirmwaresRandomnessOn) {
    firmware.random = std::string(32, 'r');
    const LoaderInfo loader = started();
    EXPECT_EQ(std::string(loader.seed.start, loader.seed.bytes), *firmware.random);
}

TEST_F(EfiStub, NeedsNoRandomness) {
    EXPECT_EQ(started().seed.bytes, 0u) << "there is no generator";
}

TEST_F(EfiStub, LeavesTheRandomnessOutOfAGeneratorThatFails) {
    firmware.random = std::string(31, 'r');
    EXPECT_EQ(started().seed.bytes, 0u);
}

TEST_F(EfiStub, RefusesTooManyTables) {
    firmware.tables = {{kAcpi1Table, 0x1000}};
    firmware.table_count = ~uint64_t{0};
    expect_refusal("there are too many configuration tables: tables, at most", ~uint64_t{0}, 4096);
}

// What a table says is the kernel's to look at: the stub does not.
TEST_F(EfiStub, LeavesOutTablesWhereNoMemoryCanBe) {
    firmware.tables = {{kAcpi2Table, 0},
                       {kAcpi1Table, 0x7},
                       {kAcpi2Table, ~uint64_t{0}},
                       {kSmbios3Table, kMostPhysical},
                       {{}, 0x1000}};
    const LoaderInfo loader = started();
    EXPECT_EQ(loader.rsdp_phys, 0x7u);
    EXPECT_EQ(loader.smbios_phys, 0u);
}

TEST_F(EfiStub, TakesTheFirstOfTablesWithOneGuid) {
    firmware.tables = {{kAcpi2Table, 0x4000},
                       {kSmbiosTable, 0x2000},
                       {kAcpi2Table, 0x5000},
                       {kSmbiosTable, 0x6000}};
    const LoaderInfo loader = started();
    EXPECT_EQ(loader.rsdp_phys, 0x4000u);
    EXPECT_EQ(loader.smbios_phys, 0x2000u);
}

TEST_F(EfiStub, LeavesABlobOutThatSetupDataHasNoRoomFor) {
    firmware.tables = {{kConfidentialComputingBlob, uint64_t{1} << 32}};
    const auto& params = *reinterpret_cast<const BootParams*>(firmware.start().boot_params);
    EXPECT_EQ(params.cc_blob, 0u);
    EXPECT_EQ(reinterpret_cast<const SetupData*>(params.setup_data)->next, 0u);
}

TEST_F(EfiStub, NeedsNoTables) {
    firmware.tables = {};
    firmware.table_count = 0;
    const LoaderInfo loader = started();
    EXPECT_EQ(loader.rsdp_phys, 0u);
    EXPECT_EQ(loader.smbios_phys, 0u);
}

TEST_F(EfiStub, HasTheConsolesScreen) {
    firmware.screens = {FakeScreen{.framebuffer = 0xe0000000}};
    firmware.console = FakeScreen{.framebuffer = 0x380000000000};
    const prologue_framebuffer framebuffer = started().framebuffer;
    EXPECT_EQ(framebuffer.phys, 0x380000000000u);
    EXPECT_EQ(framebuffer.width, 800u);
    EXPECT_EQ(framebuffer.height, 600u);
    EXPECT_EQ(framebuffer.pitch, 832u * 4);
    EXPECT_EQ(framebuffer.bits_per_pixel, 32);
    EXPECT_EQ(framebuffer.red_shift, 16);
    EXPECT_EQ(framebuffer.red_bits, 8);
    EXPECT_EQ(framebuffer.blue_shift, 0);
}

TEST_F(EfiStub, HasAnotherScreenWhereTheConsoleHasNone) {
    FakeScreen masks = {.framebuffer = 0xe0000000};
    masks.info.format = kBitMask;
    masks.info.masks[0] = 0xf800;
    masks.info.masks[1] = 0x07e0;
    masks.info.masks[2] = 0x001f;
    FakeScreen blt_only;
    blt_only.info.format = kBltOnly;
    firmware.console = blt_only;
    firmware.screens = {FakeScreen{.framebuffer = 0}, FakeScreen{.has_mode = false}, masks};
    const prologue_framebuffer framebuffer = started().framebuffer;
    EXPECT_EQ(framebuffer.phys, 0xe0000000u);
    EXPECT_EQ(framebuffer.bits_per_pixel, 16);
    EXPECT_EQ(framebuffer.pitch, 832u * 2);
    EXPECT_EQ(framebuffer.green_shift, 5);
    EXPECT_EQ(framebuffer.green_bits, 6);
}

FakeScreen screen_with(void (*change)(FakeScreen&)) {
    FakeScreen screen;
    change(screen);
    return screen;
}

TEST_F(EfiStub, LeavesOutAScreenThatCannotBe) {
    firmware.screens = {
        screen_with([](FakeScreen& at) { at.info.pixels_per_line = 20000; }),
        screen_with([](FakeScreen& at) { at.info.pixels_per_line = 799; }),
        screen_with([](FakeScreen& at) { at.info.width = 0; }),
        screen_with([](FakeScreen& at) { at.info.height = 0; }),
        screen_with([](FakeScreen& at) { at.info.height = 0x10000; }),
        screen_with([](FakeScreen& at) { at.info.format = 4; }),
        screen_with([](FakeScreen& at) { at.info.format = kBltOnly; }),
        screen_with([](FakeScreen& at) { at.info.format = kBitMask; }), // by no bit at all
        screen_with([](FakeScreen& at) { at.framebuffer = 0; }),
        screen_with([](FakeScreen& at) { at.framebuffer_bytes = 832 * 4 * 600 - 1; }),
        screen_with([](FakeScreen& at) { at.has_mode = false; }),
    };
    EXPECT_EQ(started().framebuffer.phys, 0u);
}

TEST_F(EfiStub, HasAScreenOfExactlyItsSize) {
    firmware.console = screen_with([](FakeScreen& at) { at.framebuffer_bytes = 832 * 4 * 600; });
    EXPECT_EQ(started().framebuffer.phys, 0xc0000000u);
}

// 800 by 600 is shown; 1024 by 768 can be, with 16 bits, with 32, and without a frame buffer.
FakeScreen with_modes() {
    FakeScreen screen;
    GraphicsInfo mode = screen.info;
    mode.width = mode.pixels_per_line = 1024;
    mode.height = 768;
    mode.format = kBltOnly;
    screen.modes.push_back(mode);
    mode.format = kBitMask;
    mode.masks[0] = 0xf800, mode.masks[1] = 0x07e0, mode.masks[2] = 0x001f;
    screen.modes.push_back(mode);
    mode.format = kRgbx;
    screen.modes.push_back(mode);
    return screen;
}

struct WishedMode {
    uint32_t width, height, bits;
    std::vector<uint32_t> set;
    uint32_t shown_width, shown_bits;
};

TEST_F(EfiStub, SetsTheModeThatIsWishedFor) {
    for (const auto& [width, height, bits, set, shown_width, shown_bits] :
         {WishedMode{1024, 768, 32, {3}, 1024, 32}, WishedMode{1024, 768, 16, {2}, 1024, 16},
          WishedMode{1024, 768, 24, {2}, 1024, 16}, WishedMode{1024, 768, 0, {2}, 1024, 16},
          WishedMode{800, 600, 32, {}, 800, 32}, WishedMode{1280, 1024, 32, {}, 800, 32},
          WishedMode{0, 0, 0, {}, 800, 32}, WishedMode{0, 0, 16, {}, 800, 32}}) {
        FakeFirmware own;
        own.describe(7, 0x100000, 0x7f00);
        own.console = with_modes();
        own.header().flags |= STUB_FRAMEBUFFER;
        own.header().framebuffer = {width, height, bits};
        const auto& screen = reinterpret_cast<const BootParams*>(own.start().boot_params)->screen;
        EXPECT_EQ(own.modes_set, set) << width << ' ' << bits;
        EXPECT_EQ(screen.width, shown_width) << width << ' ' << bits;
        EXPECT_EQ(screen.depth, shown_bits) << width << ' ' << bits;
        EXPECT_TRUE(own.pool.empty());
    }
}

TEST_F(EfiStub, SetsNoModeUnasked) {
    firmware.console = with_modes();
    firmware.header().framebuffer = {1024, 768, 32};
    EXPECT_EQ(started().framebuffer.width, 800u);
    EXPECT_TRUE(firmware.modes_set.empty());
}

TEST_F(EfiStub, StaysAsItIsWhereAModeIsNotSet) {
    firmware.console = with_modes();
    firmware.console->sets = false;
    firmware.console->mode_count = ~0u;
    firmware.header().flags |= STUB_FRAMEBUFFER;
    firmware.header().framebuffer = {1024, 768, 32};
    EXPECT_EQ(started().framebuffer.width, 800u);
}

} // namespace
} // namespace prologue::test
