// prologue/multiboot.h: information made from a handoff is what Prologue's own parsers, which were
// written for loaders' information, read the handoff out of again.

#include "dice.h"
#include "parsing.h"

#include "prologue/multiboot.h"

namespace prologue::test {
namespace {

constexpr uint64_t kAt = 0x20000;
constexpr uint64_t kRoom = 0x4000;

struct MadeMultiboot : testing::Test {
    FakeMemory memory{0x10000 + kRoom, kAt - 0x1000};
    std::vector<prologue_range> ranges = {
        {0x1000, 0x9f000, PROLOGUE_MEMORY_USABLE, 0},
        {0x9f000, 0x100000, PROLOGUE_MEMORY_RESERVED, 0},
        {0x100000, 0x180000, PROLOGUE_MEMORY_KERNEL, 0},
        {0x180000, 0x190000, PROLOGUE_MEMORY_PROLOGUE, 0},
        {0x190000, 0x200000, PROLOGUE_MEMORY_LOADER, 0},
        {0x200000, 0x800000, PROLOGUE_MEMORY_USABLE, 0},
        {0x800000, 0x900000, PROLOGUE_MEMORY_MODULE, 0},
        {0xa00000, 0xb00000, PROLOGUE_MEMORY_ACPI, 0},
        {0xb00000, 0xc00000, PROLOGUE_MEMORY_NVS, 0},
        {0xc00000, 0xd00000, PROLOGUE_MEMORY_BAD, 0},
        {0x100000000, 0x140000000, PROLOGUE_MEMORY_UNACCEPTED, 0},
    };
    // By the specification's numbers; Prologue's own memory is taken, the kernel's is not.
    const std::vector<StatedRange> stated = {
        {0x1000, 0x9e000, 1},    {0x9f000, 0x61000, 2},   {0x100000, 0x80000, 1},
        {0x180000, 0x10000, 2},  {0x190000, 0x770000, 1}, {0xa00000, 0x100000, 3},
        {0xb00000, 0x100000, 4}, {0xc00000, 0x100000, 5}, {0x100000000, 0x40000000, 2},
    };
    std::vector<prologue_module> modules = {{0x800000, 0x123, "one a=b", 7}, {0x801000, 0, "", 0}};
    prologue_handoff handoff = {};
    LoaderInfo loader;

    MadeMultiboot() {
        handoff.cmdline = "console=ttyS0 quiet";
        handoff.cmdline_bytes = 19;
        handoff.load_base = 0x100000;
        handoff.framebuffer = kTrueColour;
        take();
    }
    void take() {
        handoff.memory = ranges.data();
        handoff.memory_count = ranges.size();
        handoff.modules = modules.data();
        handoff.module_count = modules.size();
    }
    uint64_t make1(uint64_t room = kRoom) {
        return prologue_make_multiboot1(&handoff, memory.at(kAt), room, kAt);
    }
    uint64_t make2(uint64_t room = kRoom, const void* rsdp = nullptr) {
        return prologue_make_multiboot2(&handoff, memory.at(kAt), room, rsdp);
    }
    std::vector<StatedModule> read_modules(NextModule* next) {
        return modules_of(memory, next, loader.modules);
    }
    void expect_the_same(NextModule* next) {
        EXPECT_EQ(ranges_of(loader.memory), stated);
        EXPECT_EQ(str(loader.cmdline), handoff.cmdline);
        EXPECT_EQ(loader.module_count, 2u);
        EXPECT_EQ(read_modules(next),
                  (std::vector<StatedModule>{{0x800000, 0x123, "one a=b"}, {0x801000, 0, ""}}));
        EXPECT_TRUE(same(loader.framebuffer, kTrueColour));
    }
};

TEST_F(MadeMultiboot, OfVersion1IsReadBackWhole) {
    const uint64_t bytes = make1();
    ASSERT_NE(bytes, 0u);
    prologue_parse_multiboot1(memory.seen, kAt, loader);
    expect_the_same(prologue_next_multiboot1_module);
    EXPECT_EQ(memory.get<uint32_t>(kAt + 4), 0x9f000u / 1024) << "KiB from 0 on, page 0 with them";
    EXPECT_EQ(memory.get<uint32_t>(kAt + 8), 0x80000u / 1024) << "up to Prologue's memory";
}

// As GRUB 2.06 leaves it (multiboot.h: a union behind two bytes, which an address in it aligns).
TEST_F(MadeMultiboot, OfVersion1HasColoursWhereGrubHasThem) {
    ASSERT_NE(make1(), 0u);
    EXPECT_EQ(memory.get<uint8_t>(kAt + 109), kTrueColour.kind);
    EXPECT_EQ(memory.get<uint16_t>(kAt + 110), 0u);
    for (const auto& [at, value] :
         std::initializer_list<std::pair<uint64_t, uint8_t>>{{112, kTrueColour.red_shift},
                                                             {113, kTrueColour.red_bits},
                                                             {114, kTrueColour.green_shift},
                                                             {115, kTrueColour.green_bits},
                                                             {116, kTrueColour.blue_shift},
                                                             {117, kTrueColour.blue_bits}})
        EXPECT_EQ(memory.get<uint8_t>(kAt + at), value) << at;
}

TEST_F(MadeMultiboot, OfVersion2IsReadBackWhole) {
    const uint64_t bytes = make2();
    ASSERT_NE(bytes, 0u);
    EXPECT_EQ(memory.get<uint32_t>(kAt), bytes);
    prologue_parse_multiboot2(memory.seen, kAt, loader);
    expect_the_same(prologue_next_multiboot2_module);
}

TEST_F(MadeMultiboot, HasNoFramebufferWhereThereIsNone) {
    handoff.framebuffer = {};
    ASSERT_NE(make1(), 0u);
    EXPECT_EQ(memory.get<uint32_t>(kAt) & 0x1000, 0u);
    ASSERT_NE(make2(), 0u);
    prologue_parse_multiboot2(memory.seen, kAt, loader);
    EXPECT_EQ(loader.framebuffer.phys, 0u);
}

TEST_F(MadeMultiboot, KeepsTheLoadersMemoryWhereBootServicesRun) {
    handoff.efi.boot_services = 1;
    ASSERT_NE(make2(), 0u);
    prologue_parse_multiboot2(memory.seen, kAt, loader);
    for (const StatedRange& range : ranges_of(loader.memory))
        EXPECT_FALSE(range.type == 1 && range.start <= 0x190000 &&
                     range.start + range.bytes > 0x190000);
}

TEST_F(MadeMultiboot, CarriesUefisTableAndMap) {
    const uint8_t map[96] = {7};
    handoff.efi.system_table_phys = 0x7e00000;
    handoff.efi.bits = 64;
    handoff.efi.memory_map = map;
    handoff.efi.memory_map_bytes = sizeof map;
    handoff.efi.descriptor_bytes = 48;
    handoff.efi.descriptor_version = 1;
    ASSERT_NE(make2(), 0u);
    prologue_parse_multiboot2(memory.seen, kAt, loader);
    EXPECT_EQ(loader.uefi.system_table_phys, 0x7e00000u);
    EXPECT_EQ(loader.uefi.memory_map_bytes, sizeof map);
    EXPECT_EQ(loader.uefi.descriptor_bytes, 48u);
}

TEST_F(MadeMultiboot, CarriesTheRsdpOfEitherVersion) {
    uint8_t rsdp[36] = {'R', 'S', 'D', ' ', 'P', 'T', 'R', ' '};
    ASSERT_NE(make2(kRoom, rsdp), 0u);
    prologue_parse_multiboot2(memory.seen, kAt, loader);
    EXPECT_EQ(loader.rsdp_copy.bytes, 20u);
    rsdp[15] = 2;
    rsdp[20] = sizeof rsdp;
    ASSERT_NE(make2(kRoom, rsdp), 0u);
    loader = {};
    prologue_parse_multiboot2(memory.seen, kAt, loader);
    EXPECT_EQ(loader.rsdp_copy.bytes, 36u);
}

// The room is kept to the byte, and what is too small is said so.
TEST_F(MadeMultiboot, KeepsToItsRoom) {
    const uint64_t bytes1 = make1(), bytes2 = make2();
    memory.put(kAt + bytes1, uint64_t{0x5a5a5a5a5a5a5a5a});
    EXPECT_EQ(make1(bytes1), bytes1);
    EXPECT_EQ(memory.get<uint64_t>(kAt + bytes1), 0x5a5a5a5a5a5a5a5a);
    for (uint64_t room = 0; room != bytes1; ++room)
        ASSERT_EQ(make1(room), 0u) << room;
    memory.put(kAt + bytes2, uint64_t{0x5a5a5a5a5a5a5a5a});
    EXPECT_EQ(make2(bytes2), bytes2);
    EXPECT_EQ(memory.get<uint64_t>(kAt + bytes2), 0x5a5a5a5a5a5a5a5a);
    for (uint64_t room = 0; room != bytes2; ++room)
        ASSERT_EQ(make2(room), 0u) << room;
}

TEST_F(MadeMultiboot, CannotSayWhereAModuleAbove4GiBIs) {
    modules[0].start = 0xfffffff0;
    modules[0].bytes = 0x10;
    EXPECT_EQ(make1(), 0u);
    EXPECT_EQ(make2(), 0u);
    modules[0].bytes = 0xf;
    EXPECT_NE(make1(), 0u);
    EXPECT_NE(make2(), 0u);
}

} // namespace
} // namespace prologue::test
