#include "guest_memory.h"

namespace sevhost {

bool GuestMemory::add(const Region& region) {
    if (count_ == kMaxRegions)
        return false;
    regions_[count_++] = region;
    return true;
}

const Region* GuestMemory::find(GuestPhys gpa, uint64_t bytes) const {
    for (unsigned i = 0; i != count_; ++i)
        if (regions_[i].holds(gpa, bytes))
            return &regions_[i];
    return nullptr;
}

uint8_t* GuestMemory::at(GuestPhys gpa, uint64_t bytes, Backing backing) const {
    const Region* region = find(gpa, bytes);
    return region == nullptr ? nullptr : region->at(gpa, backing);
}

} // namespace sevhost
