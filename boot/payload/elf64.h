// A payload's ELF64 file, as the loader left it in memory. Source: System V ABI, "Object
// files" and its AMD64 supplement.
//
// The rule for where segments belong: at p_paddr, which is believed as it stands.
#pragma once
#pragma GCC visibility push(hidden)

#include "image.h"

namespace prologue {

struct PayloadSegment {
    uint64_t file_offset, file_bytes;
    uint64_t virt, phys, bytes;
    bool writable, executable;
    uint8_t index; // of its program header

    constexpr Span pages() const { return {page_down(phys), page_up(phys + bytes)}; }
};

struct ElfPayload {
    uint64_t entry = 0;
    bool wants_handoff = false; // by the note of prologue/payload.h
    unsigned count = 0;
    PayloadSegment segments[kMostSegments];

    const PayloadSegment* begin() const { return segments; }
    const PayloadSegment* end() const { return segments + count; }
    Span virtual_span() const; // in whole pages
};

bool is_elf(const uint8_t* file, uint64_t bytes);

// Refuses, by name, what is not a static ELF64 for x86-64; segments that do not lie in the
// file, that are writable and executable, that share a page or do not ascend, that are not
// all at one distance from physical to virtual; and an entry that cannot be executed.
ElfPayload read_elf64(const uint8_t* file, uint64_t bytes);

}  // namespace prologue

#pragma GCC visibility pop
