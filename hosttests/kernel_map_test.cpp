// The tables that a kernel gets, on random machines: every leaf is accounted
// for, and no physical page is writable at one address and executable at another.

#include "kernel_map.h"

#include "cpu.h"
#include "dice.h"
#include "elf_image.h"
#include "range_model.h"
#include "seams.h"
#include "table_audit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace prologue::test {
namespace {

constexpr uint64_t kTiB = 1024 * kGiB;
constexpr uint64_t k2M = 2 * kMiB;
constexpr uint64_t kTablesAt = 0x10000000;
constexpr uint64_t kTablePages = 600;

struct Range {
    uint64_t start, end;
    uint32_t type;
};

// A machine, its memory map and a kernel on it.
struct Machine {
    Cpu cpu;
    std::vector<Range> stated; // page-aligned, of our types
    std::vector<LinkedSegment> linked;
    uint64_t loaded_at = 0;
    uint64_t guard = 0;

    uint64_t image_bytes() const {
        return linked.back().virt + linked.back().bytes - linked.front().virt;
    }
    uint64_t phys_of(const LinkedSegment& segment) const {
        return loaded_at + (segment.virt - linked.front().virt);
    }
};

std::ostream& operator<<(std::ostream& out, const Machine& machine) {
    out << machine.cpu << std::hex << "; memory";
    for (const Range& range : machine.stated)
        out << " " << range.start << "-" << range.end << "=" << range.type;
    out << "; image at " << machine.loaded_at;
    for (const LinkedSegment& segment : machine.linked)
        out << " " << segment.virt << "+" << segment.bytes << "/" << segment.flags;
    return out << ", guard " << machine.guard << std::dec;
}

// What the 64-bit stage asks for, where the kernel has no wish.
KernelMap default_map(unsigned levels) {
    return {levels == 5 ? PROLOGUE_DIRECT_MAP_5_LEVEL : PROLOGUE_DIRECT_MAP_4_LEVEL,
            direct_map_room(levels)};
}

// The machine's tables, and what map_kernel said of them.
struct Mapped {
    explicit Mapped(const Machine& machine, uint64_t table_pages = kTablePages)
        : machine(machine), header(kPage, machine.loaded_at),
          memory((table_pages + 1) * kPage, kTablesAt, 0xa5),
          storage(MemoryMap::storage_for(machine.stated.size() + 1)),
          map(storage.data(), storage.size()), kernel_map(default_map(machine.cpu.levels)) {
        put_elf(header, machine.loaded_at, machine.linked);
        const Image image(header.window(), machine.loaded_at);
        image.check({kernel_map.direct_map, kernel_map.direct_map + kernel_map.direct_map_bytes},
                    machine.cpu.levels);
        for (const Range& range : machine.stated)
            map.overlay({range.start, range.end}, range.type);
        map.overlay(image.span(), PROLOGUE_MEMORY_KERNEL);

        std::memset(memory.at(root()), 0, kPage);
        TablePages pages = {root() + kPage, root() + table_pages * kPage};
        const Cpu& cpu = machine.cpu;
        PageTables tables(memory.window(), root(), {cpu.levels, cpu.has_1g_pages, cpu.c_bit},
                          pages);
        map_kernel(tables, image, machine.guard, map, kernel_map);
    }

    static uint64_t root() { return kTablesAt; }

    Machine machine;
    FakeMemory header;
    FakeMemory memory;
    std::vector<prologue_range> storage;
    MemoryMap map;
    KernelMap kernel_map;
};

// --- What ought to be mapped ------------------------------------------------------------------

bool is_ram(uint32_t type) {
    return type != PROLOGUE_MEMORY_RESERVED && type != PROLOGUE_MEMORY_BAD;
}

std::vector<Stretch> segments_of(const Machine& machine) {
    std::vector<Stretch> stretches;
    for (const LinkedSegment& segment : machine.linked) {
        const Stretch all = {segment.virt, segment.bytes, machine.phys_of(segment),
                             (segment.flags & kWrite) != 0, (segment.flags & kExecute) != 0};
        const uint64_t before = machine.guard - all.virt;
        if (before >= all.bytes) {
            stretches.push_back(all);
            continue;
        }
        Stretch below = all, above = all;
        below.bytes = before;
        above.virt += before + kPage;
        above.phys += before + kPage;
        above.bytes -= before + kPage;
        stretches.push_back(below);
        stretches.push_back(above);
    }
    return stretches;
}

// Cuts a stretch out of others, by virtual addresses.
void cut(std::vector<Stretch>& stretches, uint64_t start, uint64_t end) {
    std::vector<Stretch> rest;
    for (const Stretch& one : stretches) {
        const uint64_t after = one.last() + 1;
        if (start > one.virt) {
            rest.push_back(one);
            rest.back().bytes = std::min(start, after) - one.virt;
        }
        if (end < after) {
            const uint64_t from = std::max(end, one.virt);
            rest.push_back({from, after - from, one.phys + (from - one.virt), one.writable,
                            one.executable});
        }
    }
    stretches = rest;
}

// RAM below `limit` at base + its address: writable but where a segment is not.
std::vector<Stretch> ram_at(const Mapped& mapped, uint64_t base, uint64_t limit) {
    std::vector<Stretch> stretches;
    for (const prologue_range& range : mapped.map) {
        const uint64_t start = std::max(range.start, kPage);
        const uint64_t end = std::min(range.end, limit);
        if (is_ram(range.type) && start < end)
            stretches.push_back({base + start, end - start, start, true, false});
    }
    for (const LinkedSegment& segment : mapped.machine.linked) {
        const uint64_t phys = mapped.machine.phys_of(segment);
        if ((segment.flags & kWrite) != 0 || phys >= limit)
            continue;
        const uint64_t bytes = std::min(segment.bytes, limit - phys);
        cut(stretches, base + phys, base + phys + bytes);
        stretches.push_back({base + phys, bytes, phys, false, false});
    }
    return stretches;
}

std::vector<Stretch> all_of(const Mapped& mapped) {
    const Machine& machine = mapped.machine;
    const bool five = machine.cpu.levels == 5;
    const uint64_t direct_map = five ? 0xff00000000000000 : 0xffff800000000000;
    const uint64_t direct_map_bytes = five ? 4096 * kTiB : 64 * kTiB;
    const uint64_t top_entry = five ? 256 * kTiB : 512 * kGiB;

    const uint64_t kernel = machine.linked.front().virt;
    std::vector<Stretch> identity;
    if (kernel >= top_entry) {
        identity = ram_at(mapped, 0, top_entry);
    } else {
        identity = ram_at(mapped, 0, 4 * kGiB);
        cut(identity, kernel, kernel + machine.image_bytes());
    }
    // Neighbours of one kind share large pages, but the kernel shares none with RAM.
    std::vector<Stretch> all;
    for (const auto& part :
         {segments_of(machine), ram_at(mapped, direct_map, direct_map_bytes), identity})
        for (const Stretch& stretch : joined(part))
            all.push_back(stretch);
    return all;
}

std::string flaw_of(const Mapped& mapped) {
    return flaw_of_tables(mapped.machine.cpu, mapped.memory, mapped.root(), all_of(mapped));
}

// --- W^X, seen from physical memory -------------------------------------------------------------

// Physical pages that are writable through one leaf and executable through
// another. From the tables alone: nothing here knows what ought to be mapped.
std::string writable_and_executable(const Mapped& mapped) {
    struct Piece {
        uint64_t start, end;
    };
    std::vector<Piece> writable, executable;
    const auto fault = for_each_leaf(
        state_of(mapped.machine.cpu, mapped.root()), reader_of(mapped.memory),
        [&](uint64_t, uint64_t pa, uint64_t bytes, bool w, bool x, bool) {
            if (w)
                writable.push_back({pa, pa + bytes});
            if (x)
                executable.push_back({pa, pa + bytes});
        });
    std::ostringstream out;
    if (fault)
        out << *fault << "; ";
    for (const Piece& w : writable)
        for (const Piece& x : executable)
            if (w.start < x.end && x.start < w.end)
                out << std::hex << w.start << " is writable, " << x.start << " executable; ";
    return out.str();
}

// --- Random machines ----------------------------------------------------------------------------

std::vector<Range> random_memory(Dice& dice, const Cpu& cpu) {
    std::vector<Range> ranges = {{kPage, 0x9f000, PROLOGUE_MEMORY_USABLE},
                                 {0xf0000, kMiB, PROLOGUE_MEMORY_RESERVED}};
    if (dice.one_in(4))
        ranges.push_back({0, kPage, PROLOGUE_MEMORY_LOADER});
    const uint64_t low_end = dice.one_in(2) ? 3 * kGiB : dice.between(64, 1024) * kMiB;
    ranges.push_back({kMiB, low_end, PROLOGUE_MEMORY_USABLE});
    if (dice.one_in(2)) {
        const uint64_t most = cpu.has_1g_pages ? 2000 : 12;
        ranges.push_back({4 * kGiB, 4 * kGiB + dice.between(1, most) * kGiB / dice.between(1, 3),
                          PROLOGUE_MEMORY_USABLE});
    }
    const uint64_t edge = cpu.levels == 5 ? 4096 * kTiB : 64 * kTiB; // the direct map's end
    if (cpu.c_bit == 0 && dice.one_in(4)) // the C-bit is an address bit of less
        ranges.push_back({edge - dice.below(3) * kGiB - 5 * kPage, edge + dice.below(2) * kGiB,
                          PROLOGUE_MEMORY_USABLE});
    for (uint64_t left = dice.below(8); left != 0; --left) {
        const uint64_t start =
            page_down(dice.below(low_end)) + dice.one_of<uint64_t>({0, 0, 4 * kGiB});
        const uint64_t bytes = dice.one_of<uint64_t>({dice.between(1, 700) * kPage,
                                                      dice.between(1, 40) * k2M, kGiB});
        const auto type = static_cast<uint32_t>(
            dice.between(PROLOGUE_MEMORY_USABLE, PROLOGUE_MEMORY_BAD));
        ranges.push_back({start, start + bytes, type});
    }
    for (Range& range : ranges)
        range.end = page_down(range.end);
    return ranges;
}

std::vector<LinkedSegment> random_segments(Dice& dice) {
    std::vector<LinkedSegment> segments;
    uint64_t next = 0;
    for (uint64_t left = dice.between(1, 5); left != 0; --left) {
        const uint64_t pages = dice.one_in(4) ? dice.between(1, 2000) : dice.between(1, 20);
        const uint32_t flags =
            kRead | dice.one_of<uint32_t>({0, kExecute, kWrite, kWrite});
        // Whether two segments of one kind may share a large page is not laid down.
        if (!segments.empty() && segments.back().flags == flags)
            next += kPage;
        segments.push_back({next, next, pages * kPage, flags});
        next += pages * kPage;
        if (dice.one_in(3)) // up to the next large page, or so
            next = (next + k2M - 1) / k2M * k2M;
        next += dice.one_of<uint64_t>({0, 0, 0, kPage, 5 * kPage, k2M});
    }
    return segments;
}

// Where kernels are linked: high, low, and where it hurts.
uint64_t random_link_address(Dice& dice, const Cpu& cpu, uint64_t loaded_at, uint64_t bytes) {
    const bool five = cpu.levels == 5;
    const uint64_t top_entry = five ? 256 * kTiB : 512 * kGiB;
    const uint64_t half = five ? 1ull << 56 : 1ull << 47;
    const uint64_t after_direct_map = five ? 0xff10000000000000 : 0xffffc00000000000;
    const uint64_t places[] = {
        0 - 2 * kGiB + loaded_at % kGiB,
        0 - 2 * kGiB + dice.below(1000) * kPage,
        0 - (bytes + k2M - 1) / k2M * k2M, // up to the end of all addresses
        after_direct_map + dice.below(3) * kPage,
        loaded_at, // where it lies, but in the low half
        kMiB + dice.below(1 << 19) * kPage,
        kPage,
        4 * kGiB - bytes / 2,
        5 * kGiB + dice.below(1 << 18) * kPage,
        100 * kGiB,
        top_entry - bytes / 2 - kPage,
        top_entry,
        3 * top_entry + loaded_at,
        half - bytes - kPage,
    };
    return page_down(places[dice.below(std::size(places))]);
}

Machine random_machine(Dice& dice) {
    Machine machine;
    machine.cpu = {.levels = dice.one_in(2) ? 5u : 4u,
                   .has_1g_pages = dice.one_in(2),
                   .c_bit = dice.one_of<uint64_t>({0, 0, 1ull << 51})};
    machine.stated = random_memory(dice, machine.cpu);
    machine.linked = random_segments(dice);
    machine.loaded_at =
        dice.one_of<uint64_t>({kMiB, k2M, 16 * kMiB + dice.below(512) * kPage,
                               0x345000, 3 * kGiB - kMiB, kGiB - 3 * kPage});
    const uint64_t offset = random_link_address(dice, machine.cpu, machine.loaded_at,
                                                machine.image_bytes());
    const uint64_t linked_for = dice.one_of<uint64_t>({machine.loaded_at, kMiB});
    for (LinkedSegment& segment : machine.linked) {
        segment.virt += offset;
        segment.phys += linked_for;
    }
    const LinkedSegment& some = dice.pick(machine.linked);
    machine.guard = some.virt + dice.below(some.bytes / kPage) * kPage;
    return machine;
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
        ASSERT_EQ(writable_and_executable(mapped), "") << "round " << round << ": "
                                                       << mapped.machine;
    }
}

// --- Cases ------------------------------------------------------------------------------------

// 4 GiB of RAM with the usual hole, and a kernel of text, constants and data.
Machine usual(uint64_t linked_at, Cpu cpu = {.levels = 4, .has_1g_pages = true}) {
    return {
        .cpu = cpu,
        .stated = {{0, kPage, PROLOGUE_MEMORY_LOADER},
                   {kPage, 0x9f000, PROLOGUE_MEMORY_USABLE},
                   {kMiB, 3 * kGiB - kMiB, PROLOGUE_MEMORY_USABLE},
                   {3 * kGiB - kMiB, 3 * kGiB - kMiB / 2, PROLOGUE_MEMORY_ACPI},
                   {3 * kGiB - kMiB / 2, 3 * kGiB, PROLOGUE_MEMORY_NVS},
                   {0xfffc0000, 4 * kGiB, PROLOGUE_MEMORY_RESERVED},
                   {4 * kGiB, 5 * kGiB, PROLOGUE_MEMORY_USABLE},
                   {5 * kGiB, 5 * kGiB + kPage, PROLOGUE_MEMORY_BAD}},
        .linked = {{linked_at, k2M, 0x10000, kRead | kExecute},
                   {linked_at + 0x10000, k2M + 0x10000, 0x4000, kRead},
                   {linked_at + 0x14000, k2M + 0x14000, 0x9000, kRead | kWrite}},
        .loaded_at = k2M,
        .guard = linked_at + 0x18000,
    };
}

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

TEST(KernelMap, RamThatTheCpuCannotAddressIsNamed) {
    Machine machine = usual(kHigh + k2M);
    machine.stated.push_back({kTiB, kTiB + kGiB, PROLOGUE_MEMORY_USABLE});
    fake_cpu = {.address_bits = 40};
    EXPECT_EQ(failure_of([&] { Mapped mapped(machine); }),
              failure(Error::range_too_high, {kTiB, kTiB + kGiB, 40}));
    fake_cpu = {.address_bits = 41};
    EXPECT_EQ(failure_of([&] { Mapped mapped(machine); }), std::nullopt);
    machine.stated.back() = {kTiB - kGiB, kTiB, PROLOGUE_MEMORY_USABLE};
    fake_cpu = {.address_bits = 40};
    EXPECT_EQ(failure_of([&] { Mapped mapped(machine); }), std::nullopt) << "just within";
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

}  // namespace
}  // namespace prologue::test
