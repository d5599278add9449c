// Words for exit codes, GHCB events and reasons to terminate.
#pragma once

#include <stdint.h>

namespace sevhost {

// An exit code, or a non-automatic event of the GHCB; "?" where it is neither.
const char* exit_name(uint64_t code);

// A code of the GHCB MSR's protocol.
const char* ghcb_msr_name(uint64_t code);

// Why a guest terminates itself, by the reason set's number and the reason's.
const char* termination_name(unsigned set, unsigned reason);

} // namespace sevhost
