// VMGEXIT with the address of a page: the guest's requests in full (AMD 56421, 4).
#pragma once

#include "guest.h"

namespace sevhost {

// Serves a VMGEXIT, by MSR or by page.
void serve_vmgexit(Guest& guest);

} // namespace sevhost
