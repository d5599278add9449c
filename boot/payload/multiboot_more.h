// What Multiboot 2's information of a payload has beside what prologue/multiboot.h makes: the tags
// that need the payload's file, or the firmware's memory. Source: Multiboot2 Specification 2.0,
// sections 3.6.7 and 3.6.14.
#pragma once
#pragma GCC visibility push(hidden)

#include <stdint.h>

namespace prologue {

inline constexpr uint32_t kElfSectionsTag = 9, kSmbiosTag = 13;

// Adds a tag to finished information, which has room for its content, a head and padding of 24 bytes
// together: where its content goes.
uint8_t* add_tag(uint8_t* info, uint32_t type, uint64_t bytes);

// An ELF file's section headers, as far as they lie in it; none where not all do.
struct SectionTable {
    const uint8_t* headers = nullptr;
    uint32_t count = 0, entry_bytes = 0, names = 0;

    uint64_t bytes() const { return uint64_t{count} * entry_bytes; }
};
SectionTable read_sections(const uint8_t* file, uint64_t bytes);

// Bytes of the sections that no segment loads, symbols and debug information, each at a multiple of
// 16.
uint64_t unloaded_bytes(const SectionTable& sections, uint64_t file_bytes);

// Writes the tag's content for sections of a file; those that no segment loads are copied to `room`,
// physical `phys`, which their headers in the tag name.
inline constexpr uint64_t kSectionsHead = 12;
void put_sections(const SectionTable& sections, const uint8_t* file, uint64_t file_bytes,
                  uint8_t* content, uint8_t* room, uint64_t phys);

// Of an entry point of SMBIOS: how long it says that it is, of its first bytes; 0 for none.
inline constexpr uint64_t kMostSmbios = 64, kSmbiosHead = 8;
uint64_t smbios_bytes(const uint8_t* entry);
void put_smbios(const uint8_t* entry, uint8_t* content);

} // namespace prologue

#pragma GCC visibility pop
