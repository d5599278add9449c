// Memory-mapped devices on the guest's behalf: they are QEMU's own.
#pragma once

#include "guest.h"

namespace sevhost {

// `bytes` is 1, 2, 4 or 8. False where there is no device.
bool mmio_read(Guest& guest, GuestPhys at, uint8_t* to, unsigned bytes);
bool mmio_write(Guest& guest, GuestPhys at, const uint8_t* from, unsigned bytes);

// Neither the guest's memory nor the host's: a device, or nothing at all.
bool is_device(const Guest& guest, GuestPhys at);

} // namespace sevhost
