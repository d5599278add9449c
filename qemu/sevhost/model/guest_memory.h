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
    uint8_t* shared;         // the same as private_ where there is no encryption
    uint8_t* seen = nullptr; // a byte a page: which of its backings hold something; nullptr: both

    bool holds(GuestPhys gpa, uint64_t count) const {
        return gpa >= start && gpa - start < bytes && count <= bytes - (gpa - start);
    }
    uint8_t* at(GuestPhys gpa, Backing backing) const {
        return (backing == Backing::shared ? shared : private_) + (gpa - start);
    }
};

// What nobody has written holds noise, which is made when a page is looked at first.
class GuestMemory {
public:
    static constexpr unsigned kMaxRegions = 8;

    uint64_t noise_seed = 0;

    // Whole pages; ranges do not overlap. False where there is no room for more.
    bool add(const Region& region);

    // The region that holds all of [gpa, gpa + bytes), or nullptr.
    const Region* find(GuestPhys gpa, uint64_t bytes = 1) const;

    // These pages are about to be looked at: noise, where they hold nothing yet.
    void look_at(const Region& region, GuestPhys gpa, uint64_t bytes, Backing backing) const;
    // They are about to be loaded: zeros, where they hold nothing yet.
    void load(const Region& region, GuestPhys gpa, uint64_t bytes) const;
    // What the page held is lost: other noise the next time.
    void lose(GuestPhys page);

    // The host's view of it, or nullptr.
    uint8_t* at(GuestPhys gpa, uint64_t bytes, Backing backing) const;

    // Told of the host's every access, before it: of who takes back what it writes.
    void (*on_access)(uint8_t* at, uint64_t bytes) = nullptr;

    unsigned count() const { return count_; }
    const Region& operator[](unsigned i) const { return regions_[i]; }

private:
    uint64_t losses_ = 0;
    Region regions_[kMaxRegions] = {};
    unsigned count_ = 0;
};

} // namespace sevhost
