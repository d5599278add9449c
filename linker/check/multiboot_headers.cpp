// Finds and reads Multiboot's headers, as loaders do: in the file's bytes.
#include <algorithm>
#include <cstring>

#include "kernel.h"

namespace check {
namespace {

constexpr uint32_t kMagic1 = 0x1badb002, kMagic2 = 0xe85250d6;

// Calls back for every place, aligned or not, that holds this word.
template <class Function>
void for_each_place(Bytes contents, uint32_t word, Function&& function) {
    const auto low_byte = static_cast<uint8_t>(word);
    const uint8_t* const start = contents.data();
    const uint8_t* const end = start + contents.size();
    for (const uint8_t* at = start; end - at >= 4; ++at) {
        at = static_cast<const uint8_t*>(std::memchr(at, low_byte, end - at));
        uint32_t found;
        if (at == nullptr || end - at < 4)
            return;
        std::memcpy(&found, at, sizeof found);
        if (found == word)
            function(static_cast<uint64_t>(at - start));
    }
}

HeaderPlaces find(const ElfFile& file, uint32_t magic, unsigned words, uint64_t alignment) {
    HeaderPlaces places;
    for_each_place(file.contents(), magic, [&](uint64_t offset) {
        if (!file.at(offset, 4 * words))
            return;
        uint32_t sum = 0;
        for (unsigned i = 0; i != words; ++i)
            sum += file.word(offset + 4 * i);
        if (sum == 0)
            places.valid.push_back(offset);
        else if (offset % alignment == 0)
            places.unbalanced.push_back(offset);
    });
    return places;
}

// Multiboot 2's tags.
constexpr unsigned kTagEnd = 0, kTagInformation = 1, kTagAddress = 2, kTagEntry = 3, kTagEfi32 = 8,
                   kTagRange = 10;
constexpr unsigned kSmbios = 13, kLastInformation = 21; // that can be asked for
constexpr unsigned kTagHead = 8, kOptional = 1;

// Bytes that a tag has at least.
constexpr unsigned least_bytes(unsigned type) {
    switch (type) {
    case kTagAddress:
    case kTagRange:
        return 24;
    case kTagEntry:
        return 12;
    default:
        return kTagHead;
    }
}

void read_information_request(const ElfFile& file, uint64_t tag, uint32_t bytes,
                              Multiboot2Header& header) {
    for (uint64_t at = tag + kTagHead; at + 4 <= tag + bytes; at += 4) {
        const uint32_t wanted = file.word(at);
        if (wanted > kLastInformation || wanted == kSmbios)
            header.unknown.push_back(sentence("information %u", wanted));
    }
}

void read_tag(const ElfFile& file, uint64_t tag, unsigned type, bool optional, uint32_t bytes,
              Multiboot2Header& header) {
    if (type == kTagInformation && !optional)
        read_information_request(file, tag, bytes, header);
    else if (type == kTagAddress)
        header.has_address_tag = true;
    else if (type == kTagEntry)
        header.entry = file.word(tag + 8);
    else if (type == kTagRange)
        header.range = {file.word(tag + 8), file.word(tag + 12), file.word(tag + 16),
                        file.word(tag + 20)};
    else if ((type > kTagRange || type == kTagEfi32) && !optional)
        header.unknown.push_back(sentence("tag %u", type));
}

} // namespace

std::optional<uint64_t> HeaderPlaces::taken(uint64_t reach, uint64_t alignment,
                                            uint64_t bytes) const {
    for (const uint64_t offset : valid)
        if (offset % alignment == 0 && offset <= reach - bytes)
            return offset;
    return std::nullopt;
}

unsigned HeaderPlaces::candidates(uint64_t reach, uint64_t alignment, uint64_t bytes) const {
    return static_cast<unsigned>(std::count_if(valid.begin(), valid.end(), [&](uint64_t offset) {
        return offset % alignment == 0 && offset <= reach - bytes;
    }));
}

HeaderPlaces find_multiboot1(const ElfFile& file) {
    return find(file, kMagic1, 3, kMultiboot1Alignment);
}

HeaderPlaces find_multiboot2(const ElfFile& file) {
    return find(file, kMagic2, 4, kMultiboot2Alignment);
}

Multiboot1Header multiboot1_fields(const ElfFile& file, uint64_t offset) {
    return {file.word(offset + 4),  file.word(offset + 12), file.word(offset + 16),
            file.word(offset + 20), file.word(offset + 24), file.word(offset + 28)};
}

Multiboot2Header multiboot2_fields(const ElfFile& file, uint64_t offset) {
    Multiboot2Header header;
    const uint64_t end = offset + file.word(offset + 8);
    uint64_t tag = offset + 16;
    for (;;) {
        if (tag > end || end - tag < kTagHead || !file.at(tag, kTagHead)) {
            header.mistake = sentence("no end tag before 0x%lx, where the header ends", end);
            return header;
        }
        const auto type = static_cast<unsigned>(*file.number(tag, 2));
        const bool optional = (*file.number(tag + 2, 2) & kOptional) != 0;
        const uint32_t bytes = file.word(tag + 4);
        if (type == kTagEnd)
            return header;
        if (bytes < least_bytes(type) || bytes > end - tag || !file.at(tag, bytes)) {
            header.mistake = sentence("tag %u at 0x%lx in the file claims %u bytes; it needs %u, "
                                      "and there are %lu",
                                      type, tag, bytes, least_bytes(type), end - tag);
            return header;
        }
        read_tag(file, tag, type, optional, bytes, header);
        tag += (uint64_t{bytes} + 7) & ~uint64_t{7};
    }
}

} // namespace check
