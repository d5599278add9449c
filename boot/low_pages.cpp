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

// The end of the highest piece of RAM below `end` that is large enough; else 0.
uint64_t highest_end(const RawMap& map, uint64_t end) {
    uint64_t highest = 0;
    for (const RawRange& range : map) {
        if (range.e820_type != kE820Usable)
            continue;
        const Span ram = span_of(range).shared(Span{kLeastBios, end});
        const uint64_t last = page_down(ram.end);
        if (last >= page_up(ram.start) + kLowPagesBytes && last > highest)
            highest = last;
    }
    return highest;
}

// The lowest start of what is no RAM in `pages`; else its end.
uint64_t first_hole(const RawMap& map, Span pages) {
    uint64_t first = pages.end;
    for (const RawRange& range : map)
        if (range.e820_type != kE820Usable && span_of(range).overlaps(pages) &&
            range.start < first)
            first = range.start;
    return first;
}

}  // namespace

// From the top: as long as something that is no RAM lies across the pages found,
// what is below it is looked at.
uint64_t find_low_pages(const LoaderInfo& loader, BiosWords bios) {
    for (uint64_t end = bios_start(bios);;) {
        const uint64_t here = highest_end(loader.memory, end);
        const uint64_t more = highest_end(loader.more_memory, end);
        const uint64_t last = here > more ? here : more;
        if (last == 0)
            return 0;
        const Span pages = {last - kLowPagesBytes, last};
        end = first_hole(loader.memory, pages);
        const uint64_t other = first_hole(loader.more_memory, pages);
        if (other < end)
            end = other;
        if (end == pages.end)
            return pages.start;
    }
}

}  // namespace prologue
