// The kernel's own ELF64 image as it lies in memory, read through the program
// headers that are part of its first segment. Source: ELF-64 object file format.
#pragma once
#pragma GCC visibility push(hidden)

#include "ranges.h"

namespace prologue {

// A loadable segment, grown to whole pages.
struct Segment {
    uint64_t virt; // as the kernel was linked
    uint64_t phys; // where it lies
    uint64_t bytes;
    bool writable;
    bool executable;
    uint8_t index = 0;   // of its program header
    uint16_t before = 0; // bytes of its first page that are not its own,
    uint16_t behind = 0; // and of its last: GRUB, say, puts its information there

    constexpr Span span() const { return {phys, phys + bytes}; }
    constexpr Span own_span() const { return {phys + before, phys + bytes - behind}; }
};

inline constexpr unsigned kMostSegments = 16;

// The program headers must lie in the image's first page, as linkers place them.
inline constexpr unsigned kMostHeaders = 64;

// Are all bits from the highest that is translated on alike? (SDM 3.3.7.1)
constexpr bool is_canonical(uint64_t address, unsigned levels) {
    const uint64_t above = address >> (11 + 9 * levels);
    return above == 0 || above == ~uint64_t{0} >> (11 + 9 * levels);
}

class Image {
public:
    // `phys` is where the ELF header lies and `window` the virtual address of
    // physical 0. Fails on headers that are not those of a loadable kernel.
    Image(uint64_t window, uint64_t phys);

    // Of segments that are known already, in ascending order, one at least.
    Image(const Segment* segments, unsigned count)
        : count_(count),
          virtual_offset_(segments->virt - segments->phys),
          offset_from_now_(virtual_offset_),
          span_{segments->phys, segments[count - 1].span().end} {
        for (unsigned i = 0; i != count; ++i)
            segments_[i] = segments[i];
    }

    // Fails unless what runs `code` may do so, and the stack may be written to (both are
    // virtual addresses).
    void check_rights(uint64_t code, uint64_t stack) const;

    // Fails unless the segments are in ascending order, at one distance from
    // virtual to physical, never writable and executable, page by page apart,
    // clear of `direct_map` (virtual addresses), and canonical with that many
    // levels of paging.
    void check(Span direct_map, unsigned levels) const;

    const Segment* begin() const { return segments_; }
    const Segment* end() const { return segments_ + count_; }

    Span span() const { return span_; }
    // What of the image lies on a span, to the byte, and by the program headers: what a
    // script calls its end does not matter, and gaps between segments are not the image's.
    bool lies_on(Span span) const;
    Span loaded_span() const { return {span_.start, end()[-1].own_span().end}; }
    Span virtual_span() const {
        return {span_.start + virtual_offset_, span_.end + virtual_offset_};
    }
    // virtual address = physical address + this, modulo 2^64, for all of it
    uint64_t virtual_offset() const { return virtual_offset_; }
    // How far it was moved from the physical address that it was linked for.
    uint64_t moved() const { return moved_; }

    // It will be elsewhere than it was loaded, by these distances; the second is kept.
    void slide(uint64_t virt, uint64_t phys) {
        for (unsigned i = 0; i != count_; ++i) {
            segments_[i].virt += virt;
            segments_[i].phys += phys;
        }
        span_ = {span_.start + phys, span_.end + phys};
        virtual_offset_ += virt - phys;
        offset_from_now_ += virt;
    }
    // virtual address = where it lies until it is carried there + this; and how far that is
    uint64_t offset_from_now() const { return offset_from_now_; }
    uint64_t carried() const { return offset_from_now_ - virtual_offset_; }

    // Makes one segment of all that the headers name, to be mapped as one.
    Segment& merge() {
        segments_[0] = {virtual_span().start, span_.start, span_.bytes(), true, false};
        count_ = 1;
        return segments_[0];
    }

private:
    Segment segments_[kMostSegments];
    unsigned count_ = 0;
    uint64_t virtual_offset_;
    uint64_t moved_ = 0;
    uint64_t offset_from_now_;
    Span span_;
};

} // namespace prologue

#pragma GCC visibility pop
