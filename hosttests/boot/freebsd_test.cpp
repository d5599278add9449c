// FreeBSD's 32-bit contract: how it is known, what is read out of bootinfo and the
// records, and how each lie in them is named.

#include "contract_magic.h"
#include "entry_state.h"
#include "parsing.h"

namespace prologue::test {
namespace {

std::string environment_of(const LoaderInfo& loader) {
    return std::string(loader.boot.environment, loader.boot.environment_bytes);
}

const char kNotEnded[] = "the list of records does not end before the kernel's end";
const char kNotBetween[] = "the list of records cannot be between these addresses";

struct Freebsd : testing::Test {
    FakeMemory memory{at::kMemory};
    uint64_t info = 0;
    LoaderInfo loader;

    void put(const Stated& stated) { info = put_freebsd(memory, stated); }
    template <class T>
    void poke(uint64_t offset, T value) {
        memory.put<T>(info + offset, value);
    }
    uint32_t kernel_end() { return memory.get<uint32_t>(info + freebsd::kKernelEnd); }
    // Where the first record of a type is.
    uint64_t record(uint32_t type) {
        uint64_t where = at::kMap;
        while (memory.get<uint32_t>(where) != type)
            where += freebsd::padded_record(memory.get<uint32_t>(where + 4));
        return where;
    }
    void parse() {
        loader = {};
        prologue_parse_freebsd(memory.seen, info, loader);
    }
    std::vector<StatedModule> modules() {
        return modules_of(memory, prologue_next_freebsd_module, loader.modules);
    }
    std::optional<Failure> parse_fails() {
        return failure_of([&] { parse(); });
    }
    std::optional<Failure> modules_fail() {
        parse();
        return failure_of([&] { modules(); });
    }
    uint32_t recognised(uint64_t sp, uint32_t mode = 0) {
        const EntryState state = {.sp = sp, .mode = mode};
        uint64_t known_at = 0;
        const uint32_t magic = prologue_recognise_freebsd(memory.seen, state, known_at);
        EXPECT_EQ(known_at, magic == 0 ? 0 : sp);
        return magic;
    }
};

TEST_F(Freebsd, IsReadWhole) {
    const Stated stated = {
        .modules = {{0x400000, 0x12345, "/boot/kernel/a.ko"},
                    {0x500000, 0, "b"},
                    {0x600000, 1, ""}},
        .cmdline = "-v verbose",
        .boot = {.howto = 0x800, .device = 0xa0200000},
        .environment = {"console=comconsole", "empty=", "x=a b"},
    };
    put(stated);
    parse();
    EXPECT_EQ(loader.loader, uint32_t{PROLOGUE_LOADER_FREEBSD});
    EXPECT_EQ(ranges_of(loader.memory), stated.memory);
    EXPECT_EQ(str(loader.cmdline), stated.cmdline);
    EXPECT_EQ(loader.boot.howto, 0x80000800u);
    EXPECT_EQ(loader.boot.device, 0xa0200000u);
    EXPECT_EQ(loader.boot.console.device, 0u);
    const char environment[] = "console=comconsole\0empty=\0x=a b";
    EXPECT_EQ(environment_of(loader), std::string(environment, sizeof environment));
    EXPECT_EQ(loader.module_count, 3u);
    EXPECT_EQ(modules(), stated.modules);
    EXPECT_EQ(loader.kernel_end, kernel_end());
    EXPECT_EQ(pages_occupied(loader),
              pages_on({{info, info + freebsd::kBothBytes},
                        {at::kMap, kernel_end()},
                        {at::kCmdline, at::kCmdline + sizeof environment + 1}}));
}

TEST_F(Freebsd, NeedsNothingButAMemoryMap) {
    put({});
    poke<uint32_t>(freebsd::kEnvironment, 0);
    parse();
    EXPECT_EQ(ranges_of(loader.memory), Stated().memory);
    EXPECT_EQ(str(loader.cmdline), "");
    EXPECT_EQ(loader.boot.environment, nullptr);
    EXPECT_EQ(loader.module_count, 0u);
    EXPECT_EQ(modules(), std::vector<StatedModule>());
}

TEST_F(Freebsd, AnEmptyEnvironmentIsNone) {
    put({});
    parse();
    EXPECT_EQ(environment_of(loader), "");
}

TEST_F(Freebsd, AModulesOwnRecordsAreNotTheKernels) {
    put({.modules = {{0x400000, 0x1000, "first"}}, .cmdline = "the kernel's"});
    const uint64_t end = record(0);
    const std::string more = raw(uint32_t{6}) + raw(uint32_t{8}) + "another" + '\0' +
                             raw(uint32_t{0x9001}) + raw(uint32_t{0}) + raw(uint32_t{0}) +
                             raw(uint32_t{0});
    memory.put_bytes(end, more.data(), more.size());
    poke<uint32_t>(freebsd::kKernelEnd, static_cast<uint32_t>(end + more.size()));
    parse();
    EXPECT_EQ(str(loader.cmdline), "the kernel's");
    EXPECT_EQ(ranges_of(loader.memory), Stated().memory);
    EXPECT_EQ(modules(), (std::vector<StatedModule>{{0x400000, 0x1000, "first"}}));
}

TEST_F(Freebsd, TheListMayEndWithMemory) {
    put({.modules = {{0x400000, 0x1000, "m"}}});
    const uint64_t bytes = kernel_end() - at::kMap, list = memory.end() - bytes;
    std::memmove(memory.at(list), memory.at(at::kMap), bytes);
    poke<uint32_t>(freebsd::kRecords, static_cast<uint32_t>(list));
    poke<uint32_t>(freebsd::kKernelEnd, static_cast<uint32_t>(memory.end()));
    parse();
    EXPECT_EQ(ranges_of(loader.memory), Stated().memory);
    EXPECT_EQ(modules().size(), 1u);
}

TEST_F(Freebsd, AListThatCannotBeIsNamed) {
    put({});
    const uint32_t end = kernel_end();
    const struct {
        uint32_t start, end;
    } cases[] = {{0, end}, {end + 1, end}, {at::kMap, at::kMap + 16 * 1024 * 1024 + 1}};
    for (const auto& one : cases) {
        poke<uint32_t>(freebsd::kRecords, one.start);
        poke<uint32_t>(freebsd::kKernelEnd, one.end);
        EXPECT_EQ(parse_fails(), failure(Error::freebsd_info, {one.start, one.end}, kNotBetween));
    }
}

TEST_F(Freebsd, AListWithoutAnEndIsNamed) {
    put({});
    const uint64_t end = record(0);
    poke<uint32_t>(freebsd::kKernelEnd, static_cast<uint32_t>(end));
    EXPECT_EQ(parse_fails(), failure(Error::freebsd_info, {end, end}, kNotEnded));
    poke<uint32_t>(freebsd::kKernelEnd, static_cast<uint32_t>(end + 7));
    EXPECT_EQ(parse_fails(), failure(Error::freebsd_info, {end, end + 7}, kNotEnded));
}

TEST_F(Freebsd, ARecordLongerThanTheListIsNamed) {
    put({});
    const uint64_t smap = record(0x9001);
    const uint64_t left = kernel_end() - (smap + 8);
    for (const uint64_t bytes : {left + 1, uint64_t{0xffffffff}}) {
        memory.put<uint32_t>(smap + 4, static_cast<uint32_t>(bytes));
        EXPECT_EQ(parse_fails(),
                  failure(Error::freebsd_info, {smap, bytes}, "a record is longer than the list"));
    }
}

TEST_F(Freebsd, AMapOfPartsIsNamed) {
    put({});
    const uint64_t smap = record(0x9001);
    memory.put<uint32_t>(smap + 4, 79);
    EXPECT_EQ(parse_fails(), failure(Error::freebsd_info, {smap + 8, 79},
                                     "the memory map is not of whole ranges"));
}

TEST_F(Freebsd, NoMapIsNamed) {
    put({.memory = {}});
    EXPECT_EQ(parse_fails(), failure(Error::freebsd_info, {at::kMap, kernel_end()},
                                     "the kernel's records have no memory map"));
}

TEST_F(Freebsd, AModulesNumbersMayBeOf4Or8Bytes) {
    put({.modules = {{0x400000, 0x500000000, "m"}}});
    parse();
    EXPECT_EQ(modules(), (std::vector<StatedModule>{{0x400000, 0x500000000, "m"}}));
    put({.modules = {{0x400000, 0x5000, "m"}}});
    uint64_t size = record(0x9001);
    while (memory.get<uint32_t>(size) != 4)
        size += freebsd::padded_record(memory.get<uint32_t>(size + 4));
    memory.put<uint32_t>(size + 4, 4); // its upper half, 0, then ends the list
    parse();
    EXPECT_EQ(modules(), (std::vector<StatedModule>{{0x400000, 0x5000, "m"}}));
    memory.put<uint32_t>(size + 4, 3);
    EXPECT_EQ(modules_fail(),
              failure(Error::freebsd_info, {size + 8, 3}, "a record is too short for a number"));
}

TEST_F(Freebsd, AModuleWhereNoMemoryCanBeIsNamed) {
    put({.modules = {{0x400000, 1ull << 52, "m"}}});
    EXPECT_EQ(modules_fail(), failure(Error::module_too_high, {0x400000, 1ull << 52}, "freebsd"));
}

TEST_F(Freebsd, AListOf16MiBAndNoMore) {
    constexpr uint32_t kMost = 16 << 20;
    for (const uint32_t more : {0u, 1u}) {
        FakeMemory large(2 * kMost);
        const uint64_t where = put_freebsd(large, {.modules = std::vector<StatedModule>(1)});
        const auto records = large.get<uint32_t>(where + freebsd::kRecords);
        large.put<uint32_t>(where + freebsd::kKernelEnd, records + kMost + more);
        LoaderInfo much;
        const auto failed = failure_of([&] { prologue_parse_freebsd(large.seen, where, much); });
        if (more == 0)
            EXPECT_EQ(failed, std::nullopt);
        else
            EXPECT_EQ(failed,
                      failure(Error::freebsd_info, {records, records + kMost + 1}, kNotBetween));
    }
}

TEST_F(Freebsd, AsManyModulesAsAreBelieved) {
    FakeMemory large(64 * at::kMemory);
    const uint64_t where = put_freebsd(large, {.modules = std::vector<StatedModule>(4096)},
                                       {.map = 0x20000});
    LoaderInfo much;
    prologue_parse_freebsd(large.seen, where, much);
    EXPECT_EQ(much.module_count, 4096u);
}

TEST_F(Freebsd, TooManyModulesAreNamed) {
    FakeMemory large(64 * at::kMemory);
    const uint64_t where = put_freebsd(large, {.modules = std::vector<StatedModule>(4097)},
                                       {.map = 0x20000});
    LoaderInfo much;
    EXPECT_EQ(failure_of([&] { prologue_parse_freebsd(large.seen, where, much); }),
              failure(Error::too_many_entries, {4097, 4096}, "freebsd module list"));
}

TEST_F(Freebsd, AnEnvironmentThatDoesNotEndIsLeftOut) {
    FakeMemory large(64 * at::kMemory);
    const uint64_t where = put_freebsd(large, {}, {.cmdline = 0x20000});
    for (uint64_t at = 0x20000; at != 0x40000; at += 2)
        large.put_text(at, "x");
    LoaderInfo much;
    prologue_parse_freebsd(large.seen, where, much);
    EXPECT_EQ(much.left_out, uint32_t{PROLOGUE_LEFT_OUT_ARGUMENT});
    EXPECT_EQ(much.boot.environment, nullptr);
}

TEST_F(Freebsd, AnEnvironmentOutOfReachIsLeftOut) {
    put({.cmdline = "-v"});
    poke<uint32_t>(freebsd::kEnvironment, 0xf0000000);
    parse();
    EXPECT_EQ(loader.left_out, uint32_t{PROLOGUE_LEFT_OUT_ARGUMENT});
    EXPECT_EQ(loader.boot.environment, nullptr);
    EXPECT_EQ(str(loader.cmdline), "-v");
}

TEST_F(Freebsd, IsKnownByItsStackAndItsBootinfo) {
    put({});
    EXPECT_EQ(recognised(info), uint32_t{FREEBSD_MAGIC});
    EXPECT_EQ(recognised(info, MODE_PAGED32), uint32_t{FREEBSD_MAGIC});
    EXPECT_EQ(recognised(info, MODE_LONG64), 0u);
}

TEST_F(Freebsd, AnyOtherStackIsNotIts) {
    for (const auto& [offset, value] :
         std::vector<std::pair<uint64_t, uint32_t>>{{freebsd::kReturnAddress, 0},
                                                    {freebsd::kHowto, 0x7fffffff},
                                                    {freebsd::kZero, 1},
                                                    {freebsd::kZero + 4, 1},
                                                    {freebsd::kZero + 8, 1},
                                                    {freebsd::kBootinfo, 0xfffffff0},
                                                    {freebsd::kVersion, 2},
                                                    {freebsd::kBytes, 83}}) {
        put({});
        poke<uint32_t>(offset, value);
        EXPECT_EQ(recognised(info), 0u) << offset;
    }
    EXPECT_EQ(recognised(memory.end() - freebsd::kStackBytes + 1), 0u);
    put_vmd(memory, {});
    EXPECT_EQ(recognised(at::kInfo), 0u);
}

} // namespace
} // namespace prologue::test
