// The guest one instruction at a time, for a hostile host: real ones do it with the APIC's timer.
#pragma once

#include "guest.h"

namespace sevhost {

// From the next entry on.
void step(Guest& guest, bool on);

bool is_stepping(const Guest& guest);

// Around the guest's run. The guest does not see the trap flag, neither in its flags nor in
// what PUSHF pushes.
void begin_step(Guest& guest);
// True: the exit was the end of a step, and is done.
bool end_step(Guest& guest);

} // namespace sevhost
