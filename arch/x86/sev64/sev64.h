// The SEV guest's part of the 64-bit stage, SEV_MAGIC among the parts: what the boot
// asks of it, once it is known that there is one.
#pragma once
#pragma GCC visibility push(hidden)

#include "image.h"
#include "memory_map.h"
#include "page_tables.h"
#include "phys_memory.h"
#include "sev_state.h"

namespace prologue {

// SNP: accepts what the launch did not measure, before anything of it is used, and
// says in the map what is left.
using SevAcceptMemory = void(MemoryMap& map, PhysMemory& memory, uint32_t loader);

// The kernel's tables stand: what the host must see in them, it is shown.
struct SevFinish {
    PageTables& tables;
    const Image& image;
    const MemoryMap& memory;
    uint64_t seen_at; // virtual address of physical 0, in those tables
    prologue_handoff& handoff;
};
using SevFinishBoot = void(const SevFinish& finish);

// Virtual address of physical 0, as the code that runs now sees page tables.
uint64_t window_now();

extern "C" {
SevAcceptMemory prologue_sev_accept_memory;
SevFinishBoot prologue_sev_finish;
}

}  // namespace prologue

#pragma GCC visibility pop
