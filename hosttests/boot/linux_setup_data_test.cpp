// Linux: setup_data, and what it leads to.

#include "linux_parsing.h"

namespace prologue::test {
namespace {

TEST_F(Linux, RangesBeyond128AreInSetupData) {
    Stated stated;
    stated.memory = many_ranges(200);
    put(stated);
    parse();
    std::vector<StatedRange> all = ranges_of(loader.memory);
    EXPECT_EQ(all.size(), 128u);
    for (const StatedRange& range : ranges_of(loader.more_memory))
        all.push_back(range);
    EXPECT_EQ(all, stated.memory);
    EXPECT_EQ(pages_occupied(loader),
              pages_on({{info, info + kBytes},
                        {at::kMap, at::kMap + kDataPayload + 72 * kMapEntryBytes}}));
}

TEST_F(Linux, OtherSetupDataIsMarkedAndSkipped) {
    put({});
    poke<uint64_t>(kSetupData, kData);
    put_data(kData, kData + 0x3ff0, 9, 0x500);      // a seed
    put_data(kData + 0x3ff0, kData + 0x8000, 0, 0); // nothing, at a page's end
    put_data(kData + 0x8000, 0, 0x80000001, 0x10);
    parse();
    EXPECT_EQ(loader.more_memory.bytes, 0u);
    EXPECT_EQ(loader.seed.bytes, 0x500u);
    EXPECT_EQ(memory.seen.phys_of(loader.seed.start), kData + kDataPayload);
    EXPECT_EQ(pages_occupied(loader), pages_on({{info, info + kBytes},
                                                {kData, kData + 0x510},
                                                {kData + 0x3ff0, kData + 0x4000},
                                                {kData + 0x8000, kData + 0x8020}}));
}

TEST_F(Linux, WhatSetupDataLeadsToIsOccupied) {
    const auto occupied = [&](uint32_t type, const std::string& payload,
                              const std::vector<Span>& spans) {
        put({});
        poke<uint64_t>(kSetupData, kData);
        put_data(kData, 0, type, static_cast<uint32_t>(payload.size()));
        memory.put_bytes(kData + kDataPayload, payload.data(), payload.size());
        parse();
        std::vector<Span> all = {{info, info + kBytes}, {kData, kData + 1}};
        all.insert(all.end(), spans.begin(), spans.end());
        EXPECT_EQ(pages_occupied(loader), pages_on(all)) << type;
    };
    const uint64_t start = 0x300ff0, bytes = 0x2000;
    const Span there = {start, start + bytes};
    const auto indirect = [&](uint32_t type) {
        return raw(type) + raw(uint32_t{0}) + raw(bytes) + raw(start);
    };
    const uint32_t kIndirectBit = 1u << 31;
    occupied(kIndirectBit, indirect(kIndirectBit | 2), {there});
    occupied(kIndirectBit | 2, indirect(kIndirectBit | 2), {there});
    occupied(8, raw(start) + raw(bytes), {there}); // IMA's measurements
    occupied(10, raw(start) + raw(bytes) + raw(uint64_t{0x500000}) + raw(uint64_t{1}),
             {there, {0x500000, 0x500001}}); // kexec's handover
    occupied(4, raw(uint64_t{1}) + raw(uint64_t{0}) + raw(start) + raw(uint64_t{0x500000}),
             {{start, start + 1}, {0x500000, 0x500001}}); // EFI, of an older kernel
    // Nothing is believed that is too short, is nowhere or has no end.
    occupied(kIndirectBit, indirect(0).substr(1), {});
    occupied(8, raw(uint64_t{0}) + raw(bytes), {});
    occupied(8, raw(uint64_t{1} << 52) + raw(bytes), {});
    occupied(8, raw(start) + raw(~uint64_t{0}), {});
    occupied(5, raw(start) + raw(bytes), {}); // no pointers in it
}

TEST_F(Linux, TheConfidentialBlobAndItsPagesAreOccupied) {
    const uint64_t blob = 0x8000;
    const auto put_blob = [&](uint32_t magic) {
        memory.put(blob, magic);
        memory.put(blob + 4, uint32_t{1});
        memory.put(blob + 8, uint64_t{0x400000});
        memory.put(blob + 16, uint32_t{0x1000});
        memory.put(blob + 24, uint64_t{0x402000});
        memory.put(blob + 32, uint32_t{0x3ffff000});
    };
    const std::vector<Span> due = {
        {0x1000, 0x2000}, {blob, blob + 40}, {0x400000, 0x401000}, {0x402000, 0x403000}};
    for (const bool in_setup_data : {false, true}) {
        put({});
        std::vector<Span> spans = due;
        if (in_setup_data) {
            poke<uint64_t>(kSetupData, kData);
            put_data(kData, 0, 7, 4);
            memory.put(kData + kDataPayload, static_cast<uint32_t>(blob));
            spans.push_back({kData, kData + 20});
        } else {
            poke(kBlob, static_cast<uint32_t>(blob));
        }
        put_blob(0x45444d41);
        parse();
        EXPECT_EQ(pages_occupied(loader), pages_on(spans));
        put_blob(0x45444d42);
        parse();
        EXPECT_EQ(pages_occupied(loader).count(0x400), 0u);
    }
    put({});
    poke(kBlob, 0xfffffff0u); // out of reach
    parse();
    EXPECT_EQ(pages_occupied(loader), pages_on({{0x1000, 0x2000}}));
}

TEST_F(Linux, TbootsPageAndEfisTablesAreOccupied) {
    put({});
    poke<uint64_t>(kTboot, 0x5000000);
    poke<uint32_t>(kEfiSignature, 0x34364c45);
    poke<uint32_t>(kEfiTable, 0x6000ff0);
    parse();
    EXPECT_EQ(pages_occupied(loader),
              pages_on({{info, info + kBytes}, {0x5000000, 0x5001000}, {0x6000ff0, 0x6001068}}));
}

TEST_F(Linux, AnEfiMapThatCannotBeReadIsLeftOut) {
    const struct {
        uint32_t at, bytes, descriptor;
    } maps[] = {{0x8000, 96, 39},
                {0x8000, 96, 0},
                {0x8000, 16 * 1024 * 1024 + 48, 48},
                {kMemory - 95, 96, 48},
                {0xfffffff0, 96, 48}};
    for (const auto& map : maps) {
        put({});
        poke<uint32_t>(kEfiSignature, 0x34364c45);
        poke(kEfiMap, map.at);
        poke(kEfiMapBytes, map.bytes);
        poke(kEfiDescriptorBytes, map.descriptor);
        parse();
        EXPECT_EQ(loader.uefi.memory_map_bytes, 0u);
        EXPECT_EQ(loader.left_out, uint32_t{PROLOGUE_LEFT_OUT_EFI});
    }
}

// Each in a page of its own, as the firmware's pool has them: as many as are documented.
TEST_F(Linux, SixtyFourScatteredPiecesAreOccupiedExactly) {
    for (const unsigned count : {64u, 65u}) {
        FakeMemory large(0x200000);
        info = put_linux(large, {});
        std::vector<Span> due = {{info, info + kBytes}};
        for (uint64_t i = 0; i != count; ++i) {
            const uint64_t at = 0x10000 + i * 0x4000, leads_to = 0x10000000 + i * 0x10000;
            large.put(at, i + 1 == count ? uint64_t{0} : at + 0x4000);
            large.put(at + kDataType, uint32_t{8});
            large.put(at + kDataBytes, uint32_t{16});
            large.put(at + kDataPayload, leads_to);
            large.put(at + kDataPayload + 8, uint64_t{0x1000});
            due.push_back({at, at + 32});
            due.push_back({leads_to, leads_to + 0x1000});
        }
        large.put(info + kSetupData, uint64_t{0x10000});
        loader = {};
        const auto failed = failure_of([&] { prologue_parse_linux(large.seen, info, loader); });
        if (count == 64) {
            ASSERT_EQ(failed, std::nullopt);
            EXPECT_EQ(pages_occupied(loader), pages_on(due));
        } else {
            EXPECT_EQ(failed,
                      refused("the list of setup_data does not end", 0x10000 + 64 * 0x4000, 64));
        }
    }
}

TEST_F(Linux, APieceAndAnEfiMapOf16MiBAndNoMore) {
    constexpr uint32_t kMost = 16 << 20;
    constexpr uint64_t kPiece = 0x100000, kFirmwares = kPiece + 2 * kMost;
    FakeMemory large(kFirmwares + kMost);
    info = put_linux(large, {});
    large.put(info + kSetupData, kPiece);
    large.put(kPiece + kDataType, uint32_t{8});
    large.put(kPiece + kDataBytes, kMost);
    large.put(info + kEfiSignature, 0x34364c45);
    large.put(info + kEfiMap, static_cast<uint32_t>(kFirmwares));
    large.put(info + kEfiMapBytes, kMost);
    large.put(info + kEfiDescriptorBytes, 64);
    prologue_parse_linux(large.seen, info, loader);
    EXPECT_EQ(loader.uefi.memory_map_bytes, kMost);
    EXPECT_EQ(loader.left_out, 0u);
    EXPECT_EQ(pages_occupied(loader).count((kPiece + kMost) / kPage), 1u);
    large.put(kPiece + kDataBytes, kMost + 1);
    EXPECT_EQ(failure_of([&] { prologue_parse_linux(large.seen, info, loader); }),
              refused("a piece of setup_data is too long", kPiece, kMost + 1));
}

TEST_F(Linux, ALoopOfSetupDataIsNamed) {
    put({});
    poke<uint64_t>(kSetupData, kData);
    put_data(kData, kData + 0x100, 9, 8);
    put_data(kData + 0x100, kData, 9, 8);
    EXPECT_EQ(parse_fails(), refused("the list of setup_data does not end", kData, 64));
}

TEST_F(Linux, SetupDataThatRunsOutOfMemoryIsNamed) {
    put({});
    poke<uint64_t>(kSetupData, kMemory - 8);
    EXPECT_EQ(parse_fails(), failure(Error::out_of_reach, {16, kMemory - 8}, "linux setup_data"));
    poke<uint64_t>(kSetupData, ~uint64_t{7});
    EXPECT_EQ(parse_fails(), failure(Error::out_of_reach, {16, ~uint64_t{7}}, "linux setup_data"));
    poke<uint64_t>(kSetupData, kMemory - 16);
    put_data(kMemory - 16, 0, 9, 1);
    EXPECT_EQ(parse_fails(), failure(Error::out_of_reach, {1, kMemory}, "linux setup_data"));
    put_data(kMemory - 16, 0, 9, 0);
    EXPECT_EQ(parse_fails(), std::nullopt);
}

TEST_F(Linux, SetupDataThatIsTooLongIsNamed) {
    put({});
    poke<uint64_t>(kSetupData, kData);
    put_data(kData, 0, 9, 0xffffffff);
    EXPECT_EQ(parse_fails(), refused("a piece of setup_data is too long", kData, 0xffffffff));
}

TEST_F(Linux, AMapInSetupDataHasWholeEntriesAndComesOnce) {
    put({});
    poke<uint64_t>(kSetupData, kData);
    put_data(kData, 0, 1, kMapEntryBytes + 1);
    EXPECT_EQ(parse_fails(), refused("setup_data's memory map is not one", kData, 21));
    put_data(kData, kData + 0x100, 1, kMapEntryBytes);
    put_data(kData + 0x100, 0, 1, kMapEntryBytes);
    EXPECT_EQ(parse_fails(), refused("setup_data's memory map is not one", kData + 0x100, 20));
    put_data(kData, 0, 1, 0);
    EXPECT_EQ(parse_fails(), std::nullopt);
}

} // namespace
} // namespace prologue::test
