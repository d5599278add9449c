// Into the guest and back (enter_guest.S).
#pragma once

#include "guest.h"

namespace sevhost {

// Turns SVM on for this processor, and saves what VMRUN does not: where.
HostPhys prepare_world_switch(HostMemory& host);

// Runs the guest up to its next exit.
void run_guest(Guest& guest);

} // namespace sevhost
