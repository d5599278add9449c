// Multiboot 1: what is read out of its information, and how each lie in it is named.

#include "parsing.h"

namespace prologue::test {
namespace {

using namespace multiboot1;

constexpr uint32_t kMapFlag = 1 << 6;

struct Multiboot1 : testing::Test {
    FakeMemory memory{at::kMemory};
    uint64_t info = 0;
    LoaderInfo loader;

    void put(const Stated& stated) { info = put_multiboot1(memory, stated); }
    void poke(uint64_t offset, uint32_t value) { memory.put(info + offset, value); }
    void parse() {
        loader = {};
        prologue_parse_multiboot1(memory.seen, info, loader);
    }
    std::optional<Failure> parse_fails() {
        return failure_of([&] { parse(); });
    }
    std::vector<StatedModule> modules() {
        return modules_of(memory, prologue_next_multiboot1_module, loader.modules);
    }
    std::optional<Failure> modules_fail() {
        parse();
        return failure_of([&] { modules(); });
    }

    // A memory map of entries with those sizes, as their size fields say them.
    void put_map(const std::vector<StatedRange>& ranges, const std::vector<uint32_t>& sizes) {
        uint64_t next = at::kMap;
        for (size_t i = 0; i != ranges.size(); ++i) {
            memory.put(next, sizes[i]);
            memory.put(next + 4, ranges[i].start);
            memory.put(next + 12, ranges[i].bytes);
            memory.put(next + 20, ranges[i].type);
            next += 4 + sizes[i];
        }
        poke(kMapBytes, static_cast<uint32_t>(next - at::kMap));
    }
};

const std::vector<StatedModule> kThreeModules = {
    {0x1000000, 0x12345, "/boot/initrd one"}, {0x2000000, 0, std::nullopt}, {0x3000001, 1, ""}};

TEST_F(Multiboot1, IsReadWhole) {
    const Stated stated = {
        .modules = kThreeModules,
        .cmdline = "console=ttyS0 quiet",
        .loader_name = "GRUB 2.06-13",
        .framebuffer = kTrueColour,
    };
    put(stated);
    parse();
    EXPECT_EQ(loader.loader, uint32_t{PROLOGUE_LOADER_MULTIBOOT1});
    EXPECT_EQ(ranges_of(loader.memory), stated.memory);
    EXPECT_EQ(loader.memory.most_entries(), stated.memory.size());
    EXPECT_EQ(str(loader.cmdline), stated.cmdline);
    EXPECT_EQ(memory.seen.phys_of(loader.cmdline.start), at::kCmdline);
    EXPECT_EQ(loader.module_count, 3u);
    EXPECT_EQ(modules(), stated.modules);
    EXPECT_EQ(loader.rsdp_phys, 0u);
    EXPECT_EQ(loader.rsdp_copy.bytes, 0u);
    EXPECT_TRUE(same(loader.framebuffer, kTrueColour));
    EXPECT_EQ(pages_occupied(loader),
              pages_on({{info, info + kBytes},
                        {at::kMap, at::kMap + stated.memory.size() * kMapEntryBytes},
                        {at::kModules, at::kModules + 3 * kModuleBytes},
                        text_span(at::kCmdline, stated.cmdline),
                        text_span(at::kLoaderName, stated.loader_name)}));
}

TEST_F(Multiboot1, NeedsNothingButAMemoryMap) {
    put({});
    parse();
    EXPECT_EQ(ranges_of(loader.memory), Stated().memory);
    EXPECT_EQ(str(loader.cmdline), "");
    EXPECT_EQ(loader.module_count, 0u);
    EXPECT_EQ(modules(), std::vector<StatedModule>());
    EXPECT_TRUE(same(loader.framebuffer, {}));
    EXPECT_EQ(pages_occupied(loader), pages_on({{info, info + 1}, {at::kMap, at::kMap + 1}}));
}

TEST_F(Multiboot1, FieldsWithoutTheirFlagAreNotBelieved) {
    put({.modules = kThreeModules,
         .cmdline = "c",
         .loader_name = "qemu",
         .framebuffer = kTrueColour});
    poke(kFlags, kMapFlag);
    parse();
    EXPECT_EQ(str(loader.cmdline), "");
    EXPECT_EQ(loader.module_count, 0u);
    EXPECT_EQ(modules(), std::vector<StatedModule>());
    EXPECT_TRUE(same(loader.framebuffer, {}));
    EXPECT_EQ(pages_occupied(loader), pages_on({{info, info + 1}, {at::kMap, at::kMap + 1}}));
}

TEST_F(Multiboot1, FlagsWithNothingBehindThemAreNothing) {
    put({.modules = kThreeModules, .cmdline = "c", .loader_name = "qemu"});
    poke(kModuleCount, 0);
    poke(kCmdline, 0);
    poke(kLoaderName, 0);
    parse();
    EXPECT_EQ(str(loader.cmdline), "");
    EXPECT_EQ(loader.module_count, 0u);
    EXPECT_EQ(modules(), std::vector<StatedModule>());
    EXPECT_EQ(pages_occupied(loader), pages_on({{info, info + 1}, {at::kMap, at::kMap + 1}}));
}

TEST_F(Multiboot1, TextsOccupyAllTheirPages) {
    const std::string name = "qemu" + std::string(3000, 'x');
    const std::string path = "kernel " + std::string(6000, 'y');
    put({.cmdline = path, .loader_name = name});
    parse();
    EXPECT_TRUE(str(loader.cmdline) == std::string(6000, 'y'));
    EXPECT_EQ(pages_occupied(loader), pages_on({{info, info + 1},
                                                {at::kMap, at::kMap + 1},
                                                text_span(at::kCmdline, path),
                                                text_span(at::kLoaderName, name)}));
}

TEST_F(Multiboot1, TheImagePathIsTakenOffTheCommandLine) {
    put({.cmdline = "kernel.elf console=ttyS0", .loader_name = "qemu"});
    parse();
    EXPECT_EQ(str(loader.cmdline), "console=ttyS0");
    EXPECT_EQ(pages_occupied(loader).count(at::kCmdline / kPage), 1u);
}

// All that is said of colours is where they lie in a direct colour's pixel. In
// the same bytes, an indexed framebuffer has its palette's address.
TEST_F(Multiboot1, ColoursAreOnlyReadForDirectColour) {
    prologue_framebuffer indexed = kTrueColour;
    indexed.kind = 0;
    put({.framebuffer = indexed});
    parse();
    prologue_framebuffer expected = kEgaText;
    expected.phys = indexed.phys;
    expected.pitch = indexed.pitch;
    expected.width = indexed.width;
    expected.height = indexed.height;
    expected.bits_per_pixel = indexed.bits_per_pixel;
    expected.kind = 0;
    EXPECT_TRUE(same(loader.framebuffer, expected));
}

// As the specification's header file has them, and GRUB: two bytes behind where its text has them.
TEST_F(Multiboot1, ColoursMayStandWhereGrubPutsThem) {
    put({.framebuffer = kTrueColour});
    char colours[6];
    std::memcpy(colours, memory.seen.seen<const char>(info + kFramebuffer + 22), sizeof colours);
    memory.put<uint16_t>(info + kFramebuffer + 22, 0);
    memory.put_bytes(info + kFramebuffer + 24, colours, sizeof colours);
    parse();
    EXPECT_TRUE(same(loader.framebuffer, kTrueColour));

    memory.put<uint8_t>(info + kFramebuffer + 21, 0);
    poke(kFramebuffer + 24, 0x800ffe);
    memory.put<uint16_t>(info + kFramebuffer + 28, 256);
    parse();
    EXPECT_EQ(pages_occupied(loader).count(0x800), 1u);
}

TEST_F(Multiboot1, EntriesMayHaveAnyOneSize) {
    const Stated stated;
    for (const uint32_t size : {20u, 21u, 24u, 60u}) {
        put(stated);
        put_map(stated.memory, std::vector<uint32_t>(stated.memory.size(), size));
        parse();
        EXPECT_EQ(ranges_of(loader.memory), stated.memory) << size;
        EXPECT_GE(loader.memory.most_entries(), stated.memory.size()) << size;
    }
}

TEST_F(Multiboot1, EntriesMayHaveDifferentSizes) {
    const Stated stated;
    const std::vector<std::vector<uint32_t>> sizes = {
        {20, 24, 20, 20}, {24, 20, 20, 20}, {20, 20, 20, 33}, {47, 20, 48, 21}};
    for (const std::vector<uint32_t>& some : sizes) {
        put(stated);
        put_map(stated.memory, some);
        parse();
        EXPECT_EQ(ranges_of(loader.memory), stated.memory);
        EXPECT_GE(loader.memory.most_entries(), stated.memory.size());
    }
}

TEST_F(Multiboot1, AMapMayEndWhereMemoryEnds) {
    put({});
    for (const uint32_t size : {20u, 24u}) {
        const uint64_t entry = memory.end() - 4 - size;
        memory.put(entry, size);
        memory.put(entry + 4, kMiB);
        memory.put(entry + 12, kGiB);
        memory.put(entry + 20, uint32_t{1});
        poke(kMap, static_cast<uint32_t>(entry));
        poke(kMapBytes, 4 + size);
        parse();
        EXPECT_EQ(ranges_of(loader.memory), (std::vector<StatedRange>{{kMiB, kGiB, 1}}));
    }
}

TEST_F(Multiboot1, WithoutAMemoryMapItIsNamed) {
    put({.cmdline = "c"});
    poke(kFlags, 1 << 0 | 1 << 2);
    EXPECT_EQ(parse_fails(), failure(Error::multiboot1_memory, {info, 1 << 0 | 1 << 2}));
    poke(kFlags, kMapFlag);
    poke(kMapBytes, 0);
    EXPECT_EQ(parse_fails(), failure(Error::multiboot1_memory, {info, kMapFlag}));
}

TEST_F(Multiboot1, AnEntryThatIsTooSmallIsNamed) {
    const Stated stated;
    put(stated);
    memory.put<uint32_t>(at::kMap + 2 * kMapEntryBytes, 19);
    EXPECT_EQ(parse_fails(), failure(Error::multiboot1_entry,
                                     {at::kMap + 2 * kMapEntryBytes, 19, 2 * kMapEntryBytes}));
    memory.put<uint32_t>(at::kMap, 0);
    EXPECT_EQ(parse_fails(), failure(Error::multiboot1_entry, {at::kMap, 0, 4 * kMapEntryBytes}));
}

TEST_F(Multiboot1, AnEntryThatRunsPastTheMapIsNamed) {
    put({});
    const uint64_t last = at::kMap + 3 * kMapEntryBytes;
    memory.put<uint32_t>(last, 21);
    EXPECT_EQ(parse_fails(), failure(Error::multiboot1_entry, {last, 21, kMapEntryBytes}));
    memory.put<uint32_t>(last, 0xffffffff);
    EXPECT_EQ(parse_fails(), failure(Error::multiboot1_entry, {last, 0xffffffff, kMapEntryBytes}));
}

TEST_F(Multiboot1, AMapThatEndsWithinAnEntryIsNamed) {
    for (uint32_t more = 1; more != kMapEntryBytes; ++more) {
        put({});
        poke(kMapBytes, kMapEntryBytes + more);
        const uint64_t second = at::kMap + kMapEntryBytes;
        const auto failed = parse_fails();
        ASSERT_TRUE(failed) << more;
        EXPECT_EQ(failed->error, Error::multiboot1_entry) << *failed;
        EXPECT_EQ(failed->numbers[0], second) << *failed;
        EXPECT_EQ(failed->numbers[2], more) << *failed;
    }
}

TEST_F(Multiboot1, AMapSmallerThanASizeIsNamed) {
    put({});
    for (uint32_t bytes = 1; bytes != 4; ++bytes) {
        const auto map = static_cast<uint32_t>(memory.end() - bytes); // nothing behind it
        poke(kMap, map);
        poke(kMapBytes, bytes);
        EXPECT_EQ(parse_fails(), failure(Error::multiboot1_entry, {map, 0, bytes}));
    }
}

TEST_F(Multiboot1, WhatRunsPastMemoryIsNamed) {
    const uint64_t end = memory.end();
    info = end - kBytes + 1;
    EXPECT_EQ(parse_fails(),
              failure(Error::out_of_reach, {kBytes, info}, "multiboot1 information"));
    put({});
    poke(kMapBytes, 0xfffffff0);
    EXPECT_EQ(parse_fails(),
              failure(Error::out_of_reach, {0xfffffff0, at::kMap}, "multiboot1 memory map"));
    put({.modules = kThreeModules});
    poke(kModuleCount, 4096);
    EXPECT_EQ(parse_fails(),
              failure(Error::out_of_reach, {0x10000, at::kModules}, "multiboot1 module list"));
    put({.cmdline = "c", .loader_name = "n"});
    poke(kCmdline, static_cast<uint32_t>(end));
    const auto failed = parse_fails();
    ASSERT_TRUE(failed);
    EXPECT_EQ(failed->error, Error::out_of_reach) << *failed;
    EXPECT_EQ(failed->what, "multiboot1 command line");
}

TEST_F(Multiboot1, StringsThatCannotBeReadAreLeftOut) {
    put({.cmdline = "c d", .loader_name = "qemu"});
    poke(kLoaderName, static_cast<uint32_t>(memory.end()));
    parse();
    EXPECT_EQ(str(loader.cmdline), "c d") << "nobody is known to have put a path there";
    EXPECT_EQ(loader.left_out, uint32_t{PROLOGUE_LEFT_OUT_STRING});

    put({.modules = kThreeModules});
    memory.put<uint32_t>(at::kModules + 8, 0xffffffff);
    parse();
    EXPECT_EQ(modules()[0], (StatedModule{0x1000000, 0x12345, ""}));
    ModuleCursor cursor = loader.modules;
    LoaderModule module;
    for (const bool lost : {true, false}) { // the second has no string, which is none lost
        prologue_next_multiboot1_module(memory.seen, cursor, module);
        EXPECT_EQ(module.text_is_lost, lost);
    }
}

// What only a kernel may want to read.
TEST_F(Multiboot1, WhateverAPointerLeadsToIsOccupied) {
    enum : uint32_t {
        kAout = 1 << 4,
        kElf = 1 << 5,
        kDrives = 1 << 7,
        kConfig = 1 << 8,
        kApm = 1 << 10,
        kVbe = 1 << 11,
        kFramebufferFlag = 1 << 12
    };
    const auto occupied = [&](uint32_t flag, const std::vector<Span>& spans) {
        poke(kFlags, kMapFlag | flag);
        parse();
        std::vector<Span> all = {{info, info + 1}, {at::kMap, at::kMap + 1}};
        all.insert(all.end(), spans.begin(), spans.end());
        EXPECT_EQ(pages_occupied(loader), pages_on(all)) << flag;
        EXPECT_EQ(loader.left_out, 0u);
    };
    put({});
    poke(28, 0x1ff0), poke(32, 0x20), poke(36, 0x200000); // table, strings, address
    occupied(kAout, {{0x200000, 0x200000 + 8 + 0x1ff0 + 0x20}});
    poke(52, 0x1001), poke(56, 0x300000);
    occupied(kDrives, {{0x300000, 0x301001}});
    poke(60, 0x400ff8);
    occupied(kConfig, {{0x400ff8, 0x401008}});
    poke(68, 0x500fed);
    occupied(kApm, {{0x500fed, 0x501001}});
    poke(72, 0x600f00), poke(76, 0x700f80);
    occupied(kVbe, {{0x600f00, 0x601100}, {0x700f80, 0x701080}});
    memory.put<uint8_t>(info + kFramebuffer + 21, 0);
    poke(kFramebuffer + 22, 0x800ffe);
    memory.put<uint16_t>(info + kFramebuffer + 26, 256);
    occupied(kFramebufferFlag, {{0x800ffe, 0x800ffe + 3 * 256}});
}

TEST_F(Multiboot1, ATableOfSectionsOf1MiBAndNoMore) {
    constexpr uint32_t kMost = 1 << 20, kTable = 0x100000, kEntryBytes = 64;
    FakeMemory large(kTable + 2 * kMost);
    info = put_multiboot1(large, {});
    large.put<uint32_t>(info + kFlags, kMapFlag | 1 << 5);
    for (const uint32_t more : {0u, 1u}) {
        large.put<uint32_t>(info + 28, kMost / kEntryBytes + more);
        large.put<uint32_t>(info + 32, kEntryBytes);
        large.put<uint32_t>(info + 36, kTable);
        loader = {};
        prologue_parse_multiboot1(large.seen, info, loader);
        EXPECT_EQ(pages_occupied(loader).count((kTable + kMost - 1) / kPage), 1 - more);
        EXPECT_EQ(loader.left_out, more * PROLOGUE_LEFT_OUT_SYMBOLS);
    }
}

TEST_F(Multiboot1, SectionsThatAreNoPartOfTheImageAreOccupied) {
    put({});
    Tags tags;
    const uint64_t table = at::kModules;
    for (const uint32_t entry_bytes : {64u, 72u}) {
        tags = {};
        tags.add_sections({{0, 0}, {0x100000, 0x4000, 2 | 4}, {0x200ff0, 0x20}}, entry_bytes);
        const std::string sections = tags.bytes().substr(Tags::kHeaderBytes + 20);
        memory.put_bytes(table, sections.data(), sections.size());
        poke(kFlags, kMapFlag | 1 << 5);
        poke(28, 3), poke(32, entry_bytes), poke(36, static_cast<uint32_t>(table));
        parse();
        EXPECT_EQ(pages_occupied(loader), pages_on({{info, info + 1},
                                                    {at::kMap, at::kMap + 1},
                                                    {table, table + 3 * entry_bytes},
                                                    {0x200ff0, 0x201010}}));
        EXPECT_EQ(loader.left_out, 0u);
    }
    poke(36, static_cast<uint32_t>(memory.end() - 3 * 72 + 1)); // where it cannot be read
    parse();
    EXPECT_EQ(loader.left_out, uint32_t{PROLOGUE_LEFT_OUT_SYMBOLS});
    poke(28, 0xffffffff), poke(36, static_cast<uint32_t>(table));
    parse();
    EXPECT_EQ(loader.left_out, uint32_t{PROLOGUE_LEFT_OUT_SYMBOLS});
}

TEST_F(Multiboot1, AsManyModulesAsAreBelieved) {
    constexpr uint32_t kList = 0x10000, kMost = 4096;
    FakeMemory large(kList + uint64_t{kMost} * kModuleBytes);
    info = put_multiboot1(large, {.modules = {{1, 2, std::nullopt}}});
    large.put<uint32_t>(info + kModuleList, kList);
    large.put<uint32_t>(info + kModuleCount, kMost);
    prologue_parse_multiboot1(large.seen, info, loader);
    EXPECT_EQ(loader.module_count, uint64_t{kMost});
    EXPECT_EQ(modules_of(large, prologue_next_multiboot1_module, loader.modules).size(), kMost);
}

TEST_F(Multiboot1, ACountThatCannotBeTrueIsNamed) {
    put({.modules = kThreeModules});
    poke(kModuleCount, 4097);
    EXPECT_EQ(parse_fails(),
              failure(Error::too_many_entries, {4097, 4096}, "multiboot1 module list"));
}

TEST_F(Multiboot1, AModuleThatEndsBeforeItStartsIsNamed) {
    put({.modules = kThreeModules});
    memory.put<uint32_t>(at::kModules + kModuleBytes + 4, 0x1ffffff);
    EXPECT_EQ(modules_fail(),
              failure(Error::module_backwards, {0x1ffffff, 0x2000000}, "multiboot1"));
}

} // namespace
} // namespace prologue::test
