// The places in a piece of memory, or of addresses, that agree with where an image was linked
// up to this alignment: so that its large pages, and its segments' alignment, stay what they were.
#pragma once
#pragma GCC visibility push(hidden)

#include "ranges.h"

namespace prologue {

inline constexpr uint64_t kSlot = 2 * kMiB;

// The first address from `start` on that is `linked` modulo kSlot.
constexpr uint64_t first_slot(uint64_t start, uint64_t linked) {
    return start + (linked - start) % kSlot;
}

// How many places `bytes` have in a piece; they are kSlot apart.
constexpr uint64_t slots_in(Span piece, uint64_t bytes, uint64_t linked) {
    const uint64_t first = first_slot(piece.start, linked);
    if (first < piece.start || first >= piece.end || piece.end - first < bytes)
        return 0;
    return (piece.end - first - bytes) / kSlot + 1;
}

} // namespace prologue

#pragma GCC visibility pop
