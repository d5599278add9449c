#include "firmware_tables.h"

namespace sevhost {
namespace {

constexpr Guid kFooter = {{0xde, 0x82, 0xb5, 0x96, 0xb2, 0x1f, 0xf7, 0x45, 0xba, 0xea, 0xa3, 0x66,
                           0xc5, 0x5a, 0x08, 0x2d}};
constexpr Guid kSevMetadata = {{0x66, 0x65, 0x88, 0xdc, 0x4a, 0x98, 0x98, 0x47, 0xa7, 0x5e, 0x55,
                                0x85, 0xa7, 0xbf, 0x67, 0xcc}};
constexpr Guid kHashes = {{0x1f, 0x37, 0x55, 0x72, 0x3b, 0x3a, 0x04, 0x4b, 0x92, 0x7b, 0x1d, 0xa6,
                           0xef, 0xa8, 0xd4, 0x54}};
constexpr Guid kApReset = {{0xde, 0x71, 0xf7, 0x00, 0x7e, 0x1a, 0xcb, 0x4f, 0x89, 0x0e, 0x68, 0xc7,
                            0x7e, 0x2f, 0xb4, 0x4e}};
constexpr uint64_t kFooterEnd = 32; // before the image's end: behind it is the reset vector

// An entry ends in its bytes, all of it, and its GUID; its data lie before.
constexpr uint64_t kTailBytes = sizeof(uint16_t) + sizeof(Guid);

constexpr uint32_t kSignature = 0x56455341; // "ASEV"
constexpr uint32_t kVersion = 1;
struct MetadataHeader {
    uint32_t signature, bytes, version, count;
};

template <typename T>
bool read(const FirmwareImage& image, uint64_t offset, T& to) {
    if (offset > image.bytes || image.bytes - offset < sizeof to)
        return false;
    __builtin_memcpy(&to, image.data + offset, sizeof to);
    return true;
}

bool equal(const Guid& a, const Guid& b) {
    return __builtin_memcmp(&a, &b, sizeof a) == 0;
}

struct Entry {
    uint64_t data = 0, bytes = 0; // of its data
    Guid guid;
};

// The entry whose GUID ends at `end`.
bool read_entry(const FirmwareImage& image, uint64_t end, Entry& entry) {
    uint16_t bytes = 0;
    if (end < kTailBytes || !read(image, end - sizeof(Guid), entry.guid) ||
        !read(image, end - kTailBytes, bytes) || bytes < kTailBytes || bytes > end)
        return false;
    entry.data = end - bytes;
    entry.bytes = bytes - kTailBytes;
    return true;
}

// Copies what stands at the start of the data of the entry with that GUID.
template <typename T>
bool find(const FirmwareImage& image, const Guid& guid, T& to) {
    Entry all, entry;
    if (image.bytes < kFooterEnd || !read_entry(image, image.bytes - kFooterEnd, all) ||
        !equal(all.guid, kFooter))
        return false;
    for (uint64_t end = all.data + all.bytes; end > all.data; end = entry.data) {
        if (!read_entry(image, end, entry) || entry.data < all.data)
            return false;
        if (equal(entry.guid, guid))
            return entry.bytes >= sizeof to && read(image, entry.data, to);
    }
    return false;
}

Sections wrong(const char* what) {
    Sections sections;
    sections.wrong = what;
    return sections;
}

} // namespace

Sections read_sections(const FirmwareImage& image) {
    uint32_t from_end = 0;
    MetadataHeader header;
    if (!find(image, kSevMetadata, from_end))
        return wrong("its table of GUIDs names no SEV metadata");
    if (from_end > image.bytes || !read(image, image.bytes - from_end, header) ||
        header.signature != kSignature || header.version != kVersion)
        return wrong("there is no SEV metadata where its table of GUIDs says so");
    if (header.count > kMaxSections ||
        header.bytes != sizeof header + header.count * sizeof(Section))
        return wrong("its SEV metadata's length is not that of its sections");
    Sections sections;
    for (uint64_t at = image.bytes - from_end + sizeof header; sections.count != header.count;
         at += sizeof(Section), ++sections.count) {
        Section& section = sections.list[sections.count];
        if (!read(image, at, section))
            return wrong("its SEV metadata goes on behind its end");
        if (section.base % kPageBytes != 0 || section.bytes % kPageBytes != 0)
            return wrong("a section of its SEV metadata is not whole pages");
    }
    return sections;
}

HashesPlace read_hashes_place(const FirmwareImage& image) {
    HashesPlace place = {0, 0};
    if (!find(image, kHashes, place) || place.base == 0)
        return {0, 0};
    return place;
}

uint32_t read_ap_reset(const FirmwareImage& image) {
    uint32_t address = 0;
    return find(image, kApReset, address) ? address : 0;
}

} // namespace sevhost
