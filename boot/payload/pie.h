// A payload that is a PIE, relocated in its file as it lies in memory, before its segments move.
#pragma once
#pragma GCC visibility push(hidden)

#include "payload/elf64.h"

namespace prologue {

// For an image that will lie `slide` above where it was linked; `elf` is as it was read: it has
// not slid yet. Refuses, by name, what cannot be applied.
void relocate_file(uint8_t* file, const ElfPayload& elf, uint64_t slide);

} // namespace prologue

#pragma GCC visibility pop
