// The guest's memory: ranges of guest-physical addresses, each with a private
// and a shared backing. Which of the two an access reaches is the C-bit's
// business (APM vol. 2, 15.34.4); a guest without SEV has one backing only.
#pragma once

#include "arch.h"
#include "host_memory.h"

namespace sevhost {

enum class Backing : uint8_t { private_, shared };

struct Region {
    GuestPhys start;
    uint64_t bytes;
    HostPhys private_;
    HostPhys shared;

    HostPhys phys(GuestPhys gpa, Backing backing) const {
        return (backing == Backing::shared ? shared : private_) + (gpa - start);
    }
};

class GuestMemory {
public:
    GuestMemory(HostMemory& host, bool encrypted) : host_(host), encrypted_(encrypted) {}

    // Adds zeroed memory; the start is page-aligned, and the size a whole number of pages.
    void add(GuestPhys start, uint64_t bytes, const char* what);

    // The region that holds all of [gpa, gpa + bytes), or nullptr.
    const Region* find(GuestPhys gpa, uint64_t bytes = 1) const;

    // The host's view of it, or nullptr.
    uint8_t* at(GuestPhys gpa, uint64_t bytes, Backing backing) const;

    // What the loader places: it is in private memory, and fits, or the run ends.
    void place(GuestPhys gpa, const void* from, uint64_t bytes, const char* what) const;
    void place_zeros(GuestPhys gpa, uint64_t bytes, const char* what) const;

    unsigned count() const { return count_; }
    const Region& operator[](unsigned i) const { return regions_[i]; }
    HostMemory& host() const { return host_; }

private:
    static constexpr unsigned kMaxRegions = 8;

    uint8_t* placeable(GuestPhys gpa, uint64_t bytes, const char* what) const;

    HostMemory& host_;
    bool encrypted_;
    Region regions_[kMaxRegions] = {};
    unsigned count_ = 0;
};

} // namespace sevhost
