// What PVH tells a payload. Source: Xen public/arch-x86/hvm/start_info.h.
#pragma once
#pragma GCC visibility push(hidden)

#include "prologue/handoff.h"

namespace prologue {

// Bytes of a start info of version 1 with its lists; the strings are elsewhere.
uint64_t pvh_info_bytes(uint64_t modules, uint64_t ranges);

// Writes it, for a handoff whose strings and lists are the payload's already, to zeroed bytes
// at `at`, which lie at `phys`. `window` is the virtual address of physical 0 in the handoff's
// pointers.
void make_pvh_info(const prologue_handoff& handoff, uint64_t window, uint8_t* at, uint64_t phys);

} // namespace prologue

#pragma GCC visibility pop
