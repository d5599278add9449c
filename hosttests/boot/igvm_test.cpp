// IGVM: what is read out of the information page and the host's memory map, and how each lie in
// them is named.
#include "elf_image.h"
#include "parsing.h"

namespace prologue::test {
namespace {

constexpr StatedRange kPcHole = {0xa0000, 0x60000, 2};

struct Igvm : testing::Test {
    FakeMemory memory{at::kMemory};
    uint64_t info = 0;
    LoaderInfo loader;

    void put(const Stated& stated) { info = put_igvm(memory, stated); }
    template <class T>
    void poke(uint64_t offset, T value) {
        memory.put<T>(info + offset, value);
    }
    void put_entry(unsigned i, uint64_t page, uint64_t pages, uint16_t type,
                   uint32_t reserved = 0) {
        const uint64_t entry = at::kMap + i * igvm::kEntryBytes;
        memory.put(entry, page);
        memory.put(entry + igvm::kEntryPages, pages);
        memory.put(entry + igvm::kEntryType, type);
        memory.put(entry + igvm::kEntryReserved, reserved);
    }
    void parse() {
        loader = {};
        prologue_parse_igvm(memory.seen, info, loader);
    }
    std::optional<Failure> parse_fails() {
        return failure_of([&] { parse(); });
    }
    std::vector<StatedModule> modules() {
        return modules_of(memory, prologue_next_igvm_module, loader.modules);
    }
};

TEST_F(Igvm, IsReadWhole) {
    put({.memory = {{0, 0x80000000, 1}, {0xe0000000, 0x10000000, 2}, {0x100000000, 0x40000000, 1}},
         .modules = {{0x1000000, 0x12345, std::nullopt}},
         .cmdline = "console=ttyS0 /not/a/path quiet"});
    parse();
    EXPECT_EQ(loader.loader, uint32_t{PROLOGUE_LOADER_IGVM});
    EXPECT_EQ(ranges_of(loader.memory),
              (std::vector<StatedRange>{
                  {0, 0x80000000, 1}, {0xe0000000, 0x10000000, 2}, {0x100000000, 0x40000000, 1}}));
    EXPECT_EQ(loader.memory.most_entries(), 3u);
    EXPECT_EQ(str(loader.cmdline), "console=ttyS0 /not/a/path quiet");
    EXPECT_EQ(loader.module_count, 1u);
    EXPECT_EQ(modules(), (std::vector<StatedModule>{{0x1000000, 0x12345, std::nullopt}}));
    EXPECT_EQ(loader.left_out, 0u);
    EXPECT_EQ(pages_occupied(loader),
              pages_on({{info, info + igvm::kBytes},
                        {at::kMap, at::kMap + igvm::kRoom},
                        text_span(at::kCmdline, "console=ttyS0 /not/a/path quiet")}));
}

TEST_F(Igvm, NeedsNothingButAMemoryMap) {
    put({});
    parse();
    EXPECT_EQ(str(loader.cmdline), "");
    EXPECT_EQ(loader.module_count, 0u);
    EXPECT_EQ(modules(), std::vector<StatedModule>());
    EXPECT_EQ(pages_occupied(loader), pages_on({{info, info + 1}, {at::kMap, at::kMap + 1}}));
}

// QEMU's map calls it RAM.
TEST_F(Igvm, WhatAPcHasBelow1MibIsReserved) {
    put({});
    parse();
    EXPECT_EQ(ranges_of(loader.more_memory), std::vector<StatedRange>{kPcHole});
}

TEST_F(Igvm, TypesOfMemoryAreTheE820s) {
    const struct {
        uint16_t type;
        uint32_t e820;
    } cases[] = {{0, 1}, {1, 2}, {2, 7}, {3, 2}, {4, 0xefffffff}, {5, 2}, {0xffff, 2}};
    for (const auto& one : cases) {
        put({});
        put_entry(0, 0x100, 0x200, one.type);
        parse();
        EXPECT_EQ(ranges_of(loader.memory)[0], (StatedRange{0x100000, 0x200000, one.e820}))
            << one.type;
    }
}

TEST_F(Igvm, TheMapEndsAtAnEntryWithoutPagesOrWithTheArea) {
    put({.memory = {{kMiB, kMiB, 1}}});
    put_entry(2, 0x400, 1, 0); // behind the end
    parse();
    EXPECT_EQ(ranges_of(loader.memory).size(), 1u);

    put({.memory = std::vector<StatedRange>(9, {kMiB, kMiB, 1})});
    parse();
    EXPECT_EQ(ranges_of(loader.memory).size(), 9u);
    poke<uint64_t>(igvm::kMapBytes, 9 * igvm::kEntryBytes - 1);
    put_entry(8, 0x100, 1, 0);
    put({.memory = std::vector<StatedRange>(9, {kMiB, kMiB, 1})});
    poke<uint64_t>(igvm::kMapBytes, 9 * igvm::kEntryBytes - 1);
    parse();
    EXPECT_EQ(ranges_of(loader.memory).size(), 8u);
}

TEST_F(Igvm, ARangeBeyondAllMemoryIsLeftOut) {
    const uint64_t most = uint64_t{1} << 40;
    const struct {
        uint64_t page, pages;
    } cases[] = {{most, 1}, {most - 1, 2}, {1, ~uint64_t{0}}, {~uint64_t{0}, 1}, {0, most + 1}};
    for (const auto& one : cases) {
        put({.memory = {{kMiB, kMiB, 1}, {kMiB, kMiB, 1}}});
        put_entry(0, one.page, one.pages, 0);
        parse();
        EXPECT_EQ(loader.left_out, uint32_t{PROLOGUE_LEFT_OUT_RANGE});
        EXPECT_EQ(ranges_of(loader.memory), (std::vector<StatedRange>{{0, 0, 2}, {kMiB, kMiB, 1}}));
    }
    put_entry(0, most - 1, 1, 0);
    put_entry(1, 0, most, 0);
    parse();
    EXPECT_EQ(loader.left_out, 0u);
    EXPECT_EQ(ranges_of(loader.memory),
              (std::vector<StatedRange>{{(most - 1) << 12, 4096, 1}, {0, most << 12, 1}}));
}

TEST_F(Igvm, AHostThatPutsNoMapIsNamed) {
    put({.memory = {}});
    EXPECT_EQ(parse_fails(), failure(Error::igvm_info, {at::kMap, igvm::kRoom},
                                     "the host has put no memory map there: address, bytes"));
    put({});
    poke<uint64_t>(igvm::kMapBytes, 0);
    EXPECT_EQ(parse_fails(), failure(Error::igvm_info, {at::kMap, 0},
                                     "the host has put no memory map there: address, bytes"));
}

// As an SEV-ES guest finds an area that its host has not encrypted.
TEST_F(Igvm, BytesThatAreNoMapAreNamed) {
    put({});
    put_entry(1, 0x8f3c, 0x77, 0x91, 0xd00d);
    EXPECT_EQ(parse_fails(),
              failure(Error::igvm_info, {at::kMap + igvm::kEntryBytes, 0xd00d},
                      "no entry of a memory map is where the host should have put one: address, "
                      "what should be 0"));
}

TEST_F(Igvm, AnInformationPageOfAnotherVersionIsNamed) {
    const char* const kWhat = "magic and version of the information page make no sense";
    put({});
    poke<uint32_t>(igvm::kVersion, 2);
    EXPECT_EQ(parse_fails(), failure(Error::igvm_info, {0x4d564749, 2}, kWhat));
    put({});
    poke<uint32_t>(igvm::kMagic, 0x12345678);
    EXPECT_EQ(parse_fails(), failure(Error::igvm_info, {0x12345678, 1}, kWhat));
}

TEST_F(Igvm, AsManyRangesAsAreBelievedAndNoMore) {
    constexpr uint64_t kMost = 1 << 16, kMap = 0x100000, kEntryBytes = 24;
    FakeMemory large(kMap + (kMost + 1) * kEntryBytes + kPage - kEntryBytes);
    info = put_igvm(large, {});
    for (uint64_t i = 0; i != kMost; ++i) {
        large.put<uint64_t>(kMap + i * kEntryBytes, i * 0x100);
        large.put<uint64_t>(kMap + i * kEntryBytes + 8, 1);
    }
    large.put<uint64_t>(info + igvm::kMap, kMap);
    large.put<uint64_t>(info + igvm::kMapBytes, kMost * kEntryBytes);
    loader = {};
    prologue_parse_igvm(large.seen, info, loader);
    EXPECT_EQ(loader.memory.most_entries(), kMost);
    large.put<uint64_t>(info + igvm::kMapBytes, (kMost + 1) * kEntryBytes);
    EXPECT_EQ(failure_of([&] { prologue_parse_igvm(large.seen, info, loader); }),
              failure(Error::too_many_entries, {kMost + 1, kMost}, "igvm memory map"));
}

TEST_F(Igvm, WhatLiesOutOfReachIsNamed) {
    const uint64_t end = memory.end();
    put({});
    poke<uint64_t>(igvm::kMap, end - 24);
    EXPECT_EQ(parse_fails(),
              failure(Error::out_of_reach, {igvm::kRoom, end - 24}, "igvm memory map"));
    put({});
    poke<uint64_t>(igvm::kMapBytes, uint64_t{24} << 17);
    EXPECT_EQ(parse_fails(),
              failure(Error::too_many_entries, {1 << 17, 1 << 16}, "igvm memory map"));
    put({.cmdline = "c"});
    poke<uint64_t>(igvm::kCmdline, end + 5);
    const auto failed = parse_fails();
    ASSERT_TRUE(failed);
    EXPECT_EQ(failed->what, "igvm command line");
    info = end - 47;
    EXPECT_EQ(parse_fails(), failure(Error::out_of_reach, {48, end - 47}, "igvm information"));
}

TEST_F(Igvm, AnInitrdWhereNoMemoryCanBeIsNamed) {
    put({.modules = {{kMiB, 1ull << 52, std::nullopt}}});
    parse();
    EXPECT_EQ(failure_of([&] { modules(); }),
              failure(Error::module_too_high, {kMiB, 1ull << 52}, "igvm"));
}

// The map is changed where it stands: not before it is known to be clear of the image.
TEST_F(Igvm, AMapOnTheImageIsNamedAndNotTouched) {
    constexpr uint64_t kImageAt = 0xc000, kMapAt = kImageAt + 0x800;
    put_elf(memory, kImageAt, {{kImageAt, kImageAt, kPage, kRead}});
    const Image image(memory.window(), kImageAt);
    put({});
    poke<uint64_t>(igvm::kMap, kMapAt);
    memory.put<uint64_t>(kMapAt, kMiB / kPage);
    memory.put<uint64_t>(kMapAt + igvm::kEntryPages, 1);
    loader = {};
    loader.image = &image;
    const auto failed = failure_of([&] { prologue_parse_igvm(memory.seen, info, loader); });
    ASSERT_TRUE(failed);
    EXPECT_EQ(failed->error, Error::on_the_image);
    EXPECT_EQ(memory.get<uint64_t>(kMapAt), kMiB / kPage);
}

} // namespace
} // namespace prologue::test
