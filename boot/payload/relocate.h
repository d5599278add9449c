// A PIE's relocations, applied to its file as it lies in memory, before its segments move.
// Source: System V ABI, AMD64 supplement, "Relocation"; generic ABI, "Dynamic Section" and
// SHT_RELR.
#pragma once
#pragma GCC visibility push(hidden)

#include "payload/elf64.h"

namespace prologue {

// For an image that will lie `slide` above where it was linked; `elf` is as it was read: it has
// not slid yet. Applied are RELATIVE (RELR's, too), GLOB_DAT and 64 by symbols that the image
// itself defines. Refused, by name, is all else, and what lies in no segment's bytes in the file.
void relocate(uint8_t* file, const ElfPayload& elf, uint64_t slide);

}  // namespace prologue

#pragma GCC visibility pop
