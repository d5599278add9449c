// What grants the wishes for mappings; linked only where there is one, as the
// part WISHED_MAPS_MAGIC. See prologue/wishes.h.
#pragma once

// What the wishes are where the kernel states none, for those that are read: no
// address of a direct map, and no end of an identity map, is odd.
#define DIRECT_MAP_BY_DEFAULT 1
#define IDENTITY_MAP_BY_DEFAULT 1

#ifndef __ASSEMBLER__
#pragma GCC visibility push(hidden)

#include "image.h"
#include "kernel_map.h"
#include "page_tables.h"
#include "prologue/handoff.h"

namespace prologue {

// A wish for a window: an ELF note, as PROLOGUE_WISH_WINDOW lays it out.
struct WindowNote {
    uint32_t name_bytes, desc_bytes, type;
    char name[12];
    uint64_t virt, phys, bytes, rights;
} __attribute__((packed, aligned(4)));
static_assert(sizeof(WindowNote) == 56);

// Checks the image, and puts what the kernel wishes into `map`. `window` is the
// virtual address at which physical memory is seen for the time being.
using PlanMaps = void(uint64_t window, unsigned levels, Image& image, KernelMap& map);

// What is known of the machine and the kernel.
struct MapsMade {
    uint64_t window; // as above
    unsigned levels;
    const Image& image;
    const MemoryMap& memory;
    const KernelMap& map;
};

// Maps what is not RAM, carries the image to its random place if it has one, and makes the handoff's pointers hold in the kernel's
// tables: for those, physical memory is seen at the address returned.
using FinishMaps = uint64_t(const MapsMade& made, PageTables& tables, prologue_handoff& handoff);

extern "C" {
PlanMaps prologue_plan_maps;
FinishMaps prologue_finish_maps;
}

} // namespace prologue

#pragma GCC visibility pop
#endif
