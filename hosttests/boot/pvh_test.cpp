// PVH: what is read out of hvm_start_info, and how each lie in it is named.

#include "parsing.h"

namespace prologue::test {
namespace {

struct Pvh : testing::Test {
    FakeMemory memory{at::kMemory};
    uint64_t info = 0;
    LoaderInfo loader;

    void put(const Stated& stated) { info = put_pvh(memory, stated); }
    template <class T>
    void poke(uint64_t offset, T value) {
        memory.put<T>(info + offset, value);
    }
    void parse() {
        loader = {};
        prologue_parse_pvh(memory.seen, info, loader);
    }
    std::optional<Failure> parse_fails() {
        return failure_of([&] { parse(); });
    }
    std::vector<StatedModule> modules() {
        return modules_of(memory, prologue_next_pvh_module, loader.modules);
    }
    std::optional<Failure> modules_fail() {
        parse();
        return failure_of([&] { modules(); });
    }
};

TEST_F(Pvh, IsReadWhole) {
    const Stated stated = {
        .modules = {{0x1000000, 0x12345, "initrd one"},
                    {0x2000000, 0, std::nullopt},
                    {0x500000000, 0x700000000, ""}},
        .cmdline = "console=ttyS0 /not/a/path quiet",
        .rsdp = 0xf5a40,
    };
    put(stated);
    parse();
    EXPECT_EQ(loader.loader, uint32_t{PROLOGUE_LOADER_PVH});
    EXPECT_EQ(ranges_of(loader.memory), stated.memory);
    EXPECT_EQ(loader.memory.most_entries(), stated.memory.size());
    EXPECT_EQ(str(loader.cmdline), stated.cmdline);
    EXPECT_EQ(loader.cmdline.start[loader.cmdline.bytes], 0);
    EXPECT_EQ(memory.seen.phys_of(loader.cmdline.start), at::kCmdline);
    EXPECT_EQ(loader.module_count, 3u);
    EXPECT_EQ(modules(), stated.modules);
    EXPECT_EQ(loader.rsdp_phys, stated.rsdp);
    EXPECT_EQ(loader.rsdp_copy.bytes, 0u);
    EXPECT_TRUE(same(loader.framebuffer, {}));
    EXPECT_EQ(pages_occupied(loader),
              pages_on({{info, info + pvh::kBytes},
                        {at::kMap, at::kMap + stated.memory.size() * pvh::kMapEntryBytes},
                        {at::kModules, at::kModules + 3 * pvh::kModuleBytes},
                        text_span(at::kCmdline, stated.cmdline),
                        {stated.rsdp, stated.rsdp + 36}}));
}

TEST_F(Pvh, NeedsNothingButAMemoryMap) {
    put({});
    parse();
    EXPECT_EQ(str(loader.cmdline), "");
    EXPECT_EQ(loader.module_count, 0u);
    EXPECT_EQ(modules(), std::vector<StatedModule>());
    EXPECT_EQ(loader.rsdp_phys, 0u);
    EXPECT_EQ(pages_occupied(loader), pages_on({{info, info + 1}, {at::kMap, at::kMap + 1}}));
}

TEST_F(Pvh, StructuresOccupyAllTheirPages) {
    const std::string text(6000, 'x');
    put({.memory = std::vector<StatedRange>(300, {kMiB, kMiB, 1}),
         .modules = std::vector<StatedModule>(200),
         .cmdline = text});
    parse();
    EXPECT_EQ(pages_occupied(loader),
              pages_on({{info, info + pvh::kBytes},
                        {at::kMap, at::kMap + 300 * pvh::kMapEntryBytes},
                        {at::kModules, at::kModules + 200 * pvh::kModuleBytes},
                        text_span(at::kCmdline, text)}));
}

TEST_F(Pvh, LaterVersionsAreReadAsTheFirst) {
    put({});
    poke<uint32_t>(pvh::kVersion, 2);
    poke<uint32_t>(pvh::kBytes, 0xffffffff); // what a later version may have there
    parse();
    EXPECT_EQ(ranges_of(loader.memory), Stated().memory);
}

TEST_F(Pvh, StructuresNeedNotBeAligned) {
    put({});
    const uint64_t bytes = Stated().memory.size() * pvh::kMapEntryBytes;
    memory.put_bytes(at::kMap + 0x801, memory.at(at::kMap), bytes);
    poke<uint64_t>(pvh::kMap, at::kMap + 0x801);
    memory.put_bytes(at::kInfo + 0x83, memory.at(at::kInfo), pvh::kBytes);
    info = at::kInfo + 0x83;
    parse();
    EXPECT_EQ(ranges_of(loader.memory), Stated().memory);
}

TEST_F(Pvh, StructuresMayEndWhereMemoryEnds) {
    put({.modules = {{1, 2, "m"}}, .cmdline = "c"});
    const auto move_to_the_end = [&](uint64_t from, uint64_t bytes) {
        const uint64_t to = memory.end() - bytes;
        std::memcpy(memory.at(to), memory.at(from), bytes);
        return to;
    };
    const uint64_t map_bytes = Stated().memory.size() * pvh::kMapEntryBytes;
    poke<uint64_t>(pvh::kMap, move_to_the_end(at::kMap, map_bytes));
    parse();
    EXPECT_EQ(ranges_of(loader.memory), Stated().memory);
    poke<uint64_t>(pvh::kMap, at::kMap);
    poke<uint64_t>(pvh::kModuleList, move_to_the_end(at::kModules, pvh::kModuleBytes));
    parse();
    EXPECT_EQ(modules(), (std::vector<StatedModule>{{1, 2, "m"}}));
    info = move_to_the_end(at::kInfo, pvh::kBytes);
    poke<uint64_t>(pvh::kModuleList, at::kModules);
    parse();
    EXPECT_EQ(ranges_of(loader.memory), Stated().memory);
}

TEST_F(Pvh, AWrongMagicIsNamed) {
    put({});
    poke<uint32_t>(pvh::kMagic, 0x336ec579);
    EXPECT_EQ(parse_fails(), failure(Error::pvh_magic, {info, 0x336ec579}));
}

// As Xen enters dom0, with so many ranges.
struct PvhOfDom0 : Pvh {
    void SetUp() override {
        put({.modules = {{0x1000000, 0x12345, "initrd"}}, .cmdline = "dom0", .rsdp = 0xf5a40});
        poke<uint32_t>(pvh::kVersion, 0);
        poke<uint64_t>(pvh::kMap, ~uint64_t{0}); // no field of version 0's
        poke<uint32_t>(pvh::kMapEntries, 0xffffffff);
        fake_xen.is_there = true;
        with_ranges(3);
    }
    void TearDown() override { fake_xen = {}; }
    void with_ranges(uint64_t count) {
        fake_xen.map.clear();
        for (uint64_t i = 0; i != count; ++i)
            fake_xen.map.push_back({i * kMiB, kPage, kE820Usable});
    }
    std::vector<StatedRange> stated() const {
        std::vector<StatedRange> ranges;
        for (const RawRange& range : fake_xen.map)
            ranges.push_back({range.start, range.bytes, range.e820_type});
        return ranges;
    }
};

TEST_F(PvhOfDom0, TheMemoryMapIsXens) {
    parse();
    EXPECT_EQ(ranges_of(loader.memory), stated());
    EXPECT_EQ(str(loader.cmdline), "dom0");
    EXPECT_EQ(modules(), (std::vector<StatedModule>{{0x1000000, 0x12345, "initrd"}}));
    EXPECT_EQ(loader.rsdp_phys, 0xf5a40u);
    EXPECT_EQ(pages_occupied(loader), pages_on({{info, info + pvh::kMap},
                                                {at::kModules, at::kModules + pvh::kModuleBytes},
                                                text_span(at::kCmdline, "dom0"),
                                                {0xf5a40, 0xf5a40 + 36}}));
}

TEST_F(PvhOfDom0, AsManyRangesAsLinuxTakesAndNoMore) {
    with_ranges(128);
    parse();
    EXPECT_EQ(ranges_of(loader.memory), stated());
    for (const uint64_t more : {129u, 1000u}) {
        with_ranges(more);
        EXPECT_EQ(parse_fails(), failure(Error::too_many_entries, {129, 128}, "Xen's memory map"));
    }
}

TEST_F(PvhOfDom0, AXenThatHasNoneIsNamed) {
    const std::string what = "Xen has none: its error number negated, entries";
    with_ranges(0);
    EXPECT_EQ(parse_fails(), failure(Error::pvh_version_0, {0, 0}, what));
    fake_xen.status = -38; // ENOSYS
    EXPECT_EQ(parse_fails(), failure(Error::pvh_version_0, {38, 0}, what));
}

TEST_F(PvhOfDom0, WithoutXenThereIsNoMemoryMap) {
    fake_xen.is_there = false;
    EXPECT_EQ(parse_fails(),
              failure(Error::pvh_version_0, {}, "CPUID knows of no Xen to be asked"));
}

TEST_F(PvhOfDom0, NotAByteOfVersion1IsRead) {
    info = memory.end() - pvh::kMap;
    poke<uint32_t>(pvh::kMagic, 0x336ec578);
    parse();
    EXPECT_EQ(ranges_of(loader.memory), stated());
    poke<uint32_t>(pvh::kVersion, 1);
    EXPECT_EQ(parse_fails(), failure(Error::out_of_reach, {pvh::kBytes, info}, "pvh start info"));
}

TEST_F(Pvh, AnEmptyOrAbsentMemoryMapIsNamed) {
    put({});
    poke<uint32_t>(pvh::kMapEntries, 0);
    EXPECT_EQ(parse_fails(), failure(Error::pvh_memory, {1, 0, at::kMap}));
    poke<uint32_t>(pvh::kMapEntries, 3);
    poke<uint64_t>(pvh::kMap, 0);
    EXPECT_EQ(parse_fails(), failure(Error::pvh_memory, {1, 3, 0}));
}

TEST_F(Pvh, AsManyRangesAndModulesAsAreBelieved) {
    constexpr uint64_t kMap = 0x100000, kList = 0x10000;
    constexpr uint32_t kRanges = 1 << 20;
    FakeMemory large(kMap + uint64_t{kRanges} * pvh::kMapEntryBytes);
    info = put_pvh(large, {.modules = {{1, 2, std::nullopt}}});
    large.put<uint64_t>(info + pvh::kMap, kMap);
    large.put<uint32_t>(info + pvh::kMapEntries, kRanges);
    large.put<uint64_t>(info + pvh::kModuleList, kList);
    large.put<uint32_t>(info + pvh::kModuleCount, 4096);
    prologue_parse_pvh(large.seen, info, loader);
    EXPECT_EQ(loader.memory.most_entries(), kRanges);
    EXPECT_EQ(modules_of(large, prologue_next_pvh_module, loader.modules).size(), 4096u);
}

TEST_F(Pvh, CountsThatCannotBeTrueAreNamed) {
    put({.modules = {{1, 2, "m"}}});
    poke<uint32_t>(pvh::kMapEntries, 0x100001);
    EXPECT_EQ(parse_fails(),
              failure(Error::too_many_entries, {0x100001, 0x100000}, "pvh memory map"));
    poke<uint32_t>(pvh::kMapEntries, 1);
    poke<uint32_t>(pvh::kModuleCount, 4097);
    EXPECT_EQ(parse_fails(), failure(Error::too_many_entries, {4097, 4096}, "pvh module list"));
}

TEST_F(Pvh, WhatRunsPastMemoryIsNamed) {
    const uint64_t end = memory.end();
    info = end - 8;
    auto failed = parse_fails();
    ASSERT_TRUE(failed);
    EXPECT_EQ(failed->error, Error::out_of_reach);
    EXPECT_EQ(failed->what, "pvh start info");
    EXPECT_EQ(failed->numbers[1], info);

    const uint64_t map_bytes = Stated().memory.size() * pvh::kMapEntryBytes;
    for (const uint64_t map : {end - map_bytes + 1, ~uint64_t{0} - 5}) {
        put({});
        poke<uint64_t>(pvh::kMap, map);
        EXPECT_EQ(parse_fails(), failure(Error::out_of_reach, {map_bytes, map}, "pvh memory map"));
    }
    put({.modules = {{1, 2, "m"}}, .cmdline = "c"});
    poke<uint64_t>(pvh::kModuleList, end - pvh::kModuleBytes + 1);
    EXPECT_EQ(parse_fails(),
              failure(Error::out_of_reach, {pvh::kModuleBytes, end - pvh::kModuleBytes + 1},
                      "pvh module list"));
    put({.cmdline = "c"});
    poke<uint64_t>(pvh::kCmdline, end + 5);
    failed = parse_fails();
    ASSERT_TRUE(failed);
    EXPECT_EQ(failed->error, Error::out_of_reach);
    EXPECT_EQ(failed->what, "pvh command line");
}

// QEMU's qboot leaves the pointer as it found it.
TEST_F(Pvh, AModulesTextThatCannotBeReadIsLeftOut) {
    for (const uint64_t nowhere :
         {memory.end(), ~uint64_t{0}, ~uint64_t{0} << 52, uint64_t{1} << 63}) {
        put({.modules = {{1, 2, "m"}}});
        memory.put<uint64_t>(at::kModules + 16, nowhere);
        parse();
        EXPECT_EQ(modules(), (std::vector<StatedModule>{{1, 2, ""}})) << nowhere;
        ModuleCursor cursor = loader.modules;
        LoaderModule module;
        prologue_next_pvh_module(memory.seen, cursor, module);
        EXPECT_TRUE(module.text_is_lost);
    }
}

TEST_F(Pvh, AModuleWhereNoMemoryCanBeIsNamed) {
    const struct {
        uint64_t start, bytes;
    } cases[] = {{kMiB, ~uint64_t{0} - kMiB + 1},
                 {~uint64_t{0}, 0},
                 {(1ull << 52) + 1, 0},
                 {(1ull << 52) - kMiB, kMiB + 1},
                 {kMiB, 1ull << 52}};
    for (const auto& one : cases) {
        put({.modules = {{one.start, one.bytes, "m"}}});
        EXPECT_EQ(modules_fail(), failure(Error::module_too_high, {one.start, one.bytes}, "pvh"));
    }
}

TEST_F(Pvh, AModuleMayEndWherePhysicalMemoryEnds) {
    const uint64_t bytes = (1ull << 52) - kMiB;
    put({.modules = {{kMiB, bytes, "m"}}});
    parse();
    EXPECT_EQ(modules(), (std::vector<StatedModule>{{kMiB, bytes, "m"}}));
}

} // namespace
} // namespace prologue::test
