// The screen, by the graphics output protocol.
#pragma once
#pragma GCC visibility push(hidden)

#include "boot_params.h"
#include "firmware.h"

namespace prologue::efi {

// As the firmware has set it up; nothing where no output has a frame buffer.
void find_screen(const Firmware& firmware, ScreenInfo& screen);

}  // namespace prologue::efi

#pragma GCC visibility pop
