// Physical memory as the boot sees it: through a window that starts at
// physical address 0 and is mapped up to some limit. On the target that is the
// early map, which grows on demand; in the host tests, a buffer.
#pragma once
#pragma GCC visibility push(hidden)

#include "ranges.h"

namespace prologue {

struct PhysMemory {
    uint64_t window = 0; // virtual address of physical 0
    uint64_t mapped = 0; // bytes of physical memory that can be seen

    // The bytes at `start`, all of them readable. `what` names them in the
    // error, for those that cannot be reached.
    const uint8_t* at(const char* what, uint64_t start, uint64_t bytes) {
        if (start > mapped || bytes > mapped - start) [[unlikely]]
            extend(what, start, bytes);
        return reinterpret_cast<const uint8_t*>(static_cast<uintptr_t>(window + start));
    }

    template <class T>
    const T* at(const char* what, uint64_t start) {
        return reinterpret_cast<const T*>(at(what, start, sizeof(T)));
    }

    // Can they be seen already?
    bool sees(uint64_t start, uint64_t bytes) const {
        return start <= mapped && bytes <= mapped - start;
    }

    // Memory known to be mapped.
    template <class T = void>
    T* seen(uint64_t phys) const {
        return reinterpret_cast<T*>(static_cast<uintptr_t>(window + phys));
    }
    uint64_t phys_of(const void* seen) const { return reinterpret_cast<uintptr_t>(seen) - window; }
    Span span_of(const void* seen, uint64_t bytes) const {
        return {phys_of(seen), phys_of(seen) + bytes};
    }

    // Sees to it that they can be seen, if that is possible: for an address of
    // which nothing is known.
    bool reach(uint64_t start, uint64_t bytes);

    // ... or fails. Each environment brings its own of both.
    void extend(const char* what, uint64_t start, uint64_t bytes);
};

// A loader's structures need not be aligned.
template <class T>
T read_unaligned(const void* from) {
    T value;
    __builtin_memcpy(&value, from, sizeof value);
    return value;
}

} // namespace prologue

#pragma GCC visibility pop
