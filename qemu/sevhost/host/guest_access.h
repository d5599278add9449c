// The guest's linear addresses, through its own page tables: for the host where it
// stands in for the processor (fetching an instruction, delivering an exception).
#pragma once

#include <stdint.h>

#include "guest.h"

namespace sevhost {

enum class Access : uint8_t { read, write, fetch };

struct Translation {
    bool mapped;
    GuestPhys gpa; // without the C-bit; where not mapped, of the entry that says so
    Backing backing;
    uint32_t fault; // not mapped: #PF's error code (APM vol. 2, 8.4.2)
};

Translation translate(const Guest& guest, uint64_t linear, Access access, bool user);

// All of it, or false, with the translation that failed in `fault`.
bool read_linear(const Guest& guest, uint64_t linear, void* to, uint64_t bytes);
bool write_linear(const Guest& guest, uint64_t linear, const void* from, uint64_t bytes);

constexpr unsigned kMaxInstructionBytes = 15;

struct Code {
    uint8_t bytes[kMaxInstructionBytes];
    unsigned count;
};
Code fetch_instruction(const Guest& guest);

// Whether the C-bit is part of the addresses in use: PAE tables or long mode's (15.34.4).
bool paging_has_c_bit(const Guest& guest);

// Prints each level of the walk, for a report.
void say_walk(const Guest& guest, uint64_t linear);

} // namespace sevhost
