#pragma once

#include "script.h"

namespace feeder {

// Puts the CPU into `state` and jumps to its eip.
[[noreturn]] void leave(const CpuState& state);

} // namespace feeder
