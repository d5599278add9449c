#include "unaccepted.h"

namespace prologue {
namespace {

struct Descriptor {
    uint32_t type, reserved;
    uint64_t start, virt, pages, attributes;
};
static_assert(sizeof(Descriptor) == 40);
constexpr uint32_t kUnaccepted = 15;

template <class Do>
void each_unaccepted(const prologue_efi& efi, Do action) {
    const auto* const first = static_cast<const uint8_t*>(efi.memory_map);
    for (uint64_t at = 0; at < efi.memory_map_bytes; at += efi.descriptor_bytes) {
        const auto from = read_unaligned<Descriptor>(first + at);
        const bool sane = from.start % kPage == 0 && from.start < kMostPhysical &&
                          from.pages <= (kMostPhysical - from.start) / kPage && from.pages != 0;
        if (from.type == kUnaccepted && sane)
            action(Span{from.start, from.start + from.pages * kPage});
    }
}

} // namespace

uint64_t count_unaccepted(const prologue_efi& efi) {
    uint64_t count = 0;
    each_unaccepted(efi, [&](Span) { ++count; });
    return count;
}

void add_unaccepted(MemoryMap& map, const prologue_efi& efi) {
    each_unaccepted(efi, [&](Span span) { map.overlay(span, PROLOGUE_MEMORY_UNACCEPTED); });
}

} // namespace prologue
