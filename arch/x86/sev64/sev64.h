// The SEV guest's share of the 64-bit stage: what the boot asks of it, once it is known
// that there is one. In a kernel that serves none, entry64.S has both.
#pragma once
#pragma GCC visibility push(hidden)

#include "image.h"
#include "memory_map.h"
#include "page_tables.h"
#include "phys_memory.h"
#include "sev_state.h"

namespace prologue {

// Before a page changes between private and shared: what the cache holds of it as it
// was must not be written back later (APM vol. 2, 7.10.6).
void flush_page(uint64_t virt);

// The kernel's tables stand: what the host must see in them, it is shown.
struct SevFinish {
    PageTables& tables;
    const Image& image;
    const MemoryMap& memory;
    const LoaderInfo& loader;
    uint64_t seen_at; // virtual address of physical 0, in those tables
    prologue_handoff& handoff;
};

// Virtual address of physical 0, as the code that runs now sees page tables.
uint64_t window_now();

extern "C" {
// SNP: marks what leads to the guest's two pages, and those, wherever a loader has put them.
// What else a loader has there ends the guest.
void prologue_sev_mark_pages(PhysMemory& memory, uint32_t magic, uint64_t info, Span image,
                             NextModule* next_module, LoaderInfo& loader);
// SNP: accepts memory for a map that is too long for .bss, before there is a map.
void prologue_sev_accept_storage(PhysMemory& memory, const LoaderInfo& loader, Span storage);
// SNP: accepts what neither the launch nor a firmware did, before anything of it is used, and
// says in the map what is left.
void prologue_sev_accept_memory(MemoryMap& map, PhysMemory& memory, const LoaderInfo& loader);
void prologue_sev_finish(const SevFinish& finish);
}

} // namespace prologue

#pragma GCC visibility pop
