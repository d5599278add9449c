// Restricted injection: a host sends #HV and nothing else, and says by a page that it shares with
// its guest what has come (APM vol. 2, 15.36.16; 56421, 4.1.13). INJECTION= asks for it.
#pragma once

#include "guest.h"

namespace sevhost {

// False: the processor does not run the guest with that event, and the host has to do without. A
// line tells so the first time.
bool may_inject(const Guest& guest, unsigned vector);
bool injection_was_refused(); // since this was asked last

// What the guest asks of its page: false where it asks for what cannot be.
bool serve_doorbell(Guest& guest, uint64_t operation, uint64_t& address);

uint64_t hypervisor_features(const Guest& guest);

// Before an entry: a device's interrupt that is due becomes a line in the page, and #HV.
void ring_doorbell(Guest& guest);

// HLT of a guest that has a page: until an interrupt is due.
void wait_for_interrupt(Guest& guest);

// The guest's writes to the interrupt controller, which tell which vectors are its.
void note_controller(uint16_t port, uint32_t value);

} // namespace sevhost
