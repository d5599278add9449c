// How the test kernels speak: the first serial port, as QEMU and Bochs have it
// at reset or Prologue's loaders left it; port 0xe9, where there is none.
#pragma once

#include <stdint.h>

namespace kernel {

void print(const char* text);
void print_hex(uint64_t value);
void print_decimal(uint64_t value);

// Ends the VM by QEMU's exit device.
[[noreturn]] void finish(uint8_t status);

} // namespace kernel
