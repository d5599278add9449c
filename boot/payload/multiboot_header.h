// What the Multiboot headers in a payload's file ask for. Sources: Multiboot Specification 0.6.96,
// section 3.1; Multiboot2 Specification 2.0, section 3.1.
#pragma once
#pragma GCC visibility push(hidden)

#include <stdint.h>

namespace prologue {

// What is loaded where the header itself says so, whatever the file's format says.
struct MultibootAddresses {
    uint64_t file_offset, phys, file_bytes, bytes; // no bytes: the header does not say
};

struct MultibootHeader {
    MultibootAddresses addresses = {};
    bool aligns_modules = false; // to pages
    bool wants_screen = false;   // and cannot do without one
    uint32_t entry = 0;          // physical, of 32-bit code; 0: e_entry
    uint32_t entry64 = 0;        // the same of 64-bit code; 0 where it names none
    // Where it may lie instead of its p_paddr, and at a multiple of what; 0: nowhere.
    uint64_t least = 0, most = 0, alignment = 0;
};

// A header's place in the file; `bytes` where there is none.
uint64_t find_multiboot1(const uint8_t* file, uint64_t bytes);
uint64_t find_multiboot2(const uint8_t* file, uint64_t bytes);

// Refuses, by name, what it wants that is not served. Multiboot 2's tag of a 64-bit entry counts
// where the header does not ask for UEFI's boot services, which have ended.
MultibootHeader read_multiboot1(const uint8_t* file, uint64_t bytes, uint64_t at);
MultibootHeader read_multiboot2(const uint8_t* file, uint64_t bytes, uint64_t at);

} // namespace prologue

#pragma GCC visibility pop
