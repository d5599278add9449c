// Which of an SNP guest's memory is accepted: what its map calls unaccepted, up to a mark.
#pragma once
#pragma GCC visibility push(hidden)

#include "memory_map.h"
#include "phys_memory.h"

namespace prologue {

// Behind every so many bytes stands a line on the console.
inline constexpr uint64_t kAcceptedPerLine = 4 * kGiB;

// Accepts below the mark, which is page-aligned; that is usable from now on.
void accept_memory(MemoryMap& map, PhysMemory& memory, uint64_t mark);

} // namespace prologue

#pragma GCC visibility pop
