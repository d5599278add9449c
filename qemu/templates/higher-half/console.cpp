#include "console.h"

#include "cpu.h"

namespace console {
namespace {

// A 16550's registers.
constexpr uint16_t kData = 0x3f8;
constexpr uint16_t kInterrupts = kData + 1;
constexpr uint16_t kFifo = kData + 2;
constexpr uint16_t kLineControl = kData + 3;
constexpr uint16_t kModemControl = kData + 4;
constexpr uint16_t kLineStatus = kData + 5;

constexpr uint8_t kDivisorFollows = 0x80;  // kLineControl: kData and kInterrupts are its bytes
constexpr uint8_t kEightBitsNoParity = 0x03;
constexpr uint8_t kFifoOnAndEmpty = 0x07;
constexpr uint8_t kReadyToSend = 0x03;
constexpr uint8_t kTransmitterEmpty = 0x20;  // kLineStatus

void put(char c) {
    while ((in8(kLineStatus) & kTransmitterEmpty) == 0) {
    }
    out8(kData, static_cast<uint8_t>(c));
}

void put_in_base(uint64_t value, unsigned base) {
    if (value >= base)
        put_in_base(value / base, base);
    put("0123456789abcdef"[value % base]);
}

}  // namespace

void init() {
    out8(kInterrupts, 0);
    out8(kLineControl, kDivisorFollows);
    out8(kData, 1);  // 115,200 bits a second
    out8(kInterrupts, 0);
    out8(kLineControl, kEightBitsNoParity);
    out8(kFifo, kFifoOnAndEmpty);
    out8(kModemControl, kReadyToSend);
}

void put(const char* text) {
    for (; *text != 0; ++text) {
        if (*text == '\n')
            put('\r');
        put(*text);
    }
}

void put(Text text) {
    for (uint64_t i = 0; i != text.bytes; ++i)
        put(text.start[i]);
}

void put(Hex number) {
    put("0x");
    put_in_base(number.value, 16);
}

void put(uint64_t number) {
    put_in_base(number, 10);
}

}  // namespace console
