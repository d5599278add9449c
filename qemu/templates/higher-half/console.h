// The first serial port, for the kernel's first words.
#pragma once

#include <stdint.h>

namespace console {

struct Hex {
    uint64_t value;
};

struct Text {  // that does not end in NUL
    const char* start;
    uint64_t bytes;
};

void init();
void put(const char* text);
void put(Text text);
void put(Hex number);
void put(uint64_t number);

template <typename... Parts>
void print(Parts... parts) {
    (put(parts), ...);
    put("\n");
}

}  // namespace console
