#include "launch.h"

#include <string.h>

#include "outcome.h"

namespace sevhost {
namespace {

constexpr unsigned kMaxRanges = 64;
LaunchedRange ranges[kMaxRanges];
unsigned count;

// Pieces come mostly one behind the other, and in few places.
void note_launched(GuestPhys gpa, uint64_t bytes) {
    const GuestPhys start = gpa & ~(kPageBytes - 1);
    const GuestPhys end = (gpa + bytes + kPageBytes - 1) & ~(kPageBytes - 1);
    for (unsigned i = 0; i != count; ++i) {
        LaunchedRange& range = ranges[i];
        if (start > range.end || end < range.start)
            continue;
        range.start = start < range.start ? start : range.start;
        range.end = end > range.end ? end : range.end;
        return;
    }
    if (count == kMaxRanges)
        fail("the image lies in more than ", decimal(kMaxRanges), " places");
    ranges[count++] = {start, end};
}

const Region& require_region(const Guest& guest, GuestPhys gpa, uint64_t bytes, const char* what) {
    const Region* region = guest.memory.find(gpa, bytes);
    if (region == nullptr)
        fail(what, " of ", decimal(bytes), " bytes at ", hex(gpa),
             " does not fit into the guest's memory");
    if (bytes != 0)
        note_launched(gpa, bytes);
    return *region;
}

uint8_t* placeable(const Guest& guest, GuestPhys gpa, uint64_t bytes, const char* what) {
    const Region& region = require_region(guest, gpa, bytes, what);
    guest.memory.load(region, gpa, bytes);
    return region.at(gpa, Backing::private_);
}

} // namespace

void add_memory(Guest& guest, GuestPhys start, uint64_t bytes, const char* what) {
    // 2 MiB pages need backing and address to agree below bit 21.
    const uint64_t offset = start % kLargePageBytes;
    auto back = [&] {
        return guest.host.at(guest.host.take(offset + bytes, kLargePageBytes, what) + offset);
    };
    Region region = {start, bytes, back(), nullptr};
    if (guest.encrypted()) {
        region.shared = back();
        region.seen = guest.host.at(guest.host.take(bytes / kPageBytes, kPageBytes,
                                                    "a map of "
                                                    "what memory holds"));
        memset(region.seen, 0, bytes / kPageBytes);
    } else {
        region.shared = region.private_;
        memset(region.private_, 0, bytes);
    }
    if (!guest.memory.add(region))
        fail("too many ranges of guest memory: no room for ", what);
}

void place_bytes(Guest& guest, GuestPhys gpa, const void* from, uint64_t bytes, const char* what) {
    memcpy(placeable(guest, gpa, bytes, what), from, bytes);
}

void place_zeros(Guest& guest, GuestPhys gpa, uint64_t bytes, const char* what) {
    memset(placeable(guest, gpa, bytes, what), 0, bytes);
}

void place_nothing(Guest& guest, GuestPhys gpa, uint64_t bytes, const char* what) {
    require_region(guest, gpa, bytes, what);
}

void accept_all_memory(Guest& guest) {
    for (unsigned i = 0; i != guest.memory.count(); ++i)
        note_launched(guest.memory[i].start, guest.memory[i].bytes);
}

unsigned launched_count() {
    return count;
}

bool was_launched(GuestPhys page) {
    for (unsigned i = 0; i != count; ++i)
        if (page >= ranges[i].start && page < ranges[i].end)
            return true;
    return false;
}

const LaunchedRange& launched(unsigned i) {
    return ranges[i];
}

} // namespace sevhost
