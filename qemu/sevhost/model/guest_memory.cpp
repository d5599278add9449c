#include "guest_memory.h"

namespace sevhost {
namespace {

constexpr uint8_t kSeenPrivate = 1 << 0, kSeenShared = 1 << 1;

// SplitMix64; never 0, so that no word of it can be taken for memory that was cleared.
void fill_with_noise(uint8_t* page, uint64_t state) {
    for (uint64_t at = 0; at != kPageBytes; at += sizeof state) {
        state += 0x9e3779b97f4a7c15;
        uint64_t word = (state ^ state >> 30) * 0xbf58476d1ce4e5b9;
        word = (word ^ word >> 27) * 0x94d049bb133111eb;
        word = (word ^ word >> 31) | 1;
        __builtin_memcpy(page + at, &word, sizeof word);
    }
}

uint8_t& seen_of(const Region& region, GuestPhys page) {
    return region.seen[(page - region.start) / kPageBytes];
}

// Calls first(page) for each page that holds nothing in that backing yet.
template <typename First>
void for_each_new(const Region& region, GuestPhys gpa, uint64_t bytes, Backing backing,
                  First first) {
    if (region.seen == nullptr)
        return;
    const uint8_t bit = backing == Backing::shared ? kSeenShared : kSeenPrivate;
    for (GuestPhys page = gpa & ~(kPageBytes - 1); page < gpa + bytes; page += kPageBytes) {
        uint8_t& seen = seen_of(region, page);
        if (!(seen & bit))
            first(page);
        seen |= bit;
    }
}

} // namespace

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
    if (region == nullptr)
        return nullptr;
    look_at(*region, gpa, bytes, backing);
    uint8_t* seen = region->at(gpa, backing);
    if (on_access != nullptr)
        on_access(seen, bytes);
    return seen;
}

void GuestMemory::look_at(const Region& region, GuestPhys gpa, uint64_t bytes,
                          Backing backing) const {
    for_each_new(region, gpa, bytes, backing, [&](GuestPhys page) {
        const uint64_t which = page | (backing == Backing::shared ? 1 : 0);
        fill_with_noise(region.at(page, backing),
                        noise_seed + which * 0xd1342543de82ef95 + losses_);
    });
}

void GuestMemory::load(const Region& region, GuestPhys gpa, uint64_t bytes) const {
    for_each_new(region, gpa, bytes, Backing::private_, [&](GuestPhys page) {
        __builtin_memset(region.at(page, Backing::private_), 0, kPageBytes);
    });
}

void GuestMemory::lose(GuestPhys page) {
    const Region* region = find(page, kPageBytes);
    if (region == nullptr || region->seen == nullptr)
        return;
    seen_of(*region, page) = 0;
    ++losses_;
}

} // namespace sevhost
