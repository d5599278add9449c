// A clock that ends a guest's run where nothing else does: the PIT's interrupt is an exit.
#pragma once

#include "guest.h"

namespace sevhost {

void start_watchdog(Guest& guest);

// The exit was the clock's, and is done.
bool is_watchdog(const Guest& guest);

// How often it has come since this was asked last.
unsigned watchdog_ticks();

} // namespace sevhost
