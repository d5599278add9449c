#include "multiboot_more.h"

#include "elf.h"
#include "phys_memory.h"

#include <stddef.h>

namespace prologue {
namespace {

constexpr uint8_t kClass64 = 2;
constexpr uint32_t kNoBits = 8; // a section's type: nothing of it is in the file
constexpr uint64_t kTagHead = 8;

struct Section32 {
    uint32_t name, type, flags, address, offset, bytes;
};
struct Section64 {
    uint32_t name, type;
    uint64_t flags, address, offset, bytes;
};

// What is where the two classes have the same.
struct Section {
    uint32_t type;
    uint64_t address, offset, bytes;

    bool is_unloaded(uint64_t file_bytes) const {
        return address == 0 && bytes != 0 && type != 0 && type != kNoBits && offset <= file_bytes &&
               bytes <= file_bytes - offset;
    }
};

bool is_64(const SectionTable& sections) {
    return sections.entry_bytes >= 64;
}

Section section_at(const SectionTable& sections, const uint8_t* headers, uint32_t index) {
    const uint8_t* const at = headers + uint64_t{index} * sections.entry_bytes;
    if (is_64(sections)) {
        const auto section = read_unaligned<Section64>(at);
        return {section.type, section.address, section.offset, section.bytes};
    }
    const auto section = read_unaligned<Section32>(at);
    return {section.type, section.address, section.offset, section.bytes};
}

constexpr uint64_t padded(uint64_t bytes) {
    return (bytes + 15) & ~uint64_t{15};
}

template <class T>
void put(uint8_t* at, T value) {
    __builtin_memcpy(at, &value, sizeof value);
}

void put_address(const SectionTable& sections, uint8_t* headers, uint32_t index, uint64_t phys) {
    uint8_t* const at = headers + uint64_t{index} * sections.entry_bytes;
    if (is_64(sections))
        put(at + offsetof(Section64, address), phys);
    else
        put(at + offsetof(Section32, address), static_cast<uint32_t>(phys));
}

} // namespace

uint8_t* add_tag(uint8_t* info, uint32_t type, uint64_t bytes) {
    const uint64_t at = read_unaligned<uint32_t>(info) - kTagHead; // over the end tag
    const uint64_t end = (at + kTagHead + bytes + 7) & ~uint64_t{7};
    put(info + at, type);
    put(info + at + 4, static_cast<uint32_t>(kTagHead + bytes));
    put(info + end, uint32_t{0});
    put(info + end + 4, static_cast<uint32_t>(kTagHead));
    put(info, static_cast<uint32_t>(end + kTagHead));
    return info + at + kTagHead;
}

SectionTable read_sections(const uint8_t* file, uint64_t bytes) {
    struct Header32 {
        uint8_t before[32];
        uint32_t sections, flags;
        uint16_t header_bytes, program_bytes, program_count, section_bytes, count, names;
    };
    SectionTable table;
    uint64_t offset = 0;
    const bool is_64 = bytes > 4 && file[4] == kClass64;
    if (is_64 && bytes >= sizeof(ElfHeader)) {
        const auto header = read_unaligned<ElfHeader>(file);
        offset = header.section_headers;
        table = {nullptr, header.section_header_count, header.section_header_bytes,
                 header.section_names};
    } else if (!is_64 && bytes >= sizeof(Header32)) {
        const auto header = read_unaligned<Header32>(file);
        offset = header.sections;
        table = {nullptr, header.count, header.section_bytes, header.names};
    }
    if (table.count == 0 || table.entry_bytes != (is_64 ? 64u : 40u) || offset > bytes ||
        table.bytes() > bytes - offset)
        return {};
    table.headers = file + offset;
    // Sections that overlap are no sections.
    return unloaded_bytes(table, bytes) <= bytes + 16 * uint64_t{table.count} ? table
                                                                              : SectionTable{};
}

uint64_t unloaded_bytes(const SectionTable& sections, uint64_t file_bytes) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i != sections.count; ++i) {
        const Section section = section_at(sections, sections.headers, i);
        if (section.is_unloaded(file_bytes))
            bytes += padded(section.bytes);
    }
    return bytes;
}

void put_sections(const SectionTable& sections, const uint8_t* file, uint64_t file_bytes,
                  uint8_t* content, uint8_t* room, uint64_t phys) {
    put(content, sections.count);
    put(content + 4, sections.entry_bytes);
    put(content + 8, sections.names);
    uint8_t* const headers = content + kSectionsHead;
    __builtin_memcpy(headers, sections.headers, sections.bytes());
    for (uint32_t i = 0; i != sections.count; ++i) {
        const Section section = section_at(sections, headers, i);
        if (!section.is_unloaded(file_bytes))
            continue;
        __builtin_memcpy(room, file + section.offset, section.bytes);
        put_address(sections, headers, i, phys);
        room += padded(section.bytes);
        phys += padded(section.bytes);
    }
}

uint64_t smbios_bytes(const uint8_t* entry) {
    const bool is_3 = entry[3] == '3' && entry[4] == '_';
    if (entry[0] != '_' || entry[1] != 'S' || entry[2] != 'M' || (!is_3 && entry[3] != '_'))
        return 0;
    const uint64_t bytes = is_3 ? entry[6] : entry[5];
    return bytes >= 24 && bytes <= kMostSmbios ? bytes : 0;
}

void put_smbios(const uint8_t* entry, uint8_t* content) {
    const bool is_3 = entry[3] == '3';
    content[0] = entry[is_3 ? 7 : 6];
    content[1] = entry[is_3 ? 8 : 7];
    __builtin_memcpy(content + kSmbiosHead, entry, smbios_bytes(entry));
}

} // namespace prologue
