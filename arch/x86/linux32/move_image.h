// What stands before the image in a bzImage of a kernel that must lie elsewhere than loaders put
// a bzImage: 1 MiB. linker/prologue-bzimage has the same offsets.
#pragma once

// From the first byte on: where the image is linked to lie, how much of it is behind this code, how
// much memory it takes, and whether a fatal end is for QEMU's exit device.
#define MOVE_IMAGE_MAKERS 4
#define MOVE_IMAGE_BYTES 4096 // with the stack, at its end

#ifndef __ASSEMBLER__
#pragma GCC visibility push(hidden)

#include "boot_params.h"

namespace prologue {

struct MovedImage {
    uint8_t jump[MOVE_IMAGE_MAKERS];
    uint32_t load_start, bytes, memory_bytes;
    uint32_t qemu_exit;
};
static_assert(sizeof(MovedImage) == 20);

// Refuses a place that is not memory, or in use.
extern "C" void check_place(const BootParams& params, const MovedImage& image);

} // namespace prologue

#pragma GCC visibility pop
#endif
