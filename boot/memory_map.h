// The memory map: sorted, page-aligned, without overlaps, neighbours of one
// type merged. Where ranges overlap, the more restrictive type wins, but a module's
// bytes are the module's: loaders reserve what they have allocated.
//
// What follows the ranges that are there already, or lies within the last of them, is laid down
// at once: so are most loaders' maps. All else is put aside, at the storage's end, and merged
// in one sweep: n statements take n log n steps, in whatever order.
#pragma once
#pragma GCC visibility push(hidden)

#include "loader_info.h"

namespace prologue {

// A span that the loader's map does not know of: what is in use already.
struct Mark {
    Span span; // page-aligned
    uint32_t type;
};

// Marks, in memory of the caller's: kept sorted as long as that is cheap, which spares the map
// to put them aside.
class Marks {
public:
    explicit Marks(Mark* storage) : begin_(storage), end_(storage) {}

    void add(Span span, uint32_t type) {
        constexpr int64_t kMostMoved = 32;
        const Span pages = {page_down(span.start), page_up(span.end)};
        Mark* at = end_++;
        const Mark* const lowest = at - begin_ > kMostMoved ? at - kMostMoved : begin_;
        for (; at != lowest && at[-1].span.start > pages.start; --at)
            *at = at[-1];
        *at = {pages, type};
    }

    const Mark* begin() const { return begin_; }
    const Mark* end() const { return end_; }
    uint64_t size() const { return static_cast<uint64_t>(end_ - begin_); }

private:
    Mark* begin_;
    Mark* end_;
};

class MemoryMap {
public:
    // `storage` holds the ranges and is the caller's. storage_for() says how
    // much n ranges can need, however they overlap.
    MemoryMap(prologue_range* storage, uint64_t capacity)
        : begin_(storage + 1),
          end_(begin_),
          limit_(storage + capacity),
          aside_(limit_) {
        *storage = {}; // so that every range has one before it
    }
    static constexpr uint64_t storage_for(uint64_t ranges) { return 2 * ranges + 2; }

    // Gives each page of the span the stronger of its type and `type`.
    // The span is page-aligned. Cheapest in ascending order.
    void overlay(Span span, uint32_t type);

    // The usable range with the largest share in `limits`; fails if that is
    // below `least` bytes.
    const prologue_range& largest_usable(Span limits, uint64_t least) const;

    // Gives a span inside one range of this map another type.
    void carve(const prologue_range& range, Span span, uint32_t type);

    // Gives what is of one type another, below an address.
    void retype(uint32_t from, uint32_t to, uint64_t below);

    // A range as a loader states it: usable memory shrinks to whole pages, and
    // loses physical page 0; all else grows.
    void add(const RawRange& range) {
        state(range);
        settle();
    }

    // All of a loader's ranges, and each mark as soon as what lies below is
    // there: where the loader's map is sorted, nothing has to be moved for it.
    void add(const RawMap& ranges, const Marks& marks);

    // The end of the highest range that is mapped for a kernel; 0 where there is none.
    uint64_t mapped_end() const;

    // Leaves out what a CPU cannot address of the kinds that are mapped for a kernel, and
    // that it can do without: RAM, ACPI's tables.
    void leave_out_above(uint64_t addressable);

    const prologue_range* begin() const { return begin_; }
    const prologue_range* end() const { return end_; }
    uint64_t size() const { return static_cast<uint64_t>(end_ - begin_); }
    uint32_t left_out() const { return left_out_; } // PROLOGUE_LEFT_OUT_*

private:
    struct Sweep;
    void state(const RawRange& range);
    void lay(Span span, uint32_t type);
    void lay_below(Span span, uint32_t type);
    void follow(Span span, uint32_t type);
    void append(Span span, uint32_t type);
    void put_aside(Span span, uint32_t type);
    void settle();
    void lay_up_to(uint64_t start, Sweep& sweep);
    void lay_mark(const Mark& mark);
    [[noreturn]] void fail_full() const;
    void move_tail(prologue_range* from, prologue_range* to);

    prologue_range* begin_;
    prologue_range* end_;
    prologue_range* limit_;
    prologue_range* aside_; // what is put aside, from here to the limit
    uint32_t left_out_ = 0;
};

// The types from the weakest to the strongest, of which the stronger wins; and where each
// stands there. Soft-reserved memory is RAM all the same; what the image and modules lie in
// has been written to, whoever calls it unaccepted.
inline constexpr uint32_t kTypes = PROLOGUE_MEMORY_SOFT_RESERVED + 1;
inline constexpr uint8_t kByRank[kTypes] = {0,
                                            PROLOGUE_MEMORY_USABLE,
                                            PROLOGUE_MEMORY_LOADER,
                                            PROLOGUE_MEMORY_PROLOGUE,
                                            PROLOGUE_MEMORY_ACPI,
                                            PROLOGUE_MEMORY_NVS,
                                            PROLOGUE_MEMORY_SOFT_RESERVED,
                                            PROLOGUE_MEMORY_RESERVED,
                                            PROLOGUE_MEMORY_BAD,
                                            PROLOGUE_MEMORY_UNACCEPTED,
                                            PROLOGUE_MEMORY_MODULE,
                                            PROLOGUE_MEMORY_KERNEL};
inline constexpr uint8_t kRanks[kTypes] = {0, 1, 2, 3, 10, 4, 5, 7, 8, 11, 9, 6};
constexpr uint32_t rank_of(uint32_t type) {
    return kRanks[type];
}
static_assert([] {
    for (uint32_t rank = 0; rank != kTypes; ++rank)
        if (rank_of(kByRank[rank]) != rank)
            return false;
    return true;
}());

// What a kernel gets to see, where nothing else is wished for.
constexpr bool is_mapped(uint32_t type) {
    return type != PROLOGUE_MEMORY_RESERVED && type != PROLOGUE_MEMORY_BAD &&
           type != PROLOGUE_MEMORY_SOFT_RESERVED;
}

// The type of a range by the e820's numbers, which all contracts share; what is
// not known is reserved.
constexpr uint32_t type_of_e820(uint32_t e820_type) {
    constexpr uint8_t kTypes[] = {PROLOGUE_MEMORY_RESERVED, PROLOGUE_MEMORY_USABLE,
                                  PROLOGUE_MEMORY_RESERVED, PROLOGUE_MEMORY_ACPI,
                                  PROLOGUE_MEMORY_NVS,      PROLOGUE_MEMORY_BAD};
    if (e820_type < sizeof kTypes)
        return kTypes[e820_type];
    switch (e820_type) {
    case kInFirmwaresUse:
        return PROLOGUE_MEMORY_LOADER;
    case kE820Unaccepted:
        return PROLOGUE_MEMORY_UNACCEPTED;
    case kE820SoftReserved:
        return PROLOGUE_MEMORY_SOFT_RESERVED;
    }
    return PROLOGUE_MEMORY_RESERVED;
}

// ... of a range that is empty or reaches the end of all addresses; or wraps, and so
// says nothing that can be believed.
Span span_of_odd_range(uint64_t start, uint64_t bytes, uint32_t type, uint32_t& left_out);

// The page-aligned span of a loader's range; empty if there is none left.
inline Span span_of_range(uint64_t start, uint64_t bytes, uint32_t type, uint32_t& left_out) {
    const uint64_t end = start + bytes;
    if (end <= start || end > kLastPageStart) [[unlikely]]
        return span_of_odd_range(start, bytes, type, left_out);
    if (type != PROLOGUE_MEMORY_USABLE)
        return {page_down(start), page_down(end + kPage - 1)};
    const Span span = {start < kPage ? kPage : page_down(start + kPage - 1), page_down(end)};
    return span.start < span.end ? span : Span{};
}

inline void MemoryMap::append(Span span, uint32_t type) {
    if (end_ == aside_) [[unlikely]]
        fail_full();
    prologue_range* const range = end_++;
    range->start = span.start;
    range->end = span.end;
    range->type = type;
    range->flags = 0;
}

// A span that begins where the last range ends, or behind it.
inline void MemoryMap::follow(Span span, uint32_t type) {
    prologue_range& last = end_[-1];
    if (span.start == last.end && type == last.type)
        last.end = span.end;
    else
        append(span, type);
}

inline void MemoryMap::lay(Span span, uint32_t type) {
    if (span.start >= span.end)
        return;
    if (span.start < end_[-1].end)
        lay_below(span, type);
    else
        follow(span, type);
}

[[gnu::always_inline]] inline void MemoryMap::state(const RawRange& range) {
    const uint32_t type = type_of_e820(range.e820_type);
    lay(span_of_range(range.start, range.bytes, type, left_out_), type);
}

} // namespace prologue

#pragma GCC visibility pop
