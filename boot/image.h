// The kernel's own ELF64 image as it lies in memory, read through the program
// headers that are part of its first segment. Source: ELF-64 object file format.
#pragma once
#pragma GCC visibility push(hidden)

#include "ranges.h"

namespace prologue {

struct Segment {
    uint64_t virt; // page-aligned, as the kernel was linked
    uint64_t phys; // page-aligned, where it lies
    uint64_t bytes;
    bool writable;
    bool executable;

    constexpr Span span() const { return {phys, phys + bytes}; }
};

class Image {
public:
    // `phys` is where the ELF header lies and `window` the virtual address of
    // physical 0. Fails on headers that are not those of a loadable kernel.
    Image(uint64_t window, uint64_t phys);

    // Calls visit(Segment) for each loadable segment.
    template <class Visit>
    void for_each_segment(Visit visit) const {
        for (unsigned i = 0; i != header_count_; ++i)
            if (headers_[i].type == kLoad)
                visit(segment(i));
    }
    // Fails unless the segments are in ascending order, at one distance from
    // virtual to physical, never writable and executable, page by page apart,
    // and clear of `direct_map` (virtual addresses).
    void check(Span direct_map) const;

    Span span() const { return span_; }
    Span virtual_span() const {
        return {span_.start + virtual_offset_, span_.end + virtual_offset_};
    }
    // virtual address = physical address + this, modulo 2^64, for all of it
    uint64_t virtual_offset() const { return virtual_offset_; }

private:
    struct ProgramHeader {
        uint32_t type, flags;
        uint64_t file_offset, virt, phys, file_bytes, bytes, alignment;
    };
    static constexpr uint32_t kLoad = 1;
    static constexpr uint32_t kExecutable = 1, kWritable = 2;

    Segment segment(unsigned index) const;

    const ProgramHeader* headers_;
    unsigned header_count_;
    uint64_t moved_; // physical address now minus physical address as linked
    uint64_t virtual_offset_;
    Span span_;
};

}  // namespace prologue

#pragma GCC visibility pop
