// Free pages of RAM for the kernel's first tables, lowest first. None is taken
// back: a real allocator begins where this one has come to.
#pragma once

#include <prologue/handoff.h>

class Frames {
  public:
    explicit Frames(const prologue_handoff& handoff);

    // The physical address of a page of zeros. Halts the kernel when none is left.
    uint64_t take();

    uint64_t taken() const { return taken_; }

  private:
    const prologue_handoff& handoff_;
    const prologue_range* range_;  // that the next page is in
    uint64_t next_;
    uint64_t taken_ = 0;
};
