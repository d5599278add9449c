// The initial RAM disk: what a loader serves as one, or the files that the command
// line names.
#pragma once
#pragma GCC visibility push(hidden)

#include "firmware.h"
#include "load_options.h"

namespace prologue::efi {

// In pages that are ours; empty where there is none.
Span load_initrd(Firmware& firmware, const LoadedImage& image, Text16 options);

} // namespace prologue::efi

#pragma GCC visibility pop
