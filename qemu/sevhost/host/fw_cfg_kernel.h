// A kernel for the firmware to start, as QEMU's -kernel hands it over by fw_cfg (QEMU:
// include/standard-headers/linux/qemu_fw_cfg.h, hw/i386/x86-common.c).
#pragma once

#include "images.h"

namespace sevhost {

void offer_kernel(const Images& images);

// True: the key is one of a kernel's, and so is the byte at `offset` of its file.
bool kernel_byte(uint16_t key, uint64_t offset, uint8_t& byte);

} // namespace sevhost
