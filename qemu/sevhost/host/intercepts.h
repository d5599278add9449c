// What of the guest's actions ends in an exit.
#pragma once

#include "guest.h"

namespace sevhost {

constexpr uint32_t kInterceptNmi = 1u << 1;

// Writes the intercepts and the permission maps into the guest's VMCB.
void set_intercepts(Guest& guest);

// RDTSC and RDTSCP.
void intercept_tsc(Guest& guest);
bool intercepts_tsc();

// RDMSR and WRMSR of one that a guest has for its own.
void intercept_msr(uint32_t msr);

// The ports that tell of memory, where those of the guest's devices are its own.
void intercept_memory_ports();

// The permission maps, which are no part of the VMCB, as they are now; and back to that.
void keep_intercepts();
void take_back_intercepts();

// HLT is let through once, when an interrupt can end it: the host has nothing to wait with.
void let_halt_through(Guest& guest);
void intercept_halt(Guest& guest);

} // namespace sevhost
