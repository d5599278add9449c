#include "memory_map.h"

#include "errors.h"

namespace prologue {

Span span_of_range(uint64_t start, uint64_t bytes, uint32_t type) {
    if (bytes == 0)
        return {};
    const uint64_t last = start + (bytes - 1);
    if (last < start) [[unlikely]]
        fail(Error::range_wraps, start, bytes);
    if (type == PROLOGUE_MEMORY_USABLE) {
        // `last + 1` is 0 where the range ends at 2^64: no machine has that.
        const Span span = {start < kPage ? kPage : page_up(start), page_down(last + 1)};
        return span.start < span.end ? span : Span{};
    }
    const uint64_t last_page = page_down(last);
    return {page_down(start), last_page == kLastPageStart ? kLastPageStart : last_page + kPage};
}

void MemoryMap::add(uint64_t start, uint64_t bytes, uint32_t e820_type) {
    const uint32_t type = type_of_e820(e820_type);
    overlay(span_of_range(start, bytes, type), type);
}

void MemoryMap::overlay(Span span, uint32_t type) {
    if (span.start >= span.end)
        return;
    if (count_ != 0 && span.start < ranges_[count_ - 1].end)
        insert(span, type);
    else
        count_ = put(count_, span.start, span.end, type);
}

// Writes a range at `at`, or lets the one before it grow where they meet and
// are alike. Returns where the next one goes.
uint64_t MemoryMap::put(uint64_t at, uint64_t start, uint64_t end, uint32_t type) {
    if (at != 0 && ranges_[at - 1].end == start && ranges_[at - 1].type == type) {
        ranges_[at - 1].end = end;
        return at;
    }
    if (at == capacity_) [[unlikely]]
        fail(Error::too_many_ranges, at + 1, capacity_);
    ranges_[at] = {start, end, type, 0};
    return at + 1;
}

// A span that does not simply follow the others.
void MemoryMap::insert(Span span, uint32_t type) {
    uint64_t last = count_;
    while (last != 0 && ranges_[last - 1].start >= span.end)
        --last;
    uint64_t first = last;
    while (first != 0 && ranges_[first - 1].end > span.start)
        --first;
    if (first == last) {
        place(first, span, type);
        return;
    }
    const prologue_range& only = ranges_[first];
    const bool changes_nothing = last - first == 1 && only.type >= type &&
                                 only.start <= span.start && only.end >= span.end;
    if (!changes_nothing)
        blend(first, last, span, type);
}

// A span that overlaps nothing, before the range at `at`.
void MemoryMap::place(uint64_t at, Span span, uint32_t type) {
    open_gap(at, 1);
    const uint64_t next = put(at, span.start, span.end, type);
    close_gap(next, at + 1, count_ + 1);
}

// A span that overlaps the ranges from `first` up to `last`: each piece of it
// and of them is written anew. m ranges become 2m + 1 pieces at the most, so
// they are moved up by m + 1 and read from there; writing never overtakes.
void MemoryMap::blend(uint64_t first, uint64_t last, Span span, uint32_t type) {
    const uint64_t slots = last - first + 1;
    const uint64_t end = count_ + slots;
    open_gap(first, slots);
    uint64_t to = first;
    uint64_t done = span.start; // the span is dealt with up to here
    for (uint64_t from = first + slots; from != last + slots; ++from) {
        const prologue_range old = ranges_[from];
        if (old.start < span.start)
            to = put(to, old.start, span.start, old.type);
        else if (old.start > done)
            to = put(to, done, old.start, type);
        const uint64_t shared = old.start > span.start ? old.start : span.start;
        done = old.end < span.end ? old.end : span.end;
        to = put(to, shared, done, old.type > type ? old.type : type);
        if (old.end > span.end)
            to = put(to, span.end, old.end, old.type);
    }
    if (done < span.end)
        to = put(to, done, span.end, type);
    close_gap(to, last + slots, end);
}

// Moves the ranges from `at` on up by some slots.
void MemoryMap::open_gap(uint64_t at, uint64_t slots) {
    if (slots > capacity_ - count_) [[unlikely]]
        fail(Error::too_many_ranges, count_ + slots, capacity_);
    for (uint64_t from = count_; from != at; --from)
        ranges_[from - 1 + slots] = ranges_[from - 1];
}

// Moves the ranges [from, end) down to `to`; the first may merge with the one
// before it.
void MemoryMap::close_gap(uint64_t to, uint64_t from, uint64_t end) {
    if (from != end) {
        const prologue_range next = ranges_[from++];
        to = put(to, next.start, next.end, next.type);
    }
    if (to == from)
        to = end;
    else
        while (from != end)
            ranges_[to++] = ranges_[from++];
    count_ = to;
}

}  // namespace prologue
