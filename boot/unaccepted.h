// Memory that UEFI has not accepted from its host (UEFI 2.10, 7.2.3: EfiUnacceptedMemoryType).
// Loaders' own maps have no word for it: GRUB calls it reserved.
#pragma once
#pragma GCC visibility push(hidden)

#include "memory_map.h"

namespace prologue {

// How many ranges of it the firmware's map has.
uint64_t count_unaccepted(const prologue_efi& efi);

// They are that in this map, whatever the loader has made of them.
void add_unaccepted(MemoryMap& map, const prologue_efi& efi);

} // namespace prologue

#pragma GCC visibility pop
