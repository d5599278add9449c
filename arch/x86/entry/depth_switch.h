// The switch of paging's depth, as assembly does it: see depth_switch.S.
#pragma once

#ifndef __ASSEMBLER__
#pragma GCC visibility push(hidden)
#include <stdint.h>

extern "C" {
// To be copied to the page where the switch happens.
extern const char prologue_depth_code[], prologue_depth_code_end[];
void prologue_switch_depth(uint64_t code_phys, uint64_t table_phys, uint64_t cr3, void* code_seen);
}

namespace prologue {

// Changes the depth without asking whether the CPU can: `top` is seen here, and
// two pages below 4 GiB, of which the second gets a copy of it.
void change_depth(const uint64_t* top, uint64_t top_phys, char* pages, uint64_t pages_phys);

// Has this CPU five levels?
bool has_la57();

} // namespace prologue

#pragma GCC visibility pop
#endif
