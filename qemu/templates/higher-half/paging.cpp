#include "paging.h"

#include <prologue/kernel.h>

// The borders of the image's segments, by kernel.ld.
extern "C" const char kernel_text[], kernel_rodata[], kernel_data[], kernel_end[];

namespace {

constexpr unsigned kLevels = 4;  // as Prologue has them without a wish for more
constexpr uint64_t kPresent = 1 << 0;
constexpr uint64_t kWritable = 1 << 1;
constexpr uint64_t kLarge = 1 << 7;
constexpr uint64_t kAddress = 0x000ffffffffff000;

// How much an entry of a table of this level stands for; level 1 is the last.
constexpr uint64_t entry_bytes(unsigned level) {
    return 4096ull << 9 * (level - 1);
}

// The image is, too, but is mapped where it is linked.
bool is_mapped_ram(uint32_t type) {
    return type != PROLOGUE_MEMORY_RESERVED && type != PROLOGUE_MEMORY_BAD &&
           type != PROLOGUE_MEMORY_KERNEL;
}

uint64_t address(const void* pointer) {
    return reinterpret_cast<uint64_t>(pointer);
}

}  // namespace

PageTables::PageTables(const prologue_handoff& handoff, Frames& frames)
    : handoff_(handoff), frames_(frames), top_(frames.take()) {}

void PageTables::map(uint64_t virt, uint64_t phys, uint64_t bytes, Rights rights) {
    while (bytes != 0) {
        const unsigned level = largest_level(virt | phys, bytes);
        *entry(virt, level) = phys | rights | kPresent | (level > 1 ? kLarge : 0);
        const uint64_t done = entry_bytes(level);
        virt += done;
        phys += done;
        bytes -= done;
    }
}

void PageTables::map_image() {
    const uint64_t text = address(kernel_text);
    const uint64_t rodata = address(kernel_rodata);
    const uint64_t data = address(kernel_data);
    const uint64_t end = address(kernel_end);
    const uint64_t guard = handoff_.stack_bottom - 4096;
    const uint64_t offset = handoff_.kernel_offset;
    map(text, text - offset, rodata - text, kReadExecute);
    map(rodata, rodata - offset, data - rodata, kReadOnly);
    map(data, data - offset, guard - data, kReadWrite);
    map(guard + 4096, guard + 4096 - offset, end - guard - 4096, kReadWrite);
}

void PageTables::map_ram() {
    for (uint64_t i = 0; i != handoff_.memory_count; ++i) {
        const prologue_range& range = handoff_.memory[i];
        if (is_mapped_ram(range.type) && range.end <= handoff_.direct_map_bytes)
            map(handoff_.direct_map + range.start, range.start, range.end - range.start,
                kReadWrite);
    }
}

void PageTables::load() const {
    prologue_load_cr3(top_);
}

// The entry for an address in a table of a level, with the tables on the way to it.
uint64_t* PageTables::entry(uint64_t virt, unsigned level) {
    uint64_t table = top_;
    for (unsigned at = kLevels;; --at) {
        uint64_t* const entries = static_cast<uint64_t*>(prologue_seen(&handoff_, table));
        uint64_t& found = entries[virt / entry_bytes(at) % 512];
        if (at == level)
            return &found;
        if (found == 0)
            found = frames_.take() | kPresent | kWritable;  // the last level decides
        table = found & kAddress;
    }
}

// Of the pages that the CPU has, the largest that fits.
unsigned PageTables::largest_level(uint64_t addresses, uint64_t bytes) const {
    unsigned level = handoff_.page_size == entry_bytes(3) ? 3 : 2;
    while (addresses % entry_bytes(level) != 0 || bytes < entry_bytes(level))
        --level;
    return level;
}
