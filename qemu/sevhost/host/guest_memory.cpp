#include "guest_memory.h"

#include <string.h>

#include "outcome.h"

namespace sevhost {

void GuestMemory::add(GuestPhys start, uint64_t bytes, const char* what) {
    if (count_ == kMaxRegions)
        fail("too many ranges of guest memory: no room for ", what);
    // 2 MiB pages need backing and address to agree below bit 21.
    const uint64_t offset = start % kLargePageBytes;
    auto back = [&] {
        const HostPhys piece = host_.take(offset + bytes, kLargePageBytes, what) + offset;
        memset(host_.at(piece), 0, bytes);
        return piece;
    };
    Region& region = regions_[count_++];
    region = {start, bytes, back(), 0};
    region.shared = encrypted_ ? back() : region.private_;
}

const Region* GuestMemory::find(GuestPhys gpa, uint64_t bytes) const {
    for (unsigned i = 0; i != count_; ++i) {
        const Region& region = regions_[i];
        if (gpa >= region.start && gpa - region.start < region.bytes &&
            bytes <= region.bytes - (gpa - region.start))
            return &region;
    }
    return nullptr;
}

uint8_t* GuestMemory::at(GuestPhys gpa, uint64_t bytes, Backing backing) const {
    const Region* region = find(gpa, bytes);
    return region == nullptr ? nullptr : host_.at(region->phys(gpa, backing));
}

uint8_t* GuestMemory::placeable(GuestPhys gpa, uint64_t bytes, const char* what) const {
    uint8_t* to = at(gpa, bytes, Backing::private_);
    if (to == nullptr)
        fail(what, " of ", decimal(bytes), " bytes at ", hex(gpa),
             " does not fit into the guest's memory");
    return to;
}

void GuestMemory::place(GuestPhys gpa, const void* from, uint64_t bytes, const char* what) const {
    memcpy(placeable(gpa, bytes, what), from, bytes);
}

void GuestMemory::place_zeros(GuestPhys gpa, uint64_t bytes, const char* what) const {
    memset(placeable(gpa, bytes, what), 0, bytes);
}

} // namespace sevhost
