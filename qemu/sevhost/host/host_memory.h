// The host's own memory: large pieces of RAM for the guest, pages for nested
// tables, and a window through which it touches devices.
#pragma once

#include <stdint.h>

#include "arch.h"
#include "prologue/handoff.h"

namespace sevhost {

class HostMemory {
public:
    explicit HostMemory(const prologue_handoff& handoff);

    // Aligned RAM that nothing else uses, from the top down, not zeroed. Ends the
    // run where there is none, naming `what`.
    HostPhys take(uint64_t bytes, uint64_t alignment, const char* what);

    // A zeroed page for a table.
    HostPhys take_page();

    // RAM at `phys`, through the direct map.
    template <typename T = uint8_t>
    T* at(HostPhys phys) const {
        return reinterpret_cast<T*>(handoff_.direct_map + phys);
    }

    HostPhys phys_of_ram(const uint8_t* seen) const {
        return reinterpret_cast<uint64_t>(seen) - handoff_.direct_map;
    }

    // Where something of the host's image lies.
    HostPhys phys_of(const void* in_image) const {
        return reinterpret_cast<uint64_t>(in_image) - handoff_.kernel_offset;
    }

    // RAM of any use; what is neither this nor reserved is a device's, or nobody's.
    bool overlaps_ram(HostPhys start, uint64_t bytes) const;

    // A device's registers or the firmware's tables, of which Prologue maps neither.
    // The pointer holds until another page with the same low bits of its number is asked for.
    volatile uint8_t* window(HostPhys phys);

    // Each of them has a TLB of its own, that knows of the window what it has seen last.
    bool several_processors = false;

    const prologue_handoff& handoff() const { return handoff_; }

private:
    static constexpr unsigned kMaxRanges = 64;
    struct Range {
        HostPhys start, end;
    };

    void map_window();
    HostPhys take_spare();

    const prologue_handoff& handoff_;
    Range free_[kMaxRanges] = {};
    unsigned free_count_ = 0;
    HostPhys pages_ = 0, pages_end_ = 0;
    HostPhys spare_;
    uint64_t* window_table_ = nullptr;
};

} // namespace sevhost
