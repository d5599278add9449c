// Where a dying boot speaks: the first serial port and QEMU's debug port.
// Nothing is written there before, since each port write of a guest is an exit.
#pragma once
#pragma GCC visibility push(hidden)

#include <stdint.h>

namespace prologue {

class Console {
public:
    Console(); // 115200 8N1

    void put(char c);
    void put(const char* text);
    void put_hex(uint64_t value, unsigned digits = 1); // at least so many digits
    void put_decimal(uint32_t value);

private:
    void put_serial(uint8_t byte);
#ifdef PROLOGUE_HAS_SCREEN
    void put_on_screen(char c); // the environment's own, besides
#endif

    unsigned patience_; // polls for the port to be ready; none after it was not
};

} // namespace prologue

#pragma GCC visibility pop
