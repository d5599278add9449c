// Model-specific registers on the guest's behalf.
#pragma once

#include "guest.h"

namespace sevhost {

// False: the access raises #GP.
bool read_guest_msr(Guest& guest, uint32_t msr, uint64_t& value);
bool write_guest_msr(Guest& guest, uint32_t msr, uint64_t value);

// Handles the exit of RDMSR and WRMSR.
void handle_msr(Guest& guest);

} // namespace sevhost
