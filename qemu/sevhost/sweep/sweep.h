// Very many attacks on one guest in one run, each of them tried and taken back. SWEEP= asks for it.
#pragma once

#include "guest.h"

namespace sevhost {

// Ends the run, with a line for each thing that a right guest does not come to, and with counts.
[[noreturn]] void sweep(Guest& guest);

// Each event that a host can inject, at each instruction of the boot: up to the kernel's second
// access to a port, when it reports (sweep_events.cpp).
void sweep_events(Guest& guest);

// Each behaviour of HOSTILE=list, at its first occasion and at later ones, up to the guest's end
// (sweep_behaviours.cpp).
void sweep_behaviours(Guest& guest);

} // namespace sevhost
