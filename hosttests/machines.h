// Machines for the tests of page tables: CPU, memory and a kernel, at random or
// as usual, and what of them ought to be mapped.
#pragma once

#include "dice.h"
#include "elf_image.h"
#include "memory_map.h"
#include "table_audit.h"

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

namespace prologue::test {

inline constexpr uint64_t kTiB = 1024 * kGiB;
inline constexpr uint64_t k2M = 2 * kMiB;

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

std::ostream& operator<<(std::ostream& out, const Machine& machine);

// 4 GiB of RAM with the usual hole, and a kernel of text, constants and data.
Machine usual(uint64_t linked_at, Cpu cpu = {.levels = 4, .has_1g_pages = true});
Machine random_machine(Dice& dice);

// The memory map of a machine, with its kernel in it.
struct MachineMemory {
    explicit MachineMemory(const Machine& machine);

    std::vector<prologue_range> storage;
    MemoryMap map;
};

// The kernel's segments, without the guard page.
std::vector<Stretch> segments_of(const Machine& machine);

// RAM from `start` up to `limit` at base + its address: writable but where a
// segment of the kernel's is not.
std::vector<Stretch> ram_at(const Machine& machine, const MemoryMap& map, uint64_t base,
                            uint64_t start, uint64_t limit);

// Cuts a stretch out of others, by virtual addresses.
void cut(std::vector<Stretch>& stretches, uint64_t start, uint64_t end);

// Physical pages that are writable through one leaf and executable through
// another. From the tables alone: nothing here knows what ought to be mapped.
std::string writable_and_executable(const Cpu& cpu, const FakeMemory& memory, uint64_t root);

} // namespace prologue::test
