#pragma once

#include <stdint.h>

namespace feeder {

// Says `feeder: <what> <number>...` on COM1, numbers in hex, and ends the VM through
// isa-debug-exit with QEMU status 0x61.
[[noreturn]] void refuse(const char* what);
[[noreturn]] void refuse(const char* what, uint32_t first);
[[noreturn]] void refuse(const char* what, uint32_t first, uint32_t second);

} // namespace feeder
