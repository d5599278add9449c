#include "console.h"

#include "machine.h"

namespace sevhost {
namespace {

constexpr uint16_t kDebugConsole = 0xea;

void put_in(uint64_t value, unsigned base) {
    if (value >= base)
        put_in(value / base, base);
    put("0123456789abcdef"[value % base]);
}

} // namespace

bool muted;

void put(char c) {
    if (!muted)
        out8(kDebugConsole, static_cast<uint8_t>(c));
}

void put(const char* text) {
    for (; *text != 0; ++text)
        put(*text);
}

void put(Text text) {
    for (uint64_t i = 0; i != text.size; ++i)
        put(text.data[i]);
}

void put(Hex number) {
    put("0x");
    put_in(number.value, 16);
}

void put(Decimal number) {
    put_in(number.value, 10);
}

void put(Bytes bytes) {
    for (uint64_t i = 0; i != bytes.count; ++i) {
        if (i != 0)
            put(' ');
        put("0123456789abcdef"[bytes.data[i] >> 4]);
        put("0123456789abcdef"[bytes.data[i] & 0xf]);
    }
}

} // namespace sevhost
