// Port I/O on the guest's behalf: the devices are QEMU's own.
#pragma once

#include "guest.h"

namespace sevhost {

// `bytes` is 1, 2 or 4. Accesses that end the machine end the run, with a report.
uint32_t port_in(Guest& guest, uint16_t port, unsigned bytes);
void port_out(Guest& guest, uint16_t port, unsigned bytes, uint32_t value);

// Handles the exit of IN and OUT of a guest whose registers the host may use.
void handle_port(Guest& guest);

} // namespace sevhost
