// How the host speaks: on a debug console of QEMU's, at port 0xea. The serial ports
// are the guest's, whatever state it has put them in; so is 0xe9, where guests look
// for such a console. There is none: most say the same on both.
#pragma once

#include <stdint.h>

#include "text.h"

namespace sevhost {

struct Hex {
    uint64_t value;
};
struct Decimal {
    uint64_t value;
};
// The bytes of an instruction, or of anything else.
struct Bytes {
    const uint8_t* data;
    uint64_t count;
};

constexpr Hex hex(uint64_t value) {
    return {value};
}
constexpr Decimal decimal(uint64_t value) {
    return {value};
}

extern bool muted; // nobody is to hear of what comes

void put(char c);
void put(const char* text);
void put(Hex number);
void put(Decimal number);
void put(Bytes bytes);
void put(Text text);

template <typename... Parts>
void say(Parts... parts) {
    (put(parts), ...);
}

} // namespace sevhost
