// What Xen has to be asked for: dom0's memory map, which its start info lacks. Each environment
// brings its own of both functions.
#pragma once
#pragma GCC visibility push(hidden)

#include "loader_info.h"

namespace prologue {

bool is_xen();

// `entries` is how many there is room for, then how many there are: no more are told. The result
// is 0, or a negative error number of Xen's.
int64_t ask_xen_for_memory_map(RawRange* ranges, uint32_t& entries);

} // namespace prologue

#pragma GCC visibility pop
