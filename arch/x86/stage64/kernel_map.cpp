#include "kernel_map.h"

#include "errors.h"
#include "prologue/handoff.h"

namespace prologue {
namespace {

constexpr uint64_t kTiB = 1024 * kGiB;

void map_or_fail(PageTables& tables, uint64_t virt, uint64_t phys, uint64_t bytes, uint64_t bits) {
    switch (tables.map(virt, phys, bytes, bits)) {
    case MapResult::ok:
        return;
    case MapResult::no_memory:
        fail(Error::no_table_memory, virt, phys, bytes);
    case MapResult::conflict:
        fail(Error::map_conflict, virt, phys, bytes);
    }
}

uint64_t bits_of(bool writable, bool executable) {
    return (writable ? PTE_WRITABLE : 0) | (executable ? 0 : kNoExecute);
}

void map_segments(PageTables& tables, const Image& image, uint64_t guard) {
    for (const Segment& segment : image) {
        const uint64_t bits = bits_of(segment.writable, segment.executable);
        const uint64_t before_guard = guard - segment.virt;
        if (before_guard >= segment.bytes) {
            map_or_fail(tables, segment.virt, segment.phys, segment.bytes, bits);
            continue;
        }
        const uint64_t after = before_guard + kPage;
        map_or_fail(tables, segment.virt, segment.phys, before_guard, bits);
        map_or_fail(tables, segment.virt + after, segment.phys + after, segment.bytes - after,
                    bits);
    }
}

constexpr bool is_ram(uint32_t type) {
    return type < PROLOGUE_MEMORY_RESERVED || type == PROLOGUE_MEMORY_KERNEL;
}

// Maps RAM at `base` + its physical address, below `limit`, without the virtual
// addresses of `hole`. Neighbouring spans of one permission become one run, so
// that marks in the memory map cost no large pages.
class RamMapper {
public:
    RamMapper(PageTables& tables, uint64_t base, uint64_t limit, Span hole)
        : tables_(tables), base_(base), limit_(limit), hole_(hole) {}

    void add(Span span, bool writable) {
        if (span.start == run_.end && writable == writable_) {
            run_.end = span.end;
            return;
        }
        flush();
        run_ = span;
        writable_ = writable;
    }

    void flush() {
        if (run_.start < kPage)
            run_.start = kPage; // address 0 is nobody's, whatever lies there
        if (run_.end > limit_)
            run_.end = limit_;
        if (run_.start >= run_.end)
            return;
        const Span virt = {base_ + run_.start, base_ + run_.end};
        if (!virt.overlaps(hole_)) {
            map(virt);
            return;
        }
        if (virt.start < hole_.start)
            map({virt.start, hole_.start});
        if (virt.end > hole_.end)
            map({hole_.end, virt.end});
    }

private:
    void map(Span virt) {
        map_or_fail(tables_, virt.start, virt.start - base_, virt.bytes(),
                    bits_of(writable_, false));
    }

    PageTables& tables_;
    uint64_t base_;
    uint64_t limit_;
    Span hole_;
    Span run_;
    bool writable_ = true;
};

void add_image(RamMapper& mapper, const Image& image, Span whole) {
    uint64_t done = whole.start;
    for (const Segment& segment : image) {
        if (segment.phys > done)
            mapper.add({done, segment.phys}, true);
        mapper.add(segment.span(), segment.writable);
        done = segment.span().end;
    }
    if (done < whole.end)
        mapper.add({done, whole.end}, true);
}

void map_ram(PageTables& tables, const Image& image, const MemoryMap& memory, uint64_t base,
             uint64_t limit, Span hole) {
    RamMapper mapper(tables, base, limit, hole);
    for (const prologue_range& range : memory) {
        if (range.type == PROLOGUE_MEMORY_KERNEL)
            add_image(mapper, image, {range.start, range.end});
        else if (is_ram(range.type))
            mapper.add({range.start, range.end}, true);
    }
    mapper.flush();
}

}  // namespace

KernelMap direct_map_of(unsigned levels) {
    if (levels == 5)
        return {PROLOGUE_DIRECT_MAP_5_LEVEL, 4096 * kTiB, 0};
    return {PROLOGUE_DIRECT_MAP_4_LEVEL, 64 * kTiB, 0};
}

void map_kernel(PageTables& tables, const Image& image, uint64_t guard, const MemoryMap& memory,
                KernelMap& map) {
    map_segments(tables, image, guard);
    map_ram(tables, image, memory, map.direct_map, map.direct_map_bytes, {});

    // The low half: the direct map's first top-level entry serves both. Only a
    // kernel that lives in the low half itself needs a low map of its own.
    const Span kernel = image.virtual_span();
    uint64_t* const top = tables.entry(tables.root(), 0);
    if (tables.top_index(kernel.start) != 0) {
        top[0] = top[tables.top_index(map.direct_map)];
        map.identity_bytes = tables.top_entry_bytes();
    } else {
        map.identity_bytes = 4 * kGiB;
        map_ram(tables, image, memory, 0, map.identity_bytes, kernel);
    }
}

}  // namespace prologue
