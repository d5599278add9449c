#include "machines.h"

#include <algorithm>
#include <ostream>
#include <sstream>

namespace prologue::test {
namespace {

bool is_ram(uint32_t type) {
    return type != PROLOGUE_MEMORY_RESERVED && type != PROLOGUE_MEMORY_BAD;
}

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
        const uint64_t start = page_down(dice.below(low_end)) +
                               dice.one_of<uint64_t>({0, 0, 4 * kGiB});
        const uint64_t bytes = dice.one_of<uint64_t>(
            {dice.between(1, 700) * kPage, dice.between(1, 40) * k2M, kGiB});
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
        const uint32_t flags = kRead | dice.one_of<uint32_t>({0, kExecute, kWrite, kWrite});
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

} // namespace

std::ostream& operator<<(std::ostream& out, const Machine& machine) {
    out << machine.cpu << std::hex << "; memory";
    for (const Range& range : machine.stated)
        out << " " << range.start << "-" << range.end << "=" << range.type;
    out << "; image at " << machine.loaded_at;
    for (const LinkedSegment& segment : machine.linked)
        out << " " << segment.virt << "+" << segment.bytes << "/" << segment.flags;
    return out << ", guard " << machine.guard << std::dec;
}

Machine usual(uint64_t linked_at, Cpu cpu) {
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

Machine random_machine(Dice& dice) {
    Machine machine;
    machine.cpu = {.levels = dice.one_in(2) ? 5u : 4u,
                   .has_1g_pages = dice.one_in(2),
                   .c_bit = dice.one_of<uint64_t>({0, 0, 1ull << 51})};
    machine.stated = random_memory(dice, machine.cpu);
    machine.linked = random_segments(dice);
    machine.loaded_at = dice.one_of<uint64_t>({kMiB, k2M, 16 * kMiB + dice.below(512) * kPage,
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

MachineMemory::MachineMemory(const Machine& machine)
    : storage(MemoryMap::storage_for(machine.stated.size() + 1)),
      map(storage.data(), storage.size()) {
    for (const Range& range : machine.stated)
        map.overlay({range.start, range.end}, range.type);
    map.overlay({machine.loaded_at, machine.loaded_at + machine.image_bytes()},
                PROLOGUE_MEMORY_KERNEL);
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

void cut(std::vector<Stretch>& stretches, uint64_t start, uint64_t end) {
    std::vector<Stretch> rest;
    for (const Stretch& one : stretches) {
        if (start > one.virt) {
            rest.push_back(one);
            rest.back().bytes = std::min(start - one.virt, one.bytes);
        }
        if (end <= one.last()) {
            const uint64_t from = std::max(end, one.virt);
            rest.push_back(one);
            rest.back().virt = from;
            rest.back().phys += from - one.virt;
            rest.back().bytes -= from - one.virt;
        }
    }
    stretches = rest;
}

std::vector<Stretch> ram_at(const Machine& machine, const MemoryMap& map, uint64_t base,
                            uint64_t start, uint64_t limit) {
    std::vector<Stretch> stretches;
    for (const prologue_range& range : map) {
        const uint64_t from = std::max(range.start, start);
        const uint64_t end = std::min(range.end, limit);
        if (is_ram(range.type) && from < end)
            stretches.push_back({base + from, end - from, from, true, false});
    }
    for (const LinkedSegment& segment : machine.linked) {
        const uint64_t phys = machine.phys_of(segment);
        if ((segment.flags & kWrite) != 0 || phys >= limit || phys < start)
            continue;
        const uint64_t bytes = std::min(segment.bytes, limit - phys);
        cut(stretches, base + phys, base + phys + bytes);
        stretches.push_back({base + phys, bytes, phys, false, false});
    }
    return stretches;
}

std::string writable_and_executable(const Cpu& cpu, const FakeMemory& memory, uint64_t root) {
    struct Piece {
        uint64_t start, end;
    };
    std::vector<Piece> writable, executable;
    const auto fault = for_each_leaf(
        state_of(cpu, root), reader_of(memory),
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

} // namespace prologue::test
