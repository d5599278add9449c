// Source for what BIOSes leave in their data area: Linux,
// Documentation/arch/x86/boot.rst, and what its reservation of BIOS regions believes.
#include "low_pages.h"

namespace prologue {
namespace {

constexpr uint64_t kLeastBios = 0x20000; // a BIOS that begins below is not believed
constexpr uint64_t kMostBios = 0x9f000;

constexpr bool is_believed(uint64_t start) {
    return start >= kLeastBios && start < kMostBios;
}

// Where the BIOS's share begins, so far as its words can be believed.
uint64_t bios_start(BiosWords bios) {
    uint64_t start = kMostBios;
    const uint64_t base_memory = uint64_t{bios.base_memory_kib} * 1024;
    const uint64_t ebda = uint64_t{bios.ebda_segment} * 16;
    if (is_believed(base_memory))
        start = base_memory;
    if (is_believed(ebda) && ebda < start)
        start = ebda;
    return page_down(start);
}

constexpr Span span_of(const RawRange& range) {
    const uint64_t most = ~range.start;
    return {range.start, range.start + (range.bytes < most ? range.bytes : most)};
}

struct Found {
    uint64_t end = 0;       // of the highest piece of RAM that is large enough
    bool has_holes = false; // something else is said to begin below what was asked for
};

using Maps = const RawMap* const[2];

Found look_below(uint64_t end, const Maps& maps) {
    Found found;
    for (const RawMap* map : maps)
        for (const RawRange& range : *map) {
            if (range.start >= end)
                continue;
            if (range.e820_type != kE820Usable) {
                found.has_holes = true;
                continue;
            }
            const Span ram = span_of(range).shared(Span{kLeastBios, end});
            const uint64_t last = page_down(ram.end);
            if (last >= page_up(ram.start) + kLowPagesBytes && last > found.end)
                found.end = last;
        }
    return found;
}

// The lowest start of what is no RAM and reaches into the pages; else their end.
[[clang::minsize]] uint64_t first_hole(const Maps& maps, Span pages) {
    uint64_t first = pages.end;
    for (const RawMap* map : maps)
        for (const RawRange& range : *map)
            if (range.start < first && range.e820_type != kE820Usable &&
                span_of(range).end > pages.start)
                first = range.start;
    return first;
}

} // namespace

// From the top: as long as something that is no RAM lies across the pages found,
// what is below it is looked at.
uint64_t find_low_pages(const RawMap& map, const RawMap& more, BiosWords bios) {
    Maps maps = {&map, &more};
    for (uint64_t end = bios_start(bios);;) {
        const Found found = look_below(end, maps);
        if (found.end == 0)
            return 0;
        const Span pages = {found.end - kLowPagesBytes, found.end};
        end = found.has_holes ? first_hole(maps, pages) : pages.end;
        if (end == pages.end)
            return pages.start;
    }
}

} // namespace prologue
