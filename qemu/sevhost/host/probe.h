// What the host needs of the machine that it runs on.
#pragma once

#include "host_memory.h"
#include "settings.h"

namespace sevhost {

// Turns SVM on. Ends the run with what is missing.
void require_machine(HostMemory& host, const Settings& settings);

} // namespace sevhost
