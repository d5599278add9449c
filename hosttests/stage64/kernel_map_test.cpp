// The tables that a kernel gets, on random machines: every leaf is accounted
// for, and no physical page is writable at one address and executable at another.

#include "kernel_map.h"

#include "cpu.h"
#include "machines.h"
#include "range_model.h"
#include "seams.h"
#include "table_audit.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace prologue::test {
namespace {

constexpr uint64_t kTablesAt = 0x10000000;
constexpr uint64_t kTablePages = 600;

// What the 64-bit stage asks for, where the kernel has no wish.
KernelMap default_map(unsigned levels) {
    return {levels == 5 ? PROLOGUE_DIRECT_MAP_5_LEVEL : PROLOGUE_DIRECT_MAP_4_LEVEL,
            direct_map_room(levels)};
}

// The machine's tables, and what map_kernel said of them.
struct Mapped {
    explicit Mapped(const Machine& machine, uint64_t table_pages = kTablePages)
        : machine(machine),
          header(kPage, machine.loaded_at),
          memory((table_pages + 1) * kPage, kTablesAt, 0xa5),
          ram(machine),
          kernel_map(default_map(machine.cpu.levels)) {
        put_elf(header, machine.loaded_at, machine.linked);
        const Image image(header.window(), machine.loaded_at);
        image.check({kernel_map.direct_map, kernel_map.direct_map + kernel_map.direct_map_bytes},
                    machine.cpu.levels);

        std::memset(memory.at(root()), 0, kPage);
        TablePages pages = {root() + kPage, root() + table_pages * kPage};
        const Cpu& cpu = machine.cpu;
        PageTables tables(memory.window(), root(), {cpu.levels, cpu.has_1g_pages, cpu.c_bit},
                          pages);
        leave_out_unaddressable(ram.map, kernel_map);
        map_kernel(tables, image, machine.guard, ram.map, kernel_map);
    }

    static uint64_t root() { return kTablesAt; }

    Machine machine;
    FakeMemory header;
    FakeMemory memory;
    MachineMemory ram;
    KernelMap kernel_map;
};

// --- What ought to be mapped ------------------------------------------------------------------

std::vector<Stretch> all_of(const Mapped& mapped) {
    const Machine& machine = mapped.machine;
    const bool five = machine.cpu.levels == 5;
    const uint64_t direct_map = five ? 0xff00000000000000 : 0xffff800000000000;
    const uint64_t direct_map_bytes = five ? 4096 * kTiB : 64 * kTiB;
    const uint64_t top_entry = five ? 256 * kTiB : 512 * kGiB;

    const uint64_t kernel = machine.linked.front().virt;
    std::vector<Stretch> identity;
    if (kernel >= top_entry) {
        identity = ram_at(machine, mapped.ram.map, 0, kPage, top_entry);
    } else {
        identity = ram_at(machine, mapped.ram.map, 0, kPage, 4 * kGiB);
        cut(identity, kernel, kernel + machine.image_bytes());
    }
    // Neighbours of one kind share large pages, but the kernel shares none with RAM.
    std::vector<Stretch> all;
    const std::vector<Stretch> direct = ram_at(machine, mapped.ram.map, direct_map, kPage,
                                               direct_map_bytes);
    for (const auto& part : {segments_of(machine), direct, identity})
        for (const Stretch& stretch : joined(part))
            all.push_back(stretch);
    return all;
}

std::string flaw_of(const Mapped& mapped) {
    return flaw_of_tables(mapped.machine.cpu, mapped.memory, mapped.root(), all_of(mapped));
}

TEST(KernelMap, IsExactlyWhatIsDocumentedOnRandomMachines) {
    Dice dice(31);
    for (int round = 0; round != 400; ++round) {
        const Machine machine = random_machine(dice);
        std::optional<Mapped> mapped;
        ASSERT_EQ(failure_of([&] { mapped.emplace(machine); }), std::nullopt) << machine;
        ASSERT_EQ(flaw_of(*mapped), "") << "round " << round << ": " << machine;
    }
}

TEST(KernelMap, HasNoPageThatIsWritableAndExecutableByAnyTwoAddresses) {
    Dice dice(32);
    for (int round = 0; round != 200; ++round) {
        const Mapped mapped(random_machine(dice));
        ASSERT_EQ(writable_and_executable(mapped.machine.cpu, mapped.memory, mapped.root()), "")
            << "round " << round << ": " << mapped.machine;
    }
}

// --- Cases ------------------------------------------------------------------------------------

constexpr uint64_t kHigh = 0xffffffff80000000;

WalkResult look(const Mapped& mapped, uint64_t virt, Access access = Access::Read) {
    return walk(state_of(mapped.machine.cpu, mapped.root()), reader_of(mapped.memory), virt, access,
                false);
}

bool is_mapped(const Mapped& mapped, uint64_t virt, Access access = Access::Read) {
    return std::holds_alternative<Translation>(look(mapped, virt, access));
}

uint64_t page_bytes(const Mapped& mapped, uint64_t virt) {
    return std::get<Translation>(look(mapped, virt)).page_bytes;
}

TEST(KernelMap, GuardPageIsMissingAtTheKernelsAddressOnly) {
    const Mapped mapped(usual(kHigh + k2M));
    const uint64_t guard = mapped.machine.guard;
    EXPECT_FALSE(is_mapped(mapped, guard));
    EXPECT_FALSE(is_mapped(mapped, guard + kPage - 1));
    EXPECT_TRUE(is_mapped(mapped, guard - 1, Access::Write));
    EXPECT_TRUE(is_mapped(mapped, guard + kPage, Access::Write));
    EXPECT_TRUE(is_mapped(mapped, 0xffff800000000000 + k2M + 0x18000, Access::Write));
}

TEST(KernelMap, NeitherAddressNorPage0IsMapped) {
    for (const uint64_t linked_at : {kHigh + k2M, uint64_t{k2M}, 16 * kMiB}) {
        const Mapped mapped(usual(linked_at));
        for (const uint64_t address : {uint64_t{0}, kPage - 1}) {
            EXPECT_FALSE(is_mapped(mapped, address));
            EXPECT_FALSE(is_mapped(mapped, 0xffff800000000000 + address));
        }
        EXPECT_TRUE(is_mapped(mapped, kPage));
        EXPECT_TRUE(is_mapped(mapped, 0xffff800000000000 + kPage));
        EXPECT_EQ(flaw_of(mapped), "");
    }
}

TEST(KernelMap, RamIsMappedWhateverItsTypeAndTheRestIsNot) {
    const Mapped mapped(usual(kHigh + k2M));
    for (const uint64_t base : {uint64_t{0}, 0xffff800000000000}) {
        EXPECT_TRUE(is_mapped(mapped, base + 3 * kGiB - kMiB, Access::Write)) << "ACPI";
        EXPECT_TRUE(is_mapped(mapped, base + 3 * kGiB - kPage, Access::Write)) << "NVS";
        EXPECT_TRUE(is_mapped(mapped, base + 5 * kGiB - kPage, Access::Write)) << "usable";
        EXPECT_FALSE(is_mapped(mapped, base + 5 * kGiB)) << "bad";
        EXPECT_FALSE(is_mapped(mapped, base + 0xfffc0000)) << "reserved";
        EXPECT_FALSE(is_mapped(mapped, base + 0xa0000)) << "not in the map";
    }
}

TEST(KernelMap, DirectMapShowsTextForReadingOnly) {
    const Mapped mapped(usual(kHigh + k2M));
    for (const uint64_t base : {uint64_t{0}, 0xffff800000000000}) {
        for (const uint64_t offset : {0x0, 0xffff, 0x10000, 0x13fff}) {
            EXPECT_TRUE(is_mapped(mapped, base + k2M + offset));
            EXPECT_FALSE(is_mapped(mapped, base + k2M + offset, Access::Write));
            EXPECT_FALSE(is_mapped(mapped, base + k2M + offset, Access::Execute));
        }
        EXPECT_TRUE(is_mapped(mapped, base + k2M - 1, Access::Write));
        EXPECT_TRUE(is_mapped(mapped, base + k2M + 0x14000, Access::Write));
        EXPECT_FALSE(is_mapped(mapped, base + k2M + 0x14000, Access::Execute));
    }
    EXPECT_TRUE(is_mapped(mapped, kHigh + k2M, Access::Execute));
    EXPECT_FALSE(is_mapped(mapped, kHigh + k2M + 0x10000, Access::Execute));
}

TEST(KernelMap, UsesTheLargestPagesThatTheCpuHas) {
    const Mapped with(usual(kHigh + k2M));
    EXPECT_EQ(page_bytes(with, 0xffff800000000000 + kGiB), kGiB);
    EXPECT_EQ(page_bytes(with, kGiB), kGiB);
    EXPECT_EQ(page_bytes(with, 0xffff800000000000 + 3 * kGiB - kMiB), kGiB)
        << "types that are RAM alike are one run";
    const Mapped without(usual(kHigh + k2M, {.levels = 4, .has_1g_pages = false}));
    EXPECT_EQ(page_bytes(without, 0xffff800000000000 + kGiB), k2M);
    EXPECT_EQ(flaw_of(without), "");
}

TEST(KernelMap, AHighKernelsLowHalfIsTheDirectMapsFirstEntry) {
    for (const unsigned levels : {4u, 5u}) {
        const Mapped mapped(usual(kHigh + k2M, {.levels = levels, .has_1g_pages = true}));
        EXPECT_EQ(mapped.kernel_map.identity.end, levels == 5 ? 256 * kTiB : 512 * kGiB);
        EXPECT_EQ(mapped.memory.get<uint64_t>(mapped.root()),
                  mapped.memory.get<uint64_t>(mapped.root() + 256 * 8));
        EXPECT_NE(mapped.memory.get<uint64_t>(mapped.root()), 0u);
        EXPECT_TRUE(is_mapped(mapped, 5 * kGiB - kPage));
    }
}

TEST(KernelMap, ALowKernelHasRamAroundItUpTo4GiB) {
    for (const unsigned levels : {4u, 5u}) {
        const Mapped mapped(usual(5 * k2M, {.levels = levels, .has_1g_pages = true}));
        EXPECT_EQ(mapped.kernel_map.identity.end, 4 * kGiB);
        EXPECT_TRUE(is_mapped(mapped, 5 * k2M, Access::Execute));
        EXPECT_FALSE(is_mapped(mapped, mapped.machine.guard));
        EXPECT_TRUE(is_mapped(mapped, 5 * k2M - 1, Access::Write));
        EXPECT_TRUE(is_mapped(mapped, 5 * k2M + 0x1d000, Access::Write));
        EXPECT_FALSE(is_mapped(mapped, 4 * kGiB));
        EXPECT_EQ(flaw_of(mapped), "");
    }
}

// What identity_bytes says is what there is.
TEST(KernelMap, AKernelLinkedAbove4GiBInTheLowHalfHasRamUpTo4GiB) {
    const Mapped mapped(usual(100 * kGiB));
    EXPECT_EQ(mapped.kernel_map.identity.end, 4 * kGiB);
    EXPECT_FALSE(is_mapped(mapped, 4 * kGiB));
    EXPECT_EQ(flaw_of(mapped), "");
}

TEST(KernelMap, RamThatTheCpuCannotAddressIsLeftOut) {
    Machine machine = usual(kHigh + k2M);
    machine.stated.push_back({kTiB - kGiB, kTiB + kGiB, PROLOGUE_MEMORY_USABLE});
    for (const bool within : {false, true}) {
        fake_cpu = {.address_bits = within ? 41u : 40u};
        const Mapped mapped(machine);
        EXPECT_EQ(is_mapped(mapped, PROLOGUE_DIRECT_MAP_4_LEVEL + kTiB - kPage), true);
        EXPECT_EQ(is_mapped(mapped, PROLOGUE_DIRECT_MAP_4_LEVEL + kTiB), within);
        EXPECT_EQ(mapped.ram.map.left_out(), within ? 0u : uint32_t{PROLOGUE_LEFT_OUT_RAM});
        EXPECT_EQ(flaw_of(mapped), "");
    }
    fake_cpu = {};
}

TEST(KernelMap, AModuleThatTheCpuCannotAddressIsNamed) {
    Machine machine = usual(kHigh + k2M);
    machine.stated.push_back({kTiB, kTiB + kGiB, PROLOGUE_MEMORY_MODULE});
    fake_cpu = {.address_bits = 40};
    EXPECT_EQ(failure_of([&] { Mapped mapped(machine); }),
              failure(Error::range_too_high, {kTiB, kTiB + kGiB, kTiB}));
    fake_cpu = {.address_bits = 41};
    EXPECT_EQ(failure_of([&] { Mapped mapped(machine); }), std::nullopt);
    fake_cpu = {};
}

TEST(KernelMap, AsksTheCpuOnlyAboutRamThatNotEveryCpuReaches) {
    Machine machine = usual(kHigh + k2M);
    fake_cpu = {};
    Mapped below(machine);
    EXPECT_EQ(fake_cpu.cpuids, 0u);
    for (uint64_t i = 0; i != 5; ++i)
        machine.stated.push_back(
            {(100 + 2 * i) * kGiB, (101 + 2 * i) * kGiB, PROLOGUE_MEMORY_USABLE});
    Mapped above(machine);
    EXPECT_EQ(fake_cpu.cpuids, 1u);
    fake_cpu = {};
}

TEST(KernelMap, WithoutPagesForTablesItNamesWhatIsNotMapped) {
    const Machine machine = usual(kHigh + k2M);
    uint64_t enough = 2;
    std::optional<Failure> failed;
    for (;; ++enough) {
        failed = failure_of([&] { Mapped(machine, enough); });
        if (!failed)
            break;
        ASSERT_EQ(failed->error, Error::no_table_memory) << *failed;
        const uint64_t virt = failed->numbers[0], phys = failed->numbers[1];
        const uint64_t offset = virt - phys;
        EXPECT_TRUE(offset == kHigh || offset == 0xffff800000000000) << *failed;
        EXPECT_EQ(failed->numbers[2] % kPage, 0u) << *failed;
    }
    const std::vector<Stretch> all = all_of(Mapped(machine));
    std::vector<Stretch> unshared; // the identity map shares the direct map's tables
    std::copy_if(all.begin(), all.end(), std::back_inserter(unshared),
                 [](const Stretch& stretch) { return stretch.virt >= 1ull << 63; });
    EXPECT_EQ(enough, tables_needed(machine.cpu, unshared));
}

TEST(DirectMap, IsWhereItIsDocumented) {
    EXPECT_EQ(default_map(4).direct_map, 0xffff800000000000);
    EXPECT_EQ(direct_map_room(4), 64 * kTiB);
    EXPECT_EQ(default_map(5).direct_map, 0xff00000000000000);
    EXPECT_EQ(direct_map_room(5), 4096 * kTiB);
}

} // namespace
} // namespace prologue::test
