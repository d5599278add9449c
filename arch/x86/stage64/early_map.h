// The early map as the entry left it: GiBs of physical memory, the first among
// them, in the low half and, through the same tables, in the window. It grows
// when a loader's structure lies beyond it.
#pragma once
#pragma GCC visibility push(hidden)

#include "phys_memory.h"

namespace prologue {

// What can be seen from the start, in the window at `window`.
PhysMemory early_map(uint64_t window);

} // namespace prologue

#pragma GCC visibility pop
