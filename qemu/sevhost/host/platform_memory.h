// What QEMU's firmware interface says of memory. Firmware asks fw_cfg and the CMOS how much
// there is, and would hear of the host's; it hears of its own. Nor is the host its kernel:
// fw_cfg_kernel.h has what is.
// And fw_cfg's DMA is not offered: a device's addresses are the host's, not the guest's.
#pragma once

#include "guest.h"

namespace sevhost {

// From now on, for a guest that is firmware.
void hide_host_memory(Guest& guest);

// True: the access was one of these, and is done.
bool memory_port_in(uint16_t port, unsigned bytes, uint32_t& value);
bool memory_port_out(uint16_t port, unsigned bytes, uint32_t value);

} // namespace sevhost
