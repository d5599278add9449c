#include "kernel_map.h"

#include "cpu.h"
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

// CPUs with long mode have at least 36 physical address bits, so only RAM above
// that is worth the exit that a CPUID is in a guest.
constexpr uint64_t kSurelyAddressable = uint64_t{1} << 36;

// The end of what this CPU can address, which RAM must not go beyond.
uint64_t check_addressable(uint64_t start, uint64_t end) {
    const uint32_t bits = cpuid_eax(CPUID_ADDRESS_WIDTHS) & 0xff;
    if ((end - 1) >> bits != 0)
        fail(Error::range_too_high, start, end, bits);
    return uint64_t{1} << bits;
}

constexpr uint64_t kData = PTE_WRITABLE | kNoExecute;

// Maps spans of physical memory, in ascending order, at `offset` above their
// addresses, as far as they lie in `limits`. Neighbours of the same kind become
// one run, so that marks in the memory map cost no large pages.
class Runs {
public:
    Runs(PageTables& tables, uint64_t offset, Span limits)
        : tables_(tables), offset_(offset), limits_(limits) {}

    [[gnu::noinline]] void add(uint64_t start, uint64_t end, uint64_t bits) {
        if (start == end)
            return;
        if (start == end_ && bits == bits_) {
            end_ = end;
            return;
        }
        flush();
        start_ = start;
        end_ = end;
        bits_ = bits;
    }

    void flush() {
        const uint64_t start = start_ > limits_.start ? start_ : limits_.start;
        const uint64_t end = end_ < limits_.end ? end_ : limits_.end;
        if (start < end) {
            if (end > addressable_)
                addressable_ = check_addressable(start, end);
            map_or_fail(tables_, offset_ + start, start, end - start, bits_);
        }
        end_ = 0;
    }

private:
    PageTables& tables_;
    uint64_t offset_;
    Span limits_;
    uint64_t addressable_ = kSurelyAddressable;
    uint64_t start_ = 0;
    uint64_t end_ = 0;
    uint64_t bits_ = 0;
};

void map_segments(PageTables& tables, const Image& image, uint64_t guard) {
    Runs runs(tables, image.virtual_offset(), image.span());
    const uint64_t guard_page = guard - image.virtual_offset();
    for (const Segment& segment : image) {
        const Span span = segment.span();
        const uint64_t bits = bits_of(segment.writable, segment.executable);
        if (guard_page - span.start < segment.bytes) {
            runs.add(span.start, guard_page, bits);
            runs.add(guard_page + kPage, span.end, bits);
        } else {
            runs.add(span.start, span.end, bits);
        }
    }
    runs.flush();
}

void add_image(Runs& runs, const Image& image, uint64_t start, uint64_t end) {
    for (const Segment& segment : image) {
        runs.add(start, segment.phys, kData);
        runs.add(segment.phys, segment.span().end, bits_of(segment.writable, false));
        start = segment.span().end;
    }
    runs.add(start, end, kData);
}

// Maps RAM at `base` + its physical address, as far as that lies in `limits`.
void map_ram(PageTables& tables, const Image& image, const MemoryMap& memory, uint64_t base,
             Span limits) {
    Runs runs(tables, base, limits);
    for (const prologue_range& range : memory) {
        if (range.type < PROLOGUE_MEMORY_RESERVED)
            runs.add(range.start, range.end, kData);
        else if (range.type == PROLOGUE_MEMORY_KERNEL)
            add_image(runs, image, range.start, range.end);
    }
    runs.flush();
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
    // Physical page 0 is left out, and with it address 0.
    map_ram(tables, image, memory, map.direct_map, {kPage, map.direct_map_bytes});

    // The low half: the direct map's first top-level entry serves both. Only a
    // kernel that lives in the low half itself needs a low map of its own.
    const Span kernel = image.virtual_span();
    uint64_t* const top = tables.entry(tables.root(), 0);
    if (tables.top_index(kernel.start) != 0) {
        top[0] = top[tables.top_index(map.direct_map)];
        map.identity_bytes = tables.top_entry_bytes();
    } else {
        map.identity_bytes = 4 * kGiB;
        map_ram(tables, image, memory, 0, {kPage, kernel.start});
        map_ram(tables, image, memory, 0, {kernel.end, map.identity_bytes});
    }
}

}  // namespace prologue
