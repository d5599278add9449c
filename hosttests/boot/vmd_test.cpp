// OpenBSD vmd: how it is known, what is read out of its boot arguments, and how each
// lie in them is named.

#include "contract_magic.h"
#include "entry_state.h"
#include "parsing.h"

namespace prologue::test {
namespace {

struct Vmd : testing::Test {
    FakeMemory memory{at::kMemory};
    uint64_t info = 0;
    LoaderInfo loader;

    void put(const Stated& stated) { info = put_vmd(memory, stated); }
    template <class T>
    void poke(uint64_t offset, T value) {
        memory.put<T>(info + offset, value);
    }
    // A list of one record, said to have that many bytes.
    void put_record(uint32_t type, const std::string& payload, uint64_t list = at::kMap) {
        const auto bytes = static_cast<uint32_t>(vmd::kHeaderBytes + payload.size());
        const std::string record = raw(type) + raw(bytes) + raw(bytes) + payload;
        memory.put_bytes(list, record.data(), record.size());
        poke<uint32_t>(vmd::kList, static_cast<uint32_t>(list));
        poke<uint32_t>(vmd::kListBytes, bytes);
    }
    void parse() {
        loader = {};
        prologue_parse_vmd(memory.seen, info, loader);
    }
    std::optional<Failure> parse_fails() {
        return failure_of([&] { parse(); });
    }
    uint32_t recognised(uint64_t sp, uint32_t mode = 0) {
        const EntryState state = {.sp = sp, .mode = mode};
        uint64_t known_at = 0;
        const uint32_t magic = prologue_recognise_vmd(memory.seen, state, known_at);
        EXPECT_EQ(known_at, magic == 0 ? 0 : sp);
        return magic;
    }
};

const prologue_boot kBoot = {
    .howto = 0x802,
    .device = 0xa0000400,
    .console = {.device = 0x801,
                .speed = 115200,
                .address = 0x1fedc0000,
                .frequency = 48000000,
                .flags = PROLOGUE_CONSOLE_IN_MEMORY,
                .register_width = 4,
                .register_shift = 2},
    .mac = {0xfe, 0xe1, 0xba, 0xd1, 0x23, 0x45},
    .mac_bytes = 6,
};

TEST_F(Vmd, IsReadWhole) {
    const Stated stated = {.boot = kBoot};
    put(stated);
    parse();
    EXPECT_EQ(loader.loader, uint32_t{PROLOGUE_LOADER_VMD});
    EXPECT_EQ(ranges_of(loader.memory), stated.memory);
    EXPECT_EQ(loader.memory.most_entries(), stated.memory.size());
    EXPECT_EQ(std::memcmp(&loader.boot, &kBoot, sizeof kBoot), 0);
    EXPECT_EQ(loader.kernel_end, 0x123450u);
    EXPECT_EQ(loader.module_count, 0u);
    EXPECT_EQ(modules_of(memory, prologue_next_vmd_module, loader.modules),
              std::vector<StatedModule>());
    const auto list_bytes = memory.get<uint32_t>(info + vmd::kListBytes);
    EXPECT_EQ(pages_occupied(loader),
              pages_on({{info, info + vmd::kStackBytes}, {at::kMap, at::kMap + list_bytes}}));
}

TEST_F(Vmd, NeedsNothingButAMemoryMap) {
    put({});
    parse();
    EXPECT_EQ(ranges_of(loader.memory), Stated().memory);
    const prologue_boot none = {};
    EXPECT_EQ(std::memcmp(&loader.boot, &none, sizeof none), 0);
}

TEST_F(Vmd, AnOlderConsoleHas32BitsForItsAddress) {
    put({.boot = {.console = {.device = 1}}});
    const uint64_t console = at::kMap + vmd::kHeaderBytes + 20 * 5;
    const uint32_t old[] = {5, 12 + 16, 12 + 16, 0x803, 9600, 0x2f8, 1843200};
    memory.put(console, old);
    poke<uint32_t>(vmd::kListBytes, static_cast<uint32_t>(console + sizeof old - at::kMap));
    parse();
    EXPECT_EQ(loader.boot.console.device, 0x803u);
    EXPECT_EQ(loader.boot.console.speed, 9600u);
    EXPECT_EQ(loader.boot.console.address, 0x2f8u);
    EXPECT_EQ(loader.boot.console.frequency, 1843200u);
    EXPECT_EQ(loader.boot.console.flags, 0u);
}

TEST_F(Vmd, UnknownArgumentsAreSteppedOver) {
    put({});
    const auto map_bytes = memory.get<uint32_t>(at::kMap + 4);
    const std::string map(reinterpret_cast<const char*>(memory.at(at::kMap)), map_bytes);
    for (const uint32_t type : {1u, 2u, 3u, 4u, 6u, 8u, 9u, 10u, 11u, 12u, 0x7fffffffu}) {
        const std::string before = raw(type) + raw(uint32_t{12 + 7}) + raw(~uint32_t{0}) +
                                   "payload";
        memory.put_bytes(at::kMap, (before + map).data(), before.size() + map.size());
        poke<uint32_t>(vmd::kListBytes, static_cast<uint32_t>(before.size() + map.size()));
        parse();
        EXPECT_EQ(ranges_of(loader.memory), Stated().memory) << type;
    }
}

TEST_F(Vmd, TheMapMayEndWithItsArgument) {
    put({});
    const std::string range = raw(uint64_t{kMiB}) + raw(uint64_t{kMiB}) + raw(uint32_t{1});
    put_record(0, range + range + "a part");
    parse();
    EXPECT_EQ(ranges_of(loader.memory), (std::vector<StatedRange>(2, {kMiB, kMiB, 1})));
}

TEST_F(Vmd, TheListMayEndWithMemoryAndHoldNoEnd) {
    put({});
    const auto bytes = memory.get<uint32_t>(info + vmd::kListBytes);
    const uint64_t list = memory.end() - bytes;
    std::memmove(memory.at(list), memory.at(at::kMap), bytes);
    poke<uint32_t>(vmd::kList, static_cast<uint32_t>(list));
    info = list - vmd::kStackBytes;
    std::memmove(memory.at(info), memory.at(at::kInfo), vmd::kStackBytes);
    parse();
    EXPECT_EQ(ranges_of(loader.memory), Stated().memory);
}

TEST_F(Vmd, WhatFollowsTheEndIsNotRead) {
    put({});
    const auto bytes = memory.get<uint32_t>(info + vmd::kListBytes);
    memory.put<uint32_t>(at::kMap + bytes + vmd::kHeaderBytes, 7); // a MAC of no bytes
    poke<uint32_t>(vmd::kListBytes, bytes + 2 * static_cast<uint32_t>(vmd::kHeaderBytes));
    parse();
    EXPECT_EQ(loader.boot.mac_bytes, 0u);
}

TEST_F(Vmd, ArgumentsOfImpossibleSizesAreNamed) {
    put({});
    const auto list_bytes = memory.get<uint32_t>(info + vmd::kListBytes);
    for (const uint32_t bytes : {0u, 11u, list_bytes + 1, ~0u}) {
        memory.put<uint32_t>(at::kMap + 4, bytes);
        EXPECT_EQ(parse_fails(), failure(Error::vmd_info, {at::kMap, bytes},
                                         "a boot argument is too short, or longer than the list"));
    }
}

TEST_F(Vmd, ArgumentsTooShortForTheirTypeAreLeftOut) {
    put({});
    const struct {
        uint32_t type;
        uint64_t payload_bytes;
    } cases[] = {{5, 15}, {5, 0}, {7, 5}};
    for (const auto& one : cases) {
        put_record(one.type, std::string(one.payload_bytes, 'x'));
        const auto failed = parse_fails(); // that was the list's only record
        EXPECT_EQ(failed->what, "the boot arguments have no memory map");
        EXPECT_EQ(loader.left_out, uint32_t{PROLOGUE_LEFT_OUT_ARGUMENT});
        EXPECT_EQ(loader.boot.mac_bytes, 0u);
        EXPECT_EQ(loader.boot.console.device, 0u);
    }
}

TEST_F(Vmd, AMapOfNothingIsNamed) {
    put({});
    put_record(0, raw(uint64_t{0}) + raw(uint64_t{0}) + raw(uint32_t{0}));
    EXPECT_EQ(parse_fails(),
              failure(Error::vmd_info, {at::kMap, 32}, "the boot arguments have no memory map"));
    put_record(8, "");
    EXPECT_EQ(parse_fails(),
              failure(Error::vmd_info, {at::kMap, 12}, "the boot arguments have no memory map"));
}

TEST_F(Vmd, AListThatCannotBeIsNamed) {
    put({});
    poke<uint32_t>(vmd::kListBytes, 64 * 1024 + 1);
    EXPECT_EQ(parse_fails(), failure(Error::vmd_info, {at::kMap, 64 * 1024 + 1},
                                     "the boot arguments are too long"));
    poke<uint32_t>(vmd::kListBytes, 64 * 1024);
    EXPECT_EQ(parse_fails(),
              failure(Error::out_of_reach, {64 * 1024, at::kMap}, "vmd boot arguments"));
}

TEST_F(Vmd, IsKnownByItsStack) {
    put({});
    EXPECT_EQ(recognised(info), uint32_t{VMD_MAGIC});
    EXPECT_EQ(recognised(info, MODE_PAGED32), uint32_t{VMD_MAGIC});
    EXPECT_EQ(recognised(info, MODE_COMPAT32), uint32_t{VMD_MAGIC});
    EXPECT_EQ(recognised(info, MODE_LONG64), 0u);
}

TEST_F(Vmd, AnyOtherStackIsNotIts) {
    for (const auto& [offset, value] :
         std::vector<std::pair<uint64_t, uint32_t>>{{vmd::kReturnAddress, 1},
                                                    {vmd::kApiVersion, 0x0f},
                                                    {vmd::kList, 0},
                                                    {vmd::kListBytes, 11}}) {
        put({});
        poke<uint32_t>(offset, value);
        EXPECT_EQ(recognised(info), 0u) << offset;
    }
    EXPECT_EQ(recognised(at::kModules), 0u);
    EXPECT_EQ(recognised(memory.end() - vmd::kStackBytes + 1), 0u);
    EXPECT_EQ(recognised(~uint64_t{0} - 4), 0u);
    put_freebsd(memory, {});
    EXPECT_EQ(recognised(at::kInfo), 0u);
}

} // namespace
} // namespace prologue::test
