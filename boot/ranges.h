// Ranges of physical memory, and the arithmetic on a stranger's numbers that
// cannot wrap.
#pragma once
#pragma GCC visibility push(hidden)

#include <stdint.h>

namespace prologue {

inline constexpr uint64_t kPage = 4096;
inline constexpr uint64_t kMiB = 1024 * 1024;
inline constexpr uint64_t kGiB = 1024 * kMiB;
inline constexpr uint64_t kMostPhysical = uint64_t{1} << 52; // that x86 can ever address
inline constexpr uint64_t kLastPageStart = ~uint64_t{kPage - 1};

constexpr uint64_t page_down(uint64_t address) {
    return address & ~(kPage - 1);
}

// The next page boundary, or the last there is.
constexpr uint64_t page_up(uint64_t address) {
    return address > kLastPageStart ? kLastPageStart : page_down(address + kPage - 1);
}

// Physical memory from `start` to, not including, `end`.
struct Span {
    uint64_t start = 0;
    uint64_t end = 0;

    constexpr uint64_t bytes() const { return end - start; }
    constexpr bool overlaps(const Span& other) const {
        return start < other.end && other.start < end;
    }

    // What both have; empty if that is nothing. For all that has start and end.
    template <class Other>
    constexpr Span shared(const Other& other) const {
        const uint64_t first = other.start > start ? other.start : start;
        const uint64_t last = other.end < end ? other.end : end;
        return first < last ? Span{first, last} : Span{};
    }

    // Grows by a span whose pages its own touch; false if they do not. Both end
    // at a page's end.
    constexpr bool join(const Span& other) {
        if (page_down(other.start) > end || page_down(start) > other.end)
            return false;
        *this = hull(other);
        return true;
    }

    // The smallest span that holds both.
    constexpr Span hull(const Span& other) const {
        return {other.start < start ? other.start : start, other.end > end ? other.end : end};
    }
};

} // namespace prologue

#pragma GCC visibility pop
