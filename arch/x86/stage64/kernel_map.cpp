#include "kernel_map.h"

#include "cpu.h"
#include "errors.h"
#include "prologue/handoff.h"

namespace prologue {
namespace {

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

constexpr uint64_t kReadOnly = kNoExecute;
constexpr uint64_t kData = PTE_WRITABLE | kNoExecute;

constexpr uint64_t bits_of(const Segment& segment) {
    return (segment.writable ? PTE_WRITABLE : 0) | (segment.executable ? 0 : kNoExecute);
}

void map_segments(PageTables& tables, const Image& image, uint64_t guard) {
    for (const Segment& segment : image) {
        const uint64_t before = guard - segment.virt;
        uint64_t done = 0;
        if (before < segment.bytes) {
            if (before != 0)
                map_or_fail(tables, segment.virt, segment.phys, before, bits_of(segment));
            done = before + kPage;
        }
        map_or_fail(tables, segment.virt + done, segment.phys + done, segment.bytes - done,
                    bits_of(segment));
    }
}

// Maps RAM at `base` + its physical address, as far as that lies in `limits`:
// never executable, and read-only where a segment of the image is.
class RamMapper {
public:
    RamMapper(PageTables& tables, const Image& image, uint64_t addressable, uint64_t base,
              Span limits)
        : tables_(tables),
          image_(image),
          addressable_(addressable),
          base_(base),
          limits_(limits) {}

    void map(const MemoryMap& memory) {
        // Neighbours are one run, so that marks cost no large pages.
        Span run;
        for (const prologue_range& range : memory) {
            if (!is_mapped(range.type))
                continue;
            if (range.start != run.end) {
                map_run(run);
                run.start = range.start;
            }
            run.end = range.end;
        }
        map_run(run);
    }

private:
    void map_run(Span run) {
        const Segment* segment = image_.begin();
        for (; segment != image_.end(); ++segment) {
            if (segment->writable || segment->phys < run.start || segment->phys >= run.end)
                continue;
            const uint64_t start = segment->phys;
            while (segment + 1 != image_.end() && !segment[1].writable &&
                   segment[1].phys == segment->span().end)
                ++segment;
            map_within_limits({run.start, start}, kData);
            map_within_limits({start, segment->span().end}, kReadOnly);
            run.start = segment->span().end;
        }
        map_within_limits(run, kData);
    }

    void map_within_limits(Span span, uint64_t bits) {
        span = limits_.shared(span);
        if (span.bytes() == 0)
            return;
        if (span.end > addressable_)
            fail(Error::range_too_high, span.start, span.end, addressable_);
        map_or_fail(tables_, base_ + span.start, span.start, span.bytes(), bits);
    }

    PageTables& tables_;
    const Image& image_;
    uint64_t addressable_;
    uint64_t base_;
    Span limits_;
};

} // namespace

void leave_out_unaddressable(MemoryMap& memory, KernelMap& map) {
    if (memory.mapped_end() <= kSurelyAddressable)
        return;
    map.addressable = uint64_t{1} << (cpuid_eax(CPUID_ADDRESS_WIDTHS) & 0xff);
    memory.leave_out_above(map.addressable);
}

void map_kernel(PageTables& tables, const Image& image, uint64_t guard, const MemoryMap& memory,
                KernelMap& map) {
    const auto map_ram = [&](uint64_t base, Span limits) {
        RamMapper(tables, image, map.addressable, base, limits).map(memory);
    };
    map_segments(tables, image, guard);
    // Physical page 0 is left out, and with it address 0.
    if (map.image_in_direct_map) [[unlikely]] {
        map_ram(map.direct_map, {kPage, image.span().start});
        map_ram(map.direct_map, {image.span().end, map.direct_map_bytes});
    } else {
        map_ram(map.direct_map, {kPage, map.direct_map_bytes});
    }

    // The low half: the direct map's first top-level entry serves both. Only a
    // kernel that lives there itself, or has a wish, gets a low map of its own.
    const Span kernel = image.virtual_span();
    Span& low = map.identity;
    if (low.end == 0 && tables.top_index(kernel.start) != 0) {
        uint64_t* const top = tables.entry(tables.root(), 0);
        top[0] = top[tables.top_index(map.direct_map)];
        low.end = tables.top_entry_bytes();
    } else {
        if (low.end == 0)
            low.end = 4 * kGiB;
        map_ram(0, low.shared(Span{0, kernel.start}));
        map_ram(0, low.shared(Span{kernel.end, low.end}));
    }
}

} // namespace prologue
