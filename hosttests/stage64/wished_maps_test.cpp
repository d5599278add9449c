// The tables of kernels that wish for maps, on random machines, against what
// docs/kernel-contract.md says of each wish: all that is granted is there, to
// the page, and what cannot be is refused.

#include "wished_maps.h"

#include "cpu.h"
#include "machines.h"
#include "prologue/wishes.h"
#include "seams.h"
#include "table_audit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <ostream>

namespace prologue::test {
namespace {

constexpr unsigned kWindows = 3;
constexpr uint64_t kDevices = PROLOGUE_WITH_DEVICES;
constexpr unsigned kUncachedMinus = 2; // in the PAT

struct Window {
    uint64_t virt, phys, bytes, rights;
};

struct Note {
    uint32_t name_bytes = 9, desc_bytes = sizeof(Window), type = PROLOGUE_NOTE_WINDOW;
    char name[12] = PROLOGUE_NOTE_OWNER;
    uint64_t virt, phys, bytes, rights;
} __attribute__((packed, aligned(4)));

extern "C" {
[[gnu::visibility("hidden")]] extern uint64_t prologue_wish_direct_map;
[[gnu::visibility("hidden")]] extern uint64_t prologue_wish_identity_map[2]; // end, start
[[gnu::visibility("hidden")]] extern uint32_t prologue_wish_writable_text;
extern Note __start_prologue_windows[];
}

constexpr uint64_t kTablesAt = 0x10000000;
constexpr uint64_t kTablePages = 7000;
constexpr uint64_t kSeenAt = 0x8000000000; // the early window's place with a wish: entry 1

struct Wishes {
    uint64_t direct_map = DIRECT_MAP_BY_DEFAULT;
    uint64_t identity_end = IDENTITY_MAP_BY_DEFAULT, identity_start = kPage;
    bool writable_text = false;
    Window windows[kWindows];

    bool identity_by_default() const { return identity_end == IDENTITY_MAP_BY_DEFAULT; }
    bool direct_by_default() const { return direct_map == DIRECT_MAP_BY_DEFAULT; }
};

std::ostream& operator<<(std::ostream& out, const Wishes& wishes) {
    out << std::hex << "direct map " << wishes.direct_map << ", identity map "
        << wishes.identity_start << " to " << wishes.identity_end
        << (wishes.writable_text ? ", writable text" : "");
    for (const Window& window : wishes.windows)
        out << ", window " << window.virt << " to " << window.phys << "+" << window.bytes << "/"
            << window.rights;
    return out << std::dec;
}

void state(const Wishes& wishes) {
    prologue_wish_direct_map = wishes.direct_map;
    prologue_wish_identity_map[0] = wishes.identity_end;
    prologue_wish_identity_map[1] = wishes.identity_start;
    prologue_wish_writable_text = wishes.writable_text;
    for (unsigned i = 0; i != kWindows; ++i) {
        const Window& window = wishes.windows[i];
        __start_prologue_windows[i] = {.virt = window.virt,
                                       .phys = window.phys,
                                       .bytes = window.bytes,
                                       .rights = window.rights};
    }
}

// A machine with a kernel that has wishes, and what the 64-bit stage makes of it.
struct Granted {
    Granted(const Machine& machine, const Wishes& wishes)
        : machine(machine),
          header(kPage, machine.loaded_at),
          memory((kTablePages + 1) * kPage, kTablesAt, 0xa5),
          ram(machine) {
        state(wishes);
        put_elf(header, machine.loaded_at, machine.linked);
        Image image(header.window(), machine.loaded_at);
        const Cpu& cpu = machine.cpu;
        KernelMap map = {cpu.levels == 5 ? PROLOGUE_DIRECT_MAP_5_LEVEL
                                         : PROLOGUE_DIRECT_MAP_4_LEVEL,
                         direct_map_room(cpu.levels)};
        const uint64_t window = wishes.direct_by_default() ? map.direct_map : seen_at(cpu.levels);
        prologue_plan_maps(window, cpu.levels, image, map);

        std::memset(memory.at(kTablesAt), 0, kPage);
        TablePages pages = {kTablesAt + kPage, kTablesAt + kTablePages * kPage};
        PageTables tables(memory.window(), kTablesAt, {cpu.levels, cpu.has_1g_pages, cpu.c_bit},
                          pages);
        leave_out_unaddressable(ram.map, map);
        map_kernel(tables, image, machine.guard, ram.map, map);
        handoff.identity_bytes = map.identity.end;
        handoff.cmdline = reinterpret_cast<const char*>(window + kMiB);
        direct_map = prologue_finish_maps({window, cpu.levels, image, ram.map, map}, tables,
                                          handoff);
    }
    static uint64_t seen_at(unsigned levels) { return levels == 5 ? kSeenAt << 9 : kSeenAt; }

    Machine machine;
    FakeMemory header, memory;
    MachineMemory ram;
    prologue_handoff handoff = {};
    uint64_t direct_map;
};

// --- What the documents say -------------------------------------------------------------------

struct Limits {
    uint64_t top_entry, half; // bytes
    uint64_t direct_map, direct_map_bytes;
};

Limits limits_of(const Cpu& cpu) {
    if (cpu.levels == 5)
        return {256 * kTiB, 1ull << 56, 0xff00000000000000, 4096 * kTiB};
    return {512 * kGiB, 1ull << 47, 0xffff800000000000, 64 * kTiB};
}

bool canonical(uint64_t address, const Limits& limits) {
    return address < limits.half || address >= 0 - limits.half;
}

// All of the identity map that is not there yet: uncached, but for page 0.
void add_what_is_no_ram(std::vector<Stretch>& identity, uint64_t start, uint64_t end) {
    if (start >= end)
        return;
    std::vector<Stretch> rest = {{start, end - start, start, true, false, kUncachedMinus}};
    for (const Stretch& ram : identity)
        cut(rest, ram.virt, ram.virt + ram.bytes);
    for (Stretch& stretch : rest) {
        if (stretch.virt == 0 && stretch.bytes != 0) {
            identity.push_back({0, kPage, 0, true, false});
            stretch = {kPage, stretch.bytes - kPage, kPage, true, false, kUncachedMinus};
        }
        identity.push_back(stretch);
    }
}

// The maps that are due, without the windows; nothing where the wishes cannot be met.
std::optional<std::vector<Stretch>> maps_due(const Machine& machine, const Wishes& wishes,
                                             const MemoryMap& memory) {
    const Limits limits = limits_of(machine.cpu);
    const uint64_t image = machine.linked.front().virt;
    const uint64_t image_end = image + machine.image_bytes(); // 0 at the end of addresses
    const Span image_at = {machine.loaded_at, machine.loaded_at + machine.image_bytes()};
    bool image_within = false; // the direct map
    uint64_t direct_map = limits.direct_map, direct_bytes = limits.direct_map_bytes;
    uint64_t identity_start = kPage, identity_end = wishes.identity_end;
    if (wishes.identity_by_default())
        identity_end = wishes.direct_by_default() && image >= limits.top_entry ? limits.top_entry
                                                                               : 4 * kGiB;
    else
        identity_start = wishes.identity_start & ~kDevices;
    const bool with_devices = !wishes.identity_by_default() && wishes.identity_start & kDevices;

    if (!wishes.direct_by_default()) {
        const uint64_t seen = Granted::seen_at(machine.cpu.levels), after = seen + limits.top_entry;
        if (image < after && image_end > seen)
            return std::nullopt;
        direct_map = wishes.direct_map;
        if (direct_map == PROLOGUE_NO_DIRECT_MAP) {
            if (identity_end <= kMiB)
                return std::nullopt;
            direct_bytes = 0;
        } else {
            if (!canonical(direct_map, limits) || direct_map < identity_end)
                return std::nullopt;
            uint64_t end = direct_map < limits.half ? limits.half : 0;
            image_within = direct_map == image - machine.loaded_at;
            if (!image_within && direct_map >= image && direct_map - image < machine.image_bytes())
                return std::nullopt;
            if (!image_within && image > direct_map && (end == 0 || image < end))
                end = image;
            if (end - direct_map < (image_within ? image_at.end : 4 * kGiB))
                return std::nullopt;
            direct_bytes = std::min(direct_bytes, end - direct_map);
        }
    }

    Machine shown = machine;
    if (wishes.writable_text) {
        shown.linked = {
            {image, machine.linked.front().phys, machine.image_bytes(), kRead | kWrite | kExecute}};
    }
    std::vector<Stretch> identity = ram_at(shown, memory, 0, identity_start, identity_end);
    if (with_devices)
        add_what_is_no_ram(identity, identity_start, identity_end);
    cut(identity, image, image_end != 0 ? image_end : ~0ull);
    std::vector<Stretch> direct = ram_at(shown, memory, direct_map, kPage, direct_bytes);
    if (image_within)
        cut(direct, image, image_end != 0 ? image_end : ~0ull);
    std::vector<Stretch> all;
    for (const auto& part : {segments_of(shown), identity, direct})
        for (const Stretch& stretch : joined(part))
            all.push_back(stretch);
    return all;
}

bool can_be(const Window& window, const Machine& machine, const Wishes& wishes,
            const std::vector<Stretch>& mapped) {
    const Limits limits = limits_of(machine.cpu);
    const uint64_t last = window.virt + (window.bytes - 1);
    if (last < window.virt || !canonical(window.virt, limits) || !canonical(last, limits) ||
        (window.virt < limits.half) != (last < limits.half))
        return false;
    if (window.phys + (window.bytes - 1) >= 1ull << 52)
        return false;
    const uint64_t rights = window.rights & 0xf;
    if (window.rights >> 4 > 5 || rights > 3 || (rights == 3 && !wishes.writable_text))
        return false;
    const bool shared = wishes.identity_by_default() && wishes.direct_by_default() &&
                        machine.linked.front().virt >= limits.top_entry;
    if (shared && window.virt < limits.top_entry)
        return false;
    return std::none_of(mapped.begin(), mapped.end(), [&](const Stretch& stretch) {
        return stretch.virt <= last && window.virt <= stretch.last();
    });
}

std::optional<std::vector<Stretch>> all_due(const Machine& machine, const Wishes& wishes,
                                            const MemoryMap& memory) {
    auto all = maps_due(machine, wishes, memory);
    if (!all)
        return std::nullopt;
    std::erase_if(*all, [](const Stretch& stretch) { return stretch.bytes == 0; });
    for (const Window& window : wishes.windows) {
        if (!can_be(window, machine, wishes, *all))
            return std::nullopt;
        all->push_back({window.virt, window.bytes, window.phys,
                        (window.rights & PROLOGUE_WINDOW_WRITE) != 0,
                        (window.rights & PROLOGUE_WINDOW_EXECUTE) != 0,
                        static_cast<unsigned>(window.rights >> 4)});
    }
    return all;
}

// --- Random wishes ----------------------------------------------------------------------------

uint64_t random_direct_map(Dice& dice, const Machine& machine) {
    const uint64_t image = machine.linked.front().virt;
    const uint64_t places[] = {
        DIRECT_MAP_BY_DEFAULT,
        DIRECT_MAP_BY_DEFAULT,
        PROLOGUE_NO_DIRECT_MAP,
        0xffff900000000000,
        0xfffff00000200000,
        0xff40000000000000,
        0x200000000000,
        512 * kGiB + dice.below(100) * kGiB,
        (image - dice.between(1, 6) * kGiB) & ~(k2M - 1),
        image,
        image - machine.loaded_at,
        (image + machine.image_bytes() + k2M - 1) & ~(k2M - 1),
        dice.below(8) * kGiB,
        1ull << 60,
    };
    return places[dice.below(std::size(places))];
}

Window random_window(Dice& dice, const Machine& machine, unsigned index) {
    const Limits limits = limits_of(machine.cpu);
    const uint64_t image = machine.linked.front().virt;
    const uint64_t places[] = {
        0xffffff0000000000 + index * kTiB / 8 + dice.below(4) * k2M,
        0xffffff0000000000 + index * kTiB / 8 + dice.below(1000) * kPage,
        0xfffffe0000000000 + index * 4 * kGiB,
        dice.below(1 << 20) * kPage,
        limits.half - dice.between(1, 3) * kPage,
        page_down(image + dice.below(machine.image_bytes())),
        page_down(image - dice.below(4 * k2M)),
        0 - dice.between(1, 3) * kPage,
        limits.direct_map + dice.below(8) * kGiB,
        1ull << 60,
    };
    const uint64_t bytes = dice.one_of<uint64_t>(
        {kPage, dice.between(1, 700) * kPage, dice.between(1, 5) * k2M, 2 * kGiB});
    const uint64_t phys = dice.one_of<uint64_t>({0xfee00000, 0xb8000, 0xe0000000, 5 * kGiB,
                                                 dice.below(1 << 20) * kPage,
                                                 (1ull << 52) - kPage});
    const uint64_t easy = dice.one_in(3) ? dice.below(std::size(places)) : dice.below(3);
    const uint64_t caching = dice.one_in(20) ? 6 : dice.below(6);
    const uint64_t rights = dice.one_in(20) ? dice.below(5) : dice.below(3);
    return {places[easy], phys, bytes, caching << 4 | rights};
}

Wishes random_wishes(Dice& dice, const Machine& machine) {
    Wishes wishes;
    wishes.direct_map = random_direct_map(dice, machine);
    wishes.identity_end = dice.one_of<uint64_t>({IDENTITY_MAP_BY_DEFAULT, IDENTITY_MAP_BY_DEFAULT,
                                                 0, kGiB, 4 * kGiB, 512 * kGiB,
                                                 dice.below(1 << 20) * kPage});
    wishes.identity_start = dice.one_of<uint64_t>({0, kPage, kDevices, kPage | kDevices});
    wishes.writable_text = dice.one_in(4);
    for (unsigned i = 0; i != kWindows; ++i)
        wishes.windows[i] = random_window(dice, machine, i);
    return wishes;
}

TEST(WishedMaps, AreExactlyWhatIsDocumentedOrRefused) {
    Dice dice(51);
    unsigned granted = 0;
    for (int round = 0; round != 250; ++round) {
        Machine machine = random_machine(dice);
        machine.cpu.c_bit = 0;
        const Wishes wishes = random_wishes(dice, machine);
        const MachineMemory ram(machine);
        const auto due = all_due(machine, wishes, ram.map);
        std::optional<Granted> got;
        const auto failed = failure_of([&] { got.emplace(machine, wishes); });
        ASSERT_EQ(failed.has_value(), !due.has_value())
            << round << ": " << machine << "; " << wishes << "; " << failed.value_or(Failure{});
        if (failed) {
            ASSERT_TRUE(failed->error == Error::wish) << machine << "; " << wishes << *failed;
            continue;
        }
        ++granted;
        ASSERT_EQ(flaw_of_tables(machine.cpu, got->memory, kTablesAt, *due), "")
            << round << ": " << machine << "; " << wishes;
    }
    EXPECT_GT(granted, 40u);
}

// --- Cases ------------------------------------------------------------------------------------

constexpr uint64_t kHigh = 0xffffffff80000000;

// Three windows that are in nobody's way.
Wishes modest() {
    return {.windows = {{0xffffff0000000000, 0xfee00000, kPage, PROLOGUE_WINDOW_UNCACHED},
                        {0xffffff0000200000, 0xe0000000, k2M, PROLOGUE_WINDOW_WRITE},
                        {0xffffff0000400000, 0xb8000, 8 * kPage, PROLOGUE_WINDOW_WRITE}}};
}

TEST(WishedMaps, MoveTheHandoffsPointersWithTheDirectMap) {
    Wishes wishes = modest();
    wishes.direct_map = 0xffff900000000000;
    const Granted moved(usual(kHigh + k2M), wishes);
    EXPECT_EQ(moved.direct_map, 0xffff900000000000);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(moved.handoff.cmdline), 0xffff900000000000 + kMiB);
    wishes.direct_map = PROLOGUE_NO_DIRECT_MAP;
    const Granted low(usual(kHigh + k2M), wishes);
    EXPECT_EQ(low.direct_map, 0u);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(low.handoff.cmdline), kMiB);
    const Granted same(usual(kHigh + k2M), modest());
    EXPECT_EQ(reinterpret_cast<uintptr_t>(same.handoff.cmdline), 0xffff800000000000 + kMiB);
}

TEST(WishedMaps, NoIdentityMapIsOneOfNoBytes) {
    Wishes wishes = modest();
    wishes.identity_end = PROLOGUE_NO_IDENTITY_MAP;
    EXPECT_EQ(Granted(usual(kHigh + k2M), wishes).handoff.identity_bytes, 0u);
    EXPECT_EQ(Granted(usual(kHigh + k2M), modest()).handoff.identity_bytes, 512 * kGiB);
}

TEST(WishedMaps, ANoteOfAnotherKindAmongTheWindowsIsRefused) {
    state(modest());
    const Machine machine = usual(kHigh + k2M);
    EXPECT_EQ(failure_of([&] { Granted(machine, modest()); }), std::nullopt);
    Wishes empty = modest();
    empty.windows[1].bytes = 0;
    EXPECT_EQ(failure_of([&] { Granted(machine, empty); }),
              failure(Error::wish, {0xffffff0000200000, 0}, "a window must be of whole pages"));
    Wishes odd = modest();
    odd.windows[2].phys += 0x10;
    EXPECT_EQ(
        failure_of([&] { Granted(machine, odd); }),
        failure(Error::wish, {0xffffff0000400000, 8 * kPage}, "a window must be of whole pages"));
}

TEST(WishedMaps, IdentityMapsThatCannotBeAreRefused) {
    for (const uint64_t end : {uint64_t{1} << 40, kGiB + 1}) {
        Wishes wishes = modest();
        wishes.identity_end = end;
        EXPECT_EQ(failure_of([&] { Granted(usual(kHigh + k2M), wishes); }),
                  failure(Error::wish, {end, kPage},
                          "an identity map up to this address, from this one, cannot be"));
    }
}

// What a page of the identity map is like, by an independent walk.
Translation identity_page(const Granted& granted, uint64_t at) {
    const auto page = walk(state_of(granted.machine.cpu, kTablesAt), reader_of(granted.memory), at,
                           Access::Write, false);
    return std::get<Translation>(page);
}

Wishes everything_below_4_gib() {
    Wishes wishes = modest();
    wishes.identity_end = 4 * kGiB;
    wishes.identity_start = PROLOGUE_FROM_PAGE_0 | PROLOGUE_WITH_DEVICES;
    return wishes;
}

TEST(WishedMaps, DevicesAreUncachedAndSoftReservedMemoryAndPage0AreNot) {
    Machine machine = usual(kHigh + k2M);
    machine.stated[0] = {3 * kGiB + kMiB, 3 * kGiB + 3 * kMiB, PROLOGUE_MEMORY_SOFT_RESERVED};
    const Granted granted(machine, everything_below_4_gib());
    for (const uint64_t ram : {uint64_t{0}, kMiB, 3 * kGiB - kMiB, 3 * kGiB + kMiB})
        EXPECT_FALSE(identity_page(granted, ram).pcd) << std::hex << ram;
    for (const uint64_t other : {uint64_t{0xb8000}, 3 * kGiB, 3 * kGiB + 3 * kMiB,
                                 uint64_t{0xfee00000}, 4 * kGiB - kPage}) {
        const Translation page = identity_page(granted, other);
        EXPECT_TRUE(page.pcd && !page.pwt && !page.pat && page.writable && !page.executable)
            << std::hex << other << page;
        EXPECT_EQ(page.pa, other);
    }
}

TEST(WishedMaps, DevicesOfAnSevGuestAreNotEncrypted) {
    const Granted granted(
        usual(kHigh + k2M, {.levels = 4, .has_1g_pages = true, .c_bit = 1ull << 51}),
        everything_below_4_gib());
    EXPECT_TRUE(identity_page(granted, kMiB).encrypted);
    EXPECT_TRUE(identity_page(granted, 0).encrypted);
    EXPECT_FALSE(identity_page(granted, 0xfee00000).encrypted);
    EXPECT_FALSE(identity_page(granted, 0xb8000).encrypted);
}

TEST(WishedMaps, NothingIsWrittenAndRunThroughADirectMapWithTheImageInIt) {
    Wishes wishes = modest();
    wishes.direct_map = kHigh;
    const Granted granted(usual(kHigh + k2M), wishes);
    EXPECT_EQ(granted.direct_map, kHigh);
    EXPECT_EQ(writable_and_executable(granted.machine.cpu, granted.memory, kTablesAt), "");
}

} // namespace
} // namespace prologue::test
