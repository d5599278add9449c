// The EFI stub: where the kernel comes to lie, its command line, how the firmware is left.

#include "efi_stub.h"

#include "page_walker.h"

namespace prologue::test {
namespace {

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
