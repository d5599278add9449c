#include "host_memory.h"

#include <string.h>

#include "machine.h"
#include "outcome.h"

namespace sevhost {
namespace {

// Where the window is mapped: above the image, in the same 512 GiB (docs/kernel-contract.md).
constexpr uint64_t kWindow = 0xffffffffc0000000;
constexpr uint64_t kEntries = 512;
constexpr uint64_t kPoolBytes = 2 << 20;

constexpr uint64_t kEntryPresent = 1 << 0;
constexpr uint64_t kEntryWritable = 1 << 1;
constexpr uint64_t kEntryUncached = 1 << 4 | 1 << 3; // PCD, PWT
constexpr uint64_t kEntryAccessed = 1 << 5;
constexpr uint64_t kEntryDirty = 1 << 6;
constexpr uint64_t kEntryNoExecute = uint64_t{1} << 63;
constexpr uint64_t kEntryAddress = 0x000ffffffffff000;

} // namespace

HostMemory::HostMemory(const prologue_handoff& handoff)
    : handoff_(handoff),
      spare_(handoff.spare_start) {
    for (uint64_t i = 0; i != handoff.memory_count && free_count_ != kMaxRanges; ++i) {
        const prologue_range& range = handoff.memory[i];
        if (range.type == PROLOGUE_MEMORY_USABLE && range.end <= handoff.direct_map_bytes)
            free_[free_count_++] = {range.start, range.end};
    }
    map_window();
}

HostPhys HostMemory::take(uint64_t bytes, uint64_t alignment, const char* what) {
    for (unsigned i = free_count_; i-- != 0;) {
        Range& range = free_[i];
        if (range.end - range.start < bytes)
            continue;
        const HostPhys start = (range.end - bytes) & ~(alignment - 1);
        if (start < range.start)
            continue;
        range.end = start; // what alignment leaves above is lost
        return start;
    }
    fail("no ", decimal(bytes >> 10), " KiB of RAM in one piece for ", what,
         ": give the machine more memory");
}

HostPhys HostMemory::take_page() {
    if (pages_ == pages_end_) {
        pages_ = take(kPoolBytes, kPageBytes, "nested page tables");
        pages_end_ = pages_ + kPoolBytes;
    }
    const HostPhys page = pages_;
    pages_ += kPageBytes;
    memset(at(page), 0, kPageBytes);
    return page;
}

bool HostMemory::overlaps_ram(HostPhys start, uint64_t bytes) const {
    for (uint64_t i = 0; i != handoff_.memory_count; ++i) {
        const prologue_range& range = handoff_.memory[i];
        if (range.type != PROLOGUE_MEMORY_RESERVED && range.start < start + bytes &&
            start < range.end)
            return true;
    }
    return false;
}

HostPhys HostMemory::take_spare() {
    if (spare_ == handoff_.spare_end)
        fail("no spare page is left to map the window to devices with");
    const HostPhys page = spare_;
    spare_ += kPageBytes;
    return page;
}

// Tables for the window, down to the last, whose entries change as pages are looked at.
void HostMemory::map_window() {
    HostPhys table = handoff_.page_tables_phys;
    for (unsigned level = handoff_.paging_levels; level != 1; --level) {
        uint64_t& entry = at<uint64_t>(table)[(kWindow >> (3 + 9 * level)) % kEntries];
        if (entry == 0)
            entry = take_spare() | kEntryWritable | kEntryPresent;
        table = entry & kEntryAddress;
    }
    window_table_ = at<uint64_t>(table);
}

volatile uint8_t* HostMemory::window(HostPhys phys) {
    const uint64_t slot = phys / kPageBytes % kEntries;
    auto* seen = reinterpret_cast<volatile uint8_t*>(kWindow + slot * kPageBytes);
    const uint64_t entry = (phys & kEntryAddress) | kEntryNoExecute | kEntryDirty | kEntryAccessed |
                           kEntryUncached | kEntryWritable | kEntryPresent;
    if (window_table_[slot] != entry || several_processors) {
        window_table_[slot] = entry;
        invalidate_page(const_cast<uint8_t*>(seen));
    }
    return seen + phys % kPageBytes;
}

} // namespace sevhost
