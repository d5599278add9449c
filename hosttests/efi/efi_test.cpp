// The EFI stub over a firmware that says what a test wants, up to the kernel's entry; what
// it leaves is read by the kernel's own parser.

#include "fake_firmware.h"

#include "boot_params.h"
#include "efi_map.h"
#include "page_walker.h"
#include "parsing.h"

#include <gtest/gtest.h>

namespace prologue::test {
namespace {

using namespace efi;

constexpr uint64_t kAll = uint64_t{1} << 47;

LoaderInfo parsed(const Entered& entered) {
    PhysMemory memory{0, kAll};
    LoaderInfo loader;
    prologue_parse_linux(memory, entered.boot_params, loader);
    return loader;
}

// A machine with little in it.
struct EfiStub : testing::Test {
    FakeFirmware firmware;

    EfiStub() {
        firmware.describe(7, 0x1000, 0x9f);
        firmware.describe(7, 0x100000, 0x7f00);
    }

    LoaderInfo started() { return parsed(firmware.start()); }
    std::string cmdline() { return str(started().cmdline); }
    std::string cmdline_of(std::string options) {
        firmware.options = std::move(options);
        return cmdline();
    }
    std::string module() {
        const LoaderInfo loader = started();
        if (loader.module_count == 0)
            return "none";
        return {reinterpret_cast<const char*>(loader.modules.at),
                loader.modules.end - loader.modules.at};
    }
    void expect_refusal(const char* what, uint64_t a, uint64_t b) {
        EXPECT_EQ(failure_of([&] { firmware.start(); }), failure(Error::efi, {a, b}, what));
    }
};

TEST_F(EfiStub, EntersTheKernelAtItsPlace) {
    const Entered entered = firmware.start();
    EXPECT_EQ(entered.entry, kKernelAt + 0x200);
    const auto* const kernel = reinterpret_cast<const uint8_t*>(kKernelAt);
    for (uint64_t i = 0; i != kKernelFileBytes; ++i)
        ASSERT_EQ(kernel[i], static_cast<uint8_t>(i * 7 + 3)) << i;
    EXPECT_TRUE(firmware.forgotten);
    const LoaderInfo loader = parsed(entered);
    EXPECT_EQ(loader.loader, uint32_t{PROLOGUE_LOADER_EFI});
    EXPECT_TRUE(loader.efi);
    EXPECT_EQ(loader.uefi.bits, 64u);
    EXPECT_NE(loader.uefi.system_table_phys, 0u);
    EXPECT_EQ(loader.module_count, 0u);
    EXPECT_EQ(loader.framebuffer.phys, 0u);
    EXPECT_EQ(str(loader.cmdline), "");
}

TEST_F(EfiStub, MovesAKernelThatMayBeMoved) {
    firmware.in_use = Span{kKernelAt + 0x5000, kKernelAt + 0x6000};
    const Entered entered = firmware.start();
    EXPECT_NE(entered.entry, kKernelAt + 0x200);
    EXPECT_EQ(*reinterpret_cast<const uint8_t*>(entered.entry),
              static_cast<uint8_t>(0x200 * 7 + 3));
}

TEST_F(EfiStub, TakesAPlaceAbove4GiBWhereThereIsNoRoomBelow) {
    firmware.in_use = Span{kKernelAt, kKernelAt + 1};
    firmware.header().memory_bytes = 16 * kMiB;
    firmware.most_low_pages = 16 * kMiB / kPage - 1;
    const Entered entered = firmware.start();
    EXPECT_NE(firmware.taken_high, 0u);
    EXPECT_EQ(entered.entry, firmware.taken_high + 0x200);
    EXPECT_EQ(*reinterpret_cast<const uint8_t*>(entered.entry),
              static_cast<uint8_t>(0x200 * 7 + 3));
}

TEST_F(EfiStub, RefusesAKernelWithoutAPlace) {
    firmware.in_use = Span{kKernelAt, kKernelAt + 0x1000};
    firmware.header().flags = 0;
    firmware.describe(6, kKernelAt - 0x1000, 3);
    EXPECT_EQ(
        failure_of([&] { firmware.start(); }),
        failure(Error::efi_place,
                {kKernelAt, kKernelAt + kKernelMemory, kKernelAt - 0x1000, kKernelAt + 0x2000},
                "the firmware uses"));
}

TEST_F(EfiStub, RefusesAKernelWhereThereIsNoMemory) {
    firmware.in_use = Span{kKernelAt, kKernelAt + 0x1000};
    firmware.header().flags = 0;
    firmware.describe(7, kKernelAt - 0x1000, 3);
    firmware.describe(7, kKernelAt + 0x4000, 3);
    EXPECT_EQ(
        failure_of([&] { firmware.start(); }),
        failure(Error::efi_place,
                {kKernelAt, kKernelAt + kKernelMemory, kKernelAt + 0x2000, kKernelAt + 0x4000},
                "there is no memory at"));
}

TEST_F(EfiStub, HasTheLoadOptionsAsTheCommandLine) {
    EXPECT_EQ(cmdline_of(utf16(u"a b=c")), "a b=c");
}

TEST_F(EfiStub, NeedsNoEndOfTheLoadOptions) {
    EXPECT_EQ(cmdline_of(utf16(u"a b", false)), "a b");
}

TEST_F(EfiStub, DropsHalfACharacter) {
    EXPECT_EQ(cmdline_of(utf16(u"a b", false) + "x"), "a b");
}

TEST_F(EfiStub, EndsTheCommandLineAtALine) {
    EXPECT_EQ(cmdline_of(utf16(u"a b\nc")), "a b");
}

TEST_F(EfiStub, SaysUtf8) {
    EXPECT_EQ(cmdline_of(utf16(u"\u00e9\u20ac\U0001f600")), "\u00e9\u20ac\U0001f600");
}

TEST_F(EfiStub, ReplacesHalvesOfSurrogatePairs) {
    EXPECT_EQ(cmdline_of(utf16(std::u16string{0xd83d, u'a', 0xde00, 0xd83d})),
              "\ufffda\ufffd\ufffd");
}

TEST_F(EfiStub, TakesOffTheShellsFirstWord) {
    firmware.shell = true;
    EXPECT_EQ(cmdline_of(utf16(u"\"fs0:\\my kernel\" a  \"b c\" ")), "a  \"b c\" ");
}

TEST_F(EfiStub, TakesOffTheNameOfItsOwnFile) {
    firmware.file_path = path_of_file(u"\\EFI\\BOOT\\BOOTX64.EFI");
    EXPECT_EQ(cmdline_of(utf16(u"fs0:\\efi\\boot\\bootx64.efi a")), "a");
}

TEST_F(EfiStub, KeepsAFirstWordThatNamesNoFileOfItsOwn) {
    firmware.file_path = path_of_file(u"\\EFI\\BOOT\\BOOTX64.EFI");
    EXPECT_EQ(cmdline_of(utf16(u"bootx64 a")), "bootx64 a");
}

TEST_F(EfiStub, IsNotLedAstrayByABrokenPath) {
    firmware.file_path = std::string("\x04\x04\x03\0", 4) + std::string(8, 'x');
    EXPECT_EQ(cmdline_of(utf16(u"a b")), "a b");
}

TEST_F(EfiStub, FindsWhatIsMeantInAWholeLoadOption) {
    const std::string path = path_of_file(u"\\x.efi");
    std::string option = raw(uint32_t{1}) + raw(static_cast<uint16_t>(path.size())) +
                         utf16(u"a name") + path;
    EXPECT_EQ(cmdline_of(option + utf16(u"c d")), "c d");
}

TEST_F(EfiStub, RefusesACommandLineThatIsTooLong) {
    firmware.options = utf16(std::u16string(70000, u'x'));
    expect_refusal("the command line is too long: bytes, at most", 70000, 0xffff);
}

TEST_F(EfiStub, HasTheServedInitrd) {
    firmware.served = std::string(100000, 'i');
    EXPECT_EQ(module(), *firmware.served);
}

TEST_F(EfiStub, HasNoInitrdWhereAnEmptyOneIsServed) {
    firmware.served = "";
    EXPECT_EQ(module(), "none");
}

TEST_F(EfiStub, RefusesAnInitrdThatGrows) {
    firmware.served = std::string(5000, 'i');
    firmware.served_grows = 4000;
    expect_refusal("LoadFile2 does not load the initrd: status, bytes", kBufferTooSmall, 9000);
}

TEST_F(EfiStub, TakesAnInitrdThatShrinks) {
    firmware.served = std::string(5000, 'i');
    firmware.served_tells = 4000;
    EXPECT_EQ(module(), *firmware.served);
}

TEST_F(EfiStub, RefusesAnInitrdLargerThanMemory) {
    firmware.served = "x";
    firmware.served_tells = uint64_t{1} << 40;
    expect_refusal("no memory for the initrd: status, bytes", kOutOfResources,
                   (uint64_t{1} << 40) + 1);
}

TEST_F(EfiStub, RefusesAnInitrdWhoseSizeIsNoMemorys) {
    firmware.served = "x";
    firmware.served_tells = ~uint64_t{0} - 1;
    expect_refusal("no memory for the initrd: status, bytes", kOutOfResources, ~uint64_t{0});
}

TEST_F(EfiStub, RefusesAnInitrdWhoseSizeIsNotTold) {
    firmware.served = "x";
    firmware.served_fails = kLoadError;
    expect_refusal("LoadFile2 does not tell the initrd's size: status, bytes", kLoadError, 0);
}

TEST_F(EfiStub, HasNoInitrdWhereWhatServesItHasNone) {
    firmware.served = "x";
    for (const Status status : {kNotFound, kSuccess, kBufferTooSmall}) { // and tells no bytes
        firmware.served_fails = status;
        EXPECT_EQ(module(), "none") << status;
        firmware.ended = firmware.ending = false;
    }
}

TEST_F(EfiStub, PutsNamedFilesOneBehindTheOther) {
    firmware.files = {{u"\\a", std::string(3 << 20, 'a')}, {u"\\x\\b", "bb"}};
    firmware.options = utf16(u"initrd=\\a quiet initrd=/x/b");
    EXPECT_EQ(module(), std::string(3 << 20, 'a') + "bb");
}

TEST_F(EfiStub, PrefersWhatIsServed) {
    firmware.files = {{u"\\a", "a"}};
    firmware.served = "served";
    firmware.options = utf16(u"initrd=\\a");
    EXPECT_EQ(module(), "served");
}

TEST_F(EfiStub, RefusesAFileThatIsNotThere) {
    firmware.files = {{u"\\a", "a"}};
    firmware.options = utf16(u"initrd=\\b");
    expect_refusal("a file that initrd= names cannot be opened: status, characters of its name",
                   kNotFound, 2);
}

TEST_F(EfiStub, RefusesAFileThatEndsEarly) {
    firmware.files = {{u"\\a", "abcdef"}};
    firmware.files_read_short = 2;
    firmware.options = utf16(u"initrd=\\a");
    expect_refusal("a file that initrd= names cannot be read: status, bytes of it", 0, 4);
}

TEST_F(EfiStub, RefusesAFileThatGrows) {
    firmware.files = {{u"\\a", "abc"}, {u"\\b", "de"}};
    firmware.files_grow = 1;
    firmware.options = utf16(u"initrd=\\a initrd=\\b");
    expect_refusal("a file that initrd= names has grown: bytes, place left", 3, 1);
}

TEST_F(EfiStub, RefusesANamedFileWithoutAVolume) {
    firmware.options = utf16(u"initrd=\\a");
    expect_refusal("initrd= names a file, and the image is from no volume: status", kNotFound, 0);
}

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

TEST_F(EfiStub, SaysEachTypeOfMemory) {
    firmware.map.clear();
    constexpr uint32_t kFree = kE820Usable;
    const uint32_t types[] = {2, kFree, kFree, kFree, kFree,           2, 2, kFree, 5, 3, 4,
                              2, 2,     2,     2,     kE820Unaccepted, 2};
    std::vector<StatedRange> wanted;
    for (uint32_t type = 0; type != std::size(types); ++type) {
        firmware.describe(type, 0x100000 * (type + 1), 1);
        wanted.push_back({0x100000 * (type + 1), 0x1000, types[type]});
    }
    firmware.describe(7, 0x40000000, 2, 0x4000f);
    wanted.push_back({0x40000000, 0x2000, kE820SoftReserved});
    EXPECT_EQ(ranges_of(started().memory), wanted);
}

TEST_F(EfiStub, MakesNeighboursOne) {
    firmware.map.clear();
    firmware.describe(7, 0x100000, 1);
    firmware.describe(4, 0x101000, 2);
    firmware.describe(6, 0x103000, 1);
    EXPECT_EQ(ranges_of(started().memory),
              (std::vector<StatedRange>{{0x100000, 0x3000, 1}, {0x103000, 0x1000, 2}}));
}

// The kernel's own map decides between ranges that overlap, or are none: all of them are told.
TEST_F(EfiStub, TellsRangesThatOverlapAsTheyAre) {
    firmware.map.clear();
    firmware.describe(7, 0x100000, 0x100);
    firmware.describe(6, 0x180000, 1);
    firmware.describe(7, 0x180000, 0x200);
    firmware.describe(7, 0x800000, 0);
    firmware.describe(5, 0x100000, 1);
    EXPECT_EQ(ranges_of(started().memory), (std::vector<StatedRange>{{0x100000, 0x100000, 1},
                                                                     {0x180000, 0x1000, 2},
                                                                     {0x180000, 0x200000, 1},
                                                                     {0x100000, 0x1000, 2}}));
}

// No number of pages makes a range that it does not speak of: the kernel's map leaves out what
// wraps. Nor does one behind the last address take a neighbour's beginning for its own.
TEST_F(EfiStub, TellsRangesThatWrapAsSuch) {
    constexpr uint64_t kHalf = uint64_t{1} << 63, kMost = kLastPageStart;
    firmware.map.clear();
    firmware.describe(7, 0x100000, (uint64_t{1} << 52) + 1);
    firmware.describe(7, 0x200000, ~uint64_t{0});
    firmware.describe(7, kHalf, kHalf / kPage);
    firmware.describe(7, 0, 0x9f);
    EXPECT_EQ(ranges_of(started().memory),
              (std::vector<StatedRange>{
                  {0x100000, kMost, 1}, {0x200000, kMost, 1}, {kHalf, kHalf, 1}, {0, 0x9f000, 1}}));
}

TEST_F(EfiStub, SaysAMapOf10000Descriptors) {
    firmware.map.clear();
    firmware.stride = 104; // more than 1 MiB of it
    for (uint64_t i = 0; i != 10000; ++i)
        firmware.describe(i % 2 != 0 ? 7 : 6, i << 20, 1);
    const LoaderInfo loader = started();
    std::vector<StatedRange> ranges = ranges_of(loader.memory),
                             more = ranges_of(loader.more_memory);
    EXPECT_EQ(ranges.size(), 128u);
    ranges.insert(ranges.end(), more.begin(), more.end());
    ASSERT_EQ(ranges.size(), 10000u);
    for (uint64_t i = 0; i != ranges.size(); ++i)
        ASSERT_EQ(ranges[i], (StatedRange{i << 20, 0x1000, i % 2 != 0 ? 1u : 2u}));
    EXPECT_EQ(loader.uefi.memory_map_bytes, firmware.map.size());
    EXPECT_EQ(std::string(static_cast<const char*>(loader.uefi.memory_map), firmware.map.size()),
              firmware.map);
}

// A map of 8 MiB, and so many descriptors more.
void describe_8_mib(FakeFirmware& firmware, uint64_t more) {
    firmware.stride = 4096;
    firmware.map.clear();
    for (uint64_t i = 0; i != 2048 + more; ++i)
        firmware.describe(i % 2 != 0 ? 7 : 6, i << 20, 1);
}

TEST_F(EfiStub, SaysAMapOf8MiB) {
    describe_8_mib(firmware, 0);
    EXPECT_EQ(started().uefi.memory_map_bytes, 8u << 20);
}

TEST_F(EfiStub, RefusesAMapOfMoreThan8MiB) {
    describe_8_mib(firmware, 1);
    expect_refusal("the firmware's memory map makes no sense: bytes, bytes of a descriptor",
                   (8 << 20) + 4096, 4096);
}

TEST_F(EfiStub, RefusesAMapThatMakesNoSense) {
    for (const uint64_t stride : {0, 1, 39, 44, 4104, -8}) {
        firmware.stride = stride;
        expect_refusal("the firmware's memory map makes no sense: bytes, bytes of a descriptor",
                       firmware.map.size(), stride);
    }
}

TEST_F(EfiStub, RefusesAnEmptyMap) {
    firmware.map.clear();
    expect_refusal("GetMemoryMap does not tell the map's size: status, bytes", kBufferTooSmall, 0);
}

TEST_F(EfiStub, RefusesAMapThatChangesItsForm) {
    firmware.later_stride = 56;
    expect_refusal("the firmware's memory map changes its form: bytes, bytes of a descriptor",
                   firmware.map.size(), 56);
}

TEST_F(EfiStub, TakesAMapThatGrowsAndOneThatShrinks) {
    for (const uint64_t more : {-1, 1, 64}) { // descriptors, than were told at first
        FakeFirmware own;
        for (uint64_t i = 0; i != 2 + more; ++i)
            own.describe(i % 2 != 0 ? 7 : 6, i << 20, 1);
        own.later_map = own.map;
        own.map.resize(2 * own.stride);
        EXPECT_EQ(ranges_of(parsed(own.start()).memory).size(), 2 + more);
    }
}

TEST_F(EfiStub, DropsAPieceOfADescriptor) {
    firmware.map.resize(firmware.map.size() - 1);
    EXPECT_EQ(ranges_of(started().memory).size(), 1u);
}

TEST_F(EfiStub, RefusesAMapThatOutgrowsItsRoom) {
    firmware.map_grows = 1 << 20;
    expect_refusal("the firmware's memory map is not to be had: status, bytes", kBufferTooSmall,
                   firmware.map.size() + (1 << 20));
}

TEST_F(EfiStub, EndsTheBootServicesOnceMoreWithAStaleKey) {
    firmware.stale_keys = 1;
    EXPECT_EQ(started().loader, uint32_t{PROLOGUE_LOADER_EFI});
    EXPECT_EQ(firmware.maps_read, 2u);
    EXPECT_FALSE(firmware.watchdog_off); // ExitBootServices does that
}

TEST_F(EfiStub, RefusesBootServicesThatDoNotEnd) {
    firmware.stale_keys = 2;
    expect_refusal("ExitBootServices fails twice: status, and before that", kInvalidParameter,
                   kInvalidParameter);
    EXPECT_TRUE(firmware.forgotten);
}

TEST_F(EfiStub, LeavesTheBootServicesRunningByWish) {
    firmware.header().flags |= STUB_BOOT_SERVICES;
    firmware.map.clear();
    firmware.describe(7, 0, 0x80000); // all that can be had below 2 GiB
    firmware.describe(6, 0x80000000, 1);
    const LoaderInfo loader = started();
    EXPECT_EQ(loader.uefi.boot_services, 1u);
    EXPECT_TRUE(firmware.watchdog_off); // nobody will calm it again
    EXPECT_NE(loader.uefi.image_handle, 0u);
    const std::vector<StatedRange> ranges = ranges_of(loader.memory);
    ASSERT_EQ(ranges.size(), 4u);
    EXPECT_EQ(ranges[0].type, kInFirmwaresUse);
    EXPECT_EQ(ranges[1].start, ranges[0].bytes);
    EXPECT_EQ(ranges[1].bytes, uint64_t{8} << 20);
    EXPECT_EQ(ranges[1].type, uint32_t{kE820Usable});
    EXPECT_EQ(ranges[2].type, kInFirmwaresUse);
    EXPECT_EQ(ranges[2].start + ranges[2].bytes, 0x80000000u);
}

TEST_F(EfiStub, RefusesAMachineWithoutLowMemory) {
    firmware.low_memory = false;
    EXPECT_EQ(failure_of([&] { firmware.start(); })->what, "no memory below 4 GiB: status, bytes");
}

TEST_F(EfiStub, RefusesAnImageThatIsNone) {
    firmware.loaded_image = false;
    expect_refusal("the image's handle has no loaded image protocol", 0, 0);
}

// All of what the kernel's first steps touch is mapped where it lies, to be executed too.
TEST_F(EfiStub, LeavesTablesOfItsOwn) {
    for (const unsigned levels : {4u, 5u})
        for (const bool large : {true, false})
            for (const uint64_t c_bit : {uint64_t{0}, uint64_t{1} << 51}) {
                FakeFirmware own;
                own.describe(7, 0x100000, 0x7f00);
                own.cpu = {levels, large, c_bit, 0x7f0000001000};
                const Entered entered = own.start();
                PagingState state = {.cr0 = 0x80000001,
                                     .cr3 = entered.cr3,
                                     .cr4 = levels == 5 ? 0x1020u : 0x20u,
                                     .efer = 0x900,
                                     .has_1g_pages = large,
                                     .c_bit = c_bit};
                const auto memory = [](uint64_t phys) -> std::optional<uint64_t> {
                    return *reinterpret_cast<const uint64_t*>(phys);
                };
                for (const uint64_t address :
                     {entered.entry, entered.boot_params, kKernelAt + kKernelMemory - 1,
                      uint64_t{0x7f0000000fff}}) {
                    for (const Access access : {Access::Write, Access::Execute}) {
                        const auto page = std::get<Translation>(
                            walk(state, memory, address, access, false));
                        EXPECT_EQ(page.pa, address);
                        EXPECT_EQ(page.encrypted, c_bit != 0);
                    }
                }
            }
}

} // namespace
} // namespace prologue::test
