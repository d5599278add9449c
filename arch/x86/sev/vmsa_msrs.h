// Which MSRs the processor keeps in an SEV-ES guest's own save area (APM vol. 2, table B-4):
// it serves them by itself, and no host has an answer to them.
#pragma once
#pragma GCC visibility push(hidden)

#include <stdint.h>

namespace prologue {

// `status` is SEV_STATUS: some are kept only where a feature of the launch says so.
bool is_kept_in_vmsa(uint32_t msr, uint64_t status);

} // namespace prologue

#pragma GCC visibility pop
