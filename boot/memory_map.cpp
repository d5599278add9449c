#include "memory_map.h"

#include "bytes.h"
#include "errors.h"

namespace prologue {

Span span_of_odd_range(uint64_t start, uint64_t bytes, uint32_t type) {
    if (bytes == 0)
        return {};
    const uint64_t last = start + (bytes - 1);
    if (last < start)
        fail(Error::range_wraps, start, bytes);
    // The last page has no end that can be written: it is left out. Usable
    // memory up there is no machine's.
    const uint64_t end = last < kLastPageStart ? page_up(last + 1) : kLastPageStart;
    const uint64_t first = type == PROLOGUE_MEMORY_USABLE ? end : page_down(start);
    return first < end ? Span{first, end} : Span{};
}

// A span that does not simply follow the others.
[[gnu::noinline]] void MemoryMap::lay_below(Span span, uint32_t type) {
    const prologue_range last = end_[-1];
    const prologue_range& before = end_[-2];
    if (span.start >= last.start && span.end <= last.end && type > last.type &&
        (span.start != before.end || type != before.type)) {
        // Inside the last range, and more restrictive: a mark in its turn.
        end_[-1].end = span.start;
        end_ -= span.start == last.start;
        append(span, type);
        if (span.end != last.end)
            append({span.end, last.end}, last.type);
        return;
    }
    if (span.end > last.start) {
        overlay_within(span, type);
        return;
    }
    // Between two others: one step of an insertion sort.
    if (end_ == limit_)
        fail_full(1);
    prologue_range* at = end_++;
    for (; at[-1].start >= span.end; --at)
        *at = at[-1];
    const bool touches_next = at + 1 != end_ && at[1].start == span.end && at[1].type == type;
    if (at[-1].end < span.start && !touches_next) {
        *at = {span.start, span.end, type, 0};
        return;
    }
    move_tail(at + 1, at);
    overlay_within(span, type);
}

void MemoryMap::add(const RawMap& ranges, const Marks& marks) {
    const Mark* mark = marks.begin();
    for (const RawRange& range : ranges) {
        for (; mark != marks.end() && mark->span.end <= range.start; ++mark)
            overlay(mark->span, mark->type);
        add(range);
    }
    for (; mark != marks.end(); ++mark)
        overlay(mark->span, mark->type);
}

[[gnu::noinline]] void MemoryMap::overlay(Span span, uint32_t type) {
    lay(span, type);
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

void MemoryMap::carve(const prologue_range& range, Span span, uint32_t type) {
    prologue_range* first = begin_ + (&range - begin_);
    replace(first, first + 1, span, type);
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

void MemoryMap::fail_full(int64_t more) const {
    fail(Error::too_many_ranges, static_cast<uint64_t>(end_ + more - begin_),
         static_cast<uint64_t>(limit_ - begin_));
}

// A span that overlaps ranges, or touches its neighbours. It is laid down
// stretch by stretch: each goes as far as the ranges under it are less restrictive.
[[gnu::noinline]] void MemoryMap::overlay_within(Span span, uint32_t type) {
    prologue_range* first = end_;
    while (first[-1].end > span.start)
        --first;
    while (span.start < span.end) {
        prologue_range* last = first;
        while (last != end_ && last->start < span.end && last->type < type)
            ++last;
        const bool reaches_end = last == end_ || last->start >= span.end;
        const uint64_t stretch_end = reaches_end ? span.end : last->start;
        if (span.start < stretch_end)
            last = replace(first, last, {span.start, stretch_end}, type);
        if (reaches_end)
            return;
        span.start = last->end;
        first = last + 1;
    }
}

// Puts a range in place of [first, last), which lie under it; what sticks out
// of them on either side stays. Returns what is now the first range that ends
// after the span: the one at its end, where that is of the same type and so
// became one with it.
prologue_range* MemoryMap::replace(prologue_range* first, prologue_range* last, Span span,
                                   uint32_t type) {
    prologue_range below = {};
    prologue_range above = {};
    if (first != last) {
        below = *first;
        above = last[-1];
    }
    const bool left = first != last && below.start < span.start;
    const bool right = above.end > span.end;
    if (!left && first[-1].end == span.start && first[-1].type == type)
        span.start = (--first)->start;
    bool joined = false;
    if (!right && last != end_ && last->start == span.end && last->type == type) {
        span.end = (last++)->end;
        joined = true;
    }
    move_tail(last, first + left + 1 + right);
    if (left)
        *first++ = {below.start, span.start, below.type, 0};
    *first++ = {span.start, span.end, type, 0};
    if (right)
        *first = {span.end, above.end, above.type, 0};
    return joined ? first - 1 : first;
}

// Moves the ranges from `from` on, up or down, to begin at `to`.
void MemoryMap::move_tail(prologue_range* from, prologue_range* to) {
    prologue_range* const end = end_ + (to - from);
    if (end > limit_) [[unlikely]]
        fail_full(to - from);
    const auto bytes = reinterpret_cast<uintptr_t>(end_) - reinterpret_cast<uintptr_t>(from);
    if (to > from)
        copy_bytes_up(to, from, bytes);
    else if (to < from)
        copy_bytes(to, from, bytes);
    end_ = end;
}

}  // namespace prologue
