// The GHCB MSR and its protocol (AMD 56421, 2.3.1).
#pragma once

#include "guest.h"

namespace sevhost {

// What the MSR holds when the guest starts: SEV information, unasked.
uint64_t sev_info(const Guest& guest);

// Serves a VMGEXIT whose MSR holds a request.
void serve_ghcb_msr(Guest& guest);

} // namespace sevhost
