// Sources: Multiboot2 Specification 2.0, section 3.6; UEFI 2.10, section 7.2.
#include "boot_services.h"

#include "efi_map.h"

namespace prologue {
namespace {

enum TagType : uint32_t {
    kEnd = 0,
    kEfi64 = 12,
    kBootServices = 18,
    kImageHandle64 = 20,
};
constexpr uint64_t kTagHead = 8;
constexpr uint64_t kTagWithPointer = 16;

// EFI_MEMORY_DESCRIPTOR.
struct Descriptor {
    uint32_t type, reserved;
    uint64_t start, virtual_start, pages, attributes;
};
static_assert(sizeof(Descriptor) == 40);

RawRange* put(RawRange* to, uint64_t start, uint64_t end, uint32_t e820_type) {
    if (start >= end)
        return to;
    *to = {start, end - start, e820_type};
    return to + 1;
}

} // namespace

BootServicesTags find_boot_services(const uint8_t* info) {
    BootServicesTags tags;
    const uint64_t bytes = read_unaligned<uint32_t>(info);
    for (uint64_t at = kTagHead; at + kTagHead <= bytes;) {
        const auto type = read_unaligned<uint32_t>(info + at);
        const auto length = read_unaligned<uint32_t>(info + at + 4);
        if (type == kEnd)
            return tags;
        if (length < kTagHead || length > bytes - at)
            break;
        if (type == kBootServices)
            tags.running = true;
        else if (type == kEfi64 && length >= kTagWithPointer)
            tags.system_table = read_unaligned<uint64_t>(info + at + kTagHead);
        else if (type == kImageHandle64 && length >= kTagWithPointer)
            tags.image_handle = read_unaligned<uint64_t>(info + at + kTagHead);
        at += (uint64_t{length} + 7) & ~uint64_t{7};
    }
    return {};
}

BootServicesTags find_boot_services(const BootParams& params) {
    const auto& piece = *reinterpret_cast<const StubPiece*>(params.setup_data);
    if (params.setup_data == 0 || piece.data.type != kStubPiece || piece.magic != kStubMagic)
        return {};
    return {piece.image_handle != 0,
            uint64_t{params.efi.system_table_high} << 32 | params.efi.system_table,
            piece.image_handle};
}

RawMap translate(const FirmwareMap& map, Span own, RawRange* ranges) {
    RawRange* to = ranges;
    for (uint64_t at = 0; at + map.stride <= map.bytes; at += map.stride) {
        const auto from = read_unaligned<Descriptor>(map.descriptors + at);
        // While the boot services run, memory that nobody has asked the firmware for is its own.
        const uint32_t type = e820_type_of_efi(from.type, from.attributes, kInFirmwaresUse);
        const uint64_t end = from.start + from.pages * kPage;
        if (end <= from.start || end <= own.start || from.start >= own.end) {
            *to++ = {from.start, from.pages * kPage, type};
            continue;
        }
        to = put(to, from.start, own.start, type);
        to = put(to, own.end, end, type);
    }
    to = put(to, own.start, own.end, kE820Usable);
    const auto bytes = static_cast<uint64_t>(reinterpret_cast<uint8_t*>(to) -
                                             reinterpret_cast<uint8_t*>(ranges));
    return {reinterpret_cast<const uint8_t*>(ranges), bytes, sizeof(RawRange), 0};
}

} // namespace prologue
