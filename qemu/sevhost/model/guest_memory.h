// The guest's memory: ranges of guest-physical addresses, each with a private
// and a shared backing. Which of the two an access reaches is the C-bit's
// business (APM vol. 2, 15.34.4); a guest without SEV has one backing only.
#pragma once

#include "arch.h"

namespace sevhost {

enum class Backing : uint8_t { private_, shared };

struct Region {
    GuestPhys start;
    uint64_t bytes;
    uint8_t* private_;
    uint8_t* shared; // the same as private_ where there is no encryption

    bool holds(GuestPhys gpa, uint64_t count) const {
        return gpa >= start && gpa - start < bytes && count <= bytes - (gpa - start);
    }
    uint8_t* at(GuestPhys gpa, Backing backing) const {
        return (backing == Backing::shared ? shared : private_) + (gpa - start);
    }
};

class GuestMemory {
public:
    static constexpr unsigned kMaxRegions = 8;

    // Whole pages; ranges do not overlap. False where there is no room for more.
    bool add(const Region& region);

    // The region that holds all of [gpa, gpa + bytes), or nullptr.
    const Region* find(GuestPhys gpa, uint64_t bytes = 1) const;

    // The host's view of it, or nullptr.
    uint8_t* at(GuestPhys gpa, uint64_t bytes, Backing backing) const;

    unsigned count() const { return count_; }
    const Region& operator[](unsigned i) const { return regions_[i]; }

private:
    Region regions_[kMaxRegions] = {};
    unsigned count_ = 0;
};

} // namespace sevhost
