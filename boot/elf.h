// ELF64's headers as they lie in a file. Source: System V ABI, "Object files".
#pragma once

#include <stdint.h>

namespace prologue {

struct ElfHeader {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, program_headers, section_headers; // the last two: offsets in the file
    uint32_t flags;
    uint16_t header_bytes, program_header_bytes, program_header_count;
    uint16_t section_header_bytes, section_header_count, section_names;
};
static_assert(sizeof(ElfHeader) == 64);

struct ProgramHeader {
    uint32_t type, flags;
    uint64_t file_offset, virt, phys, file_bytes, bytes, alignment;
};
static_assert(sizeof(ProgramHeader) == 56);

inline constexpr uint32_t kElfLoad = 1, kElfDynamic = 2, kElfNote = 4; // ProgramHeader.type
inline constexpr uint16_t kElfStatic = 2, kElfPie = 3;                 // ElfHeader.type
inline constexpr uint32_t kElfExecutable = 1, kElfWritable = 2;        // ProgramHeader.flags

} // namespace prologue
