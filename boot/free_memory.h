// Where the boot may write before there is a memory map: one piece of memory
// that the loader's own map says is usable and nothing known lies on.
#pragma once
#pragma GCC visibility push(hidden)

#include "loader_info.h"

namespace prologue {

// A bump allocator over one piece of free memory, zeroed by nobody.
class Arena {
public:
    Arena(uint64_t window, Span span) : window_(window), span_(span), next_(span.start) {}

    // Memory for `count` objects, as seen through the window.
    template <class T>
    T* array(uint64_t count) {
        return reinterpret_cast<T*>(static_cast<uintptr_t>(window_ + take(count * sizeof(T), alignof(T))));
    }
    const char* copy(const char* bytes, uint64_t count, bool end_with_nul);

    // The physical address of `bytes` bytes.
    uint64_t take(uint64_t bytes, uint64_t alignment);

    // From the next page on: what has not been taken; and what has.
    Span rest() const { return {page_up(next_), span_.end}; }
    Span taken() const { return {span_.start, page_up(next_)}; }

private:
    uint64_t window_;
    Span span_;
    uint64_t next_;
};

// A large page-aligned piece of usable memory from the first MiB up to `limit`
// that no other range of the map, no structure or module of the loader and no
// page of the image touches; the largest, where they are scarce. Fails if that
// is below `least` bytes.
Span find_free_memory(PhysMemory& memory, const LoaderInfo& loader, NextModule* next_module,
                      Span image, uint64_t limit, uint64_t least);

}  // namespace prologue

#pragma GCC visibility pop
