#include "memory_map.h"

#include "bytes.h"
#include "errors.h"

namespace prologue {

Span span_of_odd_range(uint64_t start, uint64_t bytes, uint32_t type, uint32_t& left_out) {
    if (bytes == 0)
        return {};
    const uint64_t last = start + (bytes - 1);
    if (last < start) {
        left_out |= PROLOGUE_LEFT_OUT_RANGE;
        return {};
    }
    // The last page has no end that can be written: it is left out. Usable
    // memory up there is no machine's.
    const uint64_t end = last < kLastPageStart ? page_up(last + 1) : kLastPageStart;
    const uint64_t first = type == PROLOGUE_MEMORY_USABLE ? end : page_down(start);
    return first < end ? Span{first, end} : Span{};
}

// A span that begins before the last range ends. What gives way of one of the two is laid down
// around the other, as long as no range before them does.
[[gnu::noinline]] void MemoryMap::lay_below(Span span, uint32_t type) {
    const prologue_range& before = end_[-2];
    if (span.start < before.end) {
        if (span.start < before.start || rank_of(type) > rank_of(before.type))
            return put_aside(span, type);
        span.start = before.end;
        if (span.start >= span.end)
            return;
    }
    const prologue_range last = end_[-1];
    if (rank_of(type) > rank_of(last.type)) {
        end_[-1].end = span.start;
        end_ -= span.start <= last.start;
        follow(span, type);
        if (span.end < last.end)
            follow({span.end > last.start ? span.end : last.start, last.end}, last.type);
        return;
    }
    if (span.start < last.start) {
        --end_;
        follow({span.start, span.end < last.start ? span.end : last.start}, type);
        follow({last.start, last.end}, last.type);
    }
    if (last.end < span.end)
        follow({last.end, span.end}, type);
}

void MemoryMap::add(const RawMap& ranges, const Marks& marks) {
    const Mark* mark = marks.begin();
    for (const RawRange& range : ranges) {
        for (; mark != marks.end() && mark->span.end <= range.start; ++mark)
            lay_mark(*mark);
        state(range);
    }
    for (; mark != marks.end(); ++mark)
        lay_mark(*mark);
    settle();
}

[[gnu::noinline]] void MemoryMap::lay_mark(const Mark& mark) {
    lay(mark.span, mark.type);
}

void MemoryMap::overlay(Span span, uint32_t type) {
    lay_mark({span, type});
    settle();
}

const prologue_range& MemoryMap::largest_usable(Span limits, uint64_t least) const {
    const prologue_range* best = begin_;
    uint64_t best_bytes = 0;
    for (const prologue_range& range : *this) {
        if (range.type != PROLOGUE_MEMORY_USABLE)
            continue;
        const uint64_t bytes = limits.shared(range).bytes();
        if (bytes > best_bytes) {
            best = &range;
            best_bytes = bytes;
        }
    }
    if (best_bytes < least)
        fail(Error::no_free_memory, least, best_bytes);
    return *best;
}

[[clang::minsize]] void MemoryMap::carve(const prologue_range& range, Span span, uint32_t type) {
    prologue_range* first = begin_ + (&range - begin_);
    prologue_range* last = first + 1;
    const prologue_range whole = range;
    const bool below = whole.start < span.start;
    const bool above = whole.end > span.end;
    if (!below && first[-1].end == span.start && first[-1].type == type)
        span.start = (--first)->start;
    if (!above && last != end_ && last->start == span.end && last->type == type)
        span.end = (last++)->end;
    move_tail(last, first + below + 1 + above);
    if (below)
        *first++ = {whole.start, span.start, whole.type, 0};
    *first++ = {span.start, span.end, type, 0};
    if (above)
        *first = {span.end, whole.end, whole.type, 0};
}

// In one pass over the map, however long it is; at most one range is in two pieces then.
[[clang::minsize]] void MemoryMap::retype(uint32_t from, uint32_t to, uint64_t below) {
    for (prologue_range* range = begin_; range != end_; ++range) {
        if (range->type != from || range->start >= below || range->end <= below)
            continue;
        carve(*range, {range->start, below}, to);
        break;
    }
    prologue_range* kept = begin_; // before the first one stands one of no type
    for (const prologue_range* range = begin_; range != end_; ++range) {
        const uint32_t type = range->type == from && range->end <= below ? to : range->type;
        if (kept[-1].end == range->start && kept[-1].type == type)
            kept[-1].end = range->end;
        else
            *kept++ = {range->start, range->end, type, 0};
    }
    end_ = kept;
}

uint64_t MemoryMap::mapped_end() const {
    const prologue_range* range = end_;
    while (range != begin_ && !is_mapped(range[-1].type))
        --range;
    return range[-1].end; // before the first one stands one that is all zero
}

void MemoryMap::leave_out_above(uint64_t addressable) {
    prologue_range* to = begin_;
    for (prologue_range range : *this) {
        const bool optional = range.type == PROLOGUE_MEMORY_USABLE ||
                              range.type == PROLOGUE_MEMORY_ACPI ||
                              range.type == PROLOGUE_MEMORY_NVS;
        if (optional && range.end > addressable) {
            left_out_ |= PROLOGUE_LEFT_OUT_RAM;
            range.end = addressable;
        }
        if (range.start < range.end)
            *to++ = range;
    }
    end_ = to;
}

// There would be no place for one more.
void MemoryMap::fail_full() const {
    const auto places = static_cast<uint64_t>(limit_ - begin_);
    fail(Error::too_many_ranges, places + 1, places);
}

// Moves the ranges from `from` on, up or down, to begin at `to`.
void MemoryMap::move_tail(prologue_range* from, prologue_range* to) {
    prologue_range* const end = end_ + (to - from);
    if (end > limit_) [[unlikely]]
        fail_full();
    const auto bytes = reinterpret_cast<uintptr_t>(end_) - reinterpret_cast<uintptr_t>(from);
    if (to > from)
        copy_bytes_up(to, from, bytes);
    else if (to < from)
        copy_bytes(to, from, bytes);
    end_ = end;
}

} // namespace prologue
