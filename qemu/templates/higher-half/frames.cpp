#include "frames.h"

#include <prologue/kernel.h>

#include "console.h"
#include "cpu.h"

namespace {

// What is below is scarce, and wanted to start other processors.
constexpr uint64_t kFirst = 1 << 20;

void clear_page(void* page) {
    uint64_t words = 4096 / 8;
    asm volatile("rep stosq" : "+D"(page), "+c"(words) : "a"(0) : "memory");
}

}  // namespace

Frames::Frames(const prologue_handoff& handoff)
    : handoff_(handoff),
      range_(prologue_next_range(&handoff, PROLOGUE_MEMORY_USABLE, nullptr)),
      next_(kFirst) {}

uint64_t Frames::take() {
    while (range_ && next_ >= range_->end)
        range_ = prologue_next_range(&handoff_, PROLOGUE_MEMORY_USABLE, range_);
    if (!range_) {
        console::print("out of memory");
        halt();
    }
    const uint64_t frame = next_ < range_->start ? range_->start : next_;
    next_ = frame + 4096;
    ++taken_;
    clear_page(prologue_seen(&handoff_, frame));
    return frame;
}
