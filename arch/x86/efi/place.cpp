#include "place.h"

#include "bytes.h"
#include "memory_descriptors.h"

namespace prologue::efi {
namespace {

constexpr uint64_t kMostPlace = 512 * kGiB; // that the kernel's first tables reach
constexpr uint32_t kConventional = 7;

// What is in the kernel's way, by the firmware's map: memory in use, or none at all.
[[noreturn]] void refuse_place(Firmware& firmware, Span wanted) {
    MemoryDescriptors map(firmware);
    uint64_t key;
    map.read(key);
    Span taken = {wanted.start, ~uint64_t{0}};
    bool known = false;
    for (const Descriptor& at : map) {
        const Span span = {at.start, at.start + bytes_of(at)};
        if (span.overlaps(wanted) && at.type != kConventional) {
            taken = span;
            known = true;
            break;
        }
        if (span.end > wanted.start && span.start <= taken.start)
            taken.start = span.end; // free so far
    }
    for (const Descriptor& at : map)
        if (!known && at.start > taken.start && at.start < taken.end)
            taken.end = at.start;
    fail_in(known ? "the firmware uses" : "there is no memory at", Error::efi_place, wanted.start,
            wanted.end, taken.start, taken.end);
}

uint64_t take_place(Firmware& firmware, const StubHeader& header) {
    const uint64_t bytes = header.memory_bytes;
    if (firmware.allocate_at(header.load_start, bytes))
        return header.load_start;
    uint64_t start;
    if (header.relocatable() && (firmware.allocate_below(4 * kGiB, bytes, start) ||
                                 firmware.allocate_below(kMostPlace, bytes, start)))
        return start;
    refuse_place(firmware, {header.load_start, header.load_start + bytes});
}

} // namespace

Span place_kernel(Firmware& firmware, const StubHeader& header) {
    const uint64_t start = take_place(firmware, header);
    copy_bytes(reinterpret_cast<void*>(start), header.kernel_image(), header.kernel_bytes);
    return {start, start + header.memory_bytes};
}

} // namespace prologue::efi
