// The PC's clock of date and time. Source: Motorola MC146818A's data sheet; ACPI 6.5, 4.8.2.4.
#pragma once
#pragma GCC visibility push(hidden)

#include <stdint.h>

namespace prologue {

// In seconds since 1970, if it is UTC's; 0 where the clock says nothing that can be. `read` reads
// one of its registers.
int64_t read_rtc(uint8_t (*read)(uint8_t index));

} // namespace prologue

#pragma GCC visibility pop
