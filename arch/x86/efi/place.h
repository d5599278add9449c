// The kernel's place in memory.
#pragma once
#pragma GCC visibility push(hidden)

#include "firmware.h"
#include "stub_header.h"

namespace prologue::efi {

// Takes the pages that the kernel is linked for or, where they are not free and it wishes
// to be relocatable, others, and puts it there. What is not from the file is not zeroed.
Span place_kernel(Firmware& firmware, const StubHeader& header);

} // namespace prologue::efi

#pragma GCC visibility pop
