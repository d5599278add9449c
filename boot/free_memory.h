// Where the boot may write: free memory, before there is a memory map that says
// so, and the allocator for it.
#pragma once
#pragma GCC visibility push(hidden)

#include "loader_info.h"

namespace prologue {

// A bump allocator over one piece of free memory, zeroed by nobody. It goes down from
// the piece's end: a kernel may take memory for its own from the image's end on, or a
// module's, before it has looked at the map.
class Arena {
public:
    // Makes the piece visible, and uses kMost of it at the most, its end: the early map
    // is not grown for more.
    Arena(PhysMemory& memory, Span span);
    static constexpr uint64_t kMost = 128 * kMiB;

    // Memory for `count` objects, as seen through the window.
    template <class T>
    T* array(uint64_t count) {
        const uint64_t address = window_ + take(count * sizeof(T), alignof(T));
        return reinterpret_cast<T*>(static_cast<uintptr_t>(address));
    }
    const char* copy(const char* bytes, uint64_t count, bool end_with_nul);

    // The physical address of `bytes` bytes.
    uint64_t take(uint64_t bytes, uint64_t alignment);

    uint64_t end() const { return end_; }
    // Whole pages that have not been taken.
    Span rest() const { return {start_, page_down(next_)}; }

private:
    uint64_t window_;
    uint64_t start_;
    uint64_t next_; // the lowest byte that has been taken
    uint64_t end_;
};

// Page-aligned `bytes` bytes of usable memory within `limits` that no other range of the
// loader's map, no structure or module of its and no page of the image touches; or fails. For
// a memory map that is too long for our .bss. In whatever order ranges come, each is looked
// at 18 times at the most; for that, a room is only sure to be found where it has a
// 4096th part of what usable memory spans to spare: a MiB at the most, and up to 32 MiB nothing.
Span find_free_memory(PhysMemory& memory, const LoaderInfo& loader, NextModule* next_module,
                      Span image, Span limits, uint64_t bytes);

} // namespace prologue

#pragma GCC visibility pop
