// Randomness from the loader, for a payload: what a Linux loader, or the EFI stub, has put into
// the list of setup_data (Linux, arch/x86/include/uapi/asm/setup_data.h, SETUP_RNG_SEED).
#pragma once
#pragma GCC visibility push(hidden)

#include "boot_params.h"

namespace prologue {

// By what the boot has left of boot_params' list: each piece was read before, and is the
// loader's in the memory map. `window` is the virtual address of physical 0. None by others.
Text loader_seed(const prologue_handoff& handoff, uint64_t window);

} // namespace prologue

#pragma GCC visibility pop
