// An ELF64 kernel's headers as they lie in memory, for the tests of its readers.
// Source: ELF-64 object file format 1.5, figures 2 and 6.
#pragma once

#include "seams.h"

#include <cstdint>
#include <vector>

namespace prologue::test {

inline constexpr uint32_t kLoadable = 1, kNote = 4;
inline constexpr uint32_t kExecute = 1, kWrite = 2, kRead = 4;

struct LinkedSegment {
    uint64_t virt, phys; // as linked
    uint64_t bytes;      // in memory
    uint32_t flags;
    uint32_t type = kLoadable;
};

namespace elf {
enum : uint64_t {
    kMagic = 0,
    kProgramHeaders = 0x20, // where they lie in the file
    kProgramHeaderBytes = 0x36,
    kProgramHeaderCount = 0x38,
    kHeaderBytes = 64,
    kSegmentBytes = 56,
};
}

// Puts the headers at `where`, program headers right behind the ELF header.
inline void put_elf(FakeMemory& memory, uint64_t where,
                    const std::vector<LinkedSegment>& segments) {
    memory.put<uint32_t>(where, 0x464c457f);
    memory.put<uint8_t>(where + 4, 2);     // 64-bit
    memory.put<uint8_t>(where + 5, 1);     // little-endian
    memory.put<uint16_t>(where + 0x10, 2); // executable
    memory.put<uint16_t>(where + 0x12, 62);
    memory.put<uint64_t>(where + elf::kProgramHeaders, elf::kHeaderBytes);
    memory.put<uint16_t>(where + 0x34, elf::kHeaderBytes);
    memory.put<uint16_t>(where + elf::kProgramHeaderBytes, elf::kSegmentBytes);
    const auto count = static_cast<uint16_t>(segments.size());
    memory.put<uint16_t>(where + elf::kProgramHeaderCount, count);
    uint64_t header = where + elf::kHeaderBytes;
    for (const LinkedSegment& segment : segments) {
        memory.put<uint32_t>(header, segment.type);
        memory.put<uint32_t>(header + 4, segment.flags);
        memory.put<uint64_t>(header + 8, 0x111000); // the file is not read again
        memory.put<uint64_t>(header + 16, segment.virt);
        memory.put<uint64_t>(header + 24, segment.phys);
        memory.put<uint64_t>(header + 32, segment.bytes / 2);
        memory.put<uint64_t>(header + 40, segment.bytes);
        memory.put<uint64_t>(header + 48, kPage);
        header += elf::kSegmentBytes;
    }
}

} // namespace prologue::test
