// The screen, by the graphics output protocol.
#pragma once
#pragma GCC visibility push(hidden)

#include "boot_params.h"
#include "firmware.h"
#include "stub_header.h"

namespace prologue::efi {

// As the kernel wishes for, if an output has such a mode, or as the firmware has set it up;
// nothing where no output has a frame buffer.
void find_screen(const Firmware& firmware, const StubHeader& header, ScreenInfo& screen);

} // namespace prologue::efi

#pragma GCC visibility pop
