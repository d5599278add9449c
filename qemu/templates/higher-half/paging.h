// The kernel's own page tables, four levels of them.
#pragma once

#include <prologue/handoff.h>

#include "frames.h"

class PageTables {
  public:
    enum Rights : uint64_t {  // bits of an entry; the highest forbids to execute
        kReadOnly = 1ull << 63,
        kReadWrite = 1ull << 63 | 1 << 1,
        kReadExecute = 0,
    };

    PageTables(const prologue_handoff& handoff, Frames& frames);

    // Whole pages; with large ones where addresses and length allow it. What was
    // mapped there before is lost, and must be flushed from the TLB by the caller.
    void map(uint64_t virt, uint64_t phys, uint64_t bytes, Rights rights);

    // The image, segment by segment, but for the page below the stack.
    void map_image();

    // RAM, where Prologue has it, so that the handoff's pointers go on to hold. The
    // image is left out: no page of it is writable here that is not so there.
    void map_ram();

    void load() const;

  private:
    uint64_t* entry(uint64_t virt, unsigned level);
    unsigned largest_level(uint64_t addresses, uint64_t bytes) const;

    const prologue_handoff& handoff_;
    Frames& frames_;
    uint64_t top_;  // physical
};
