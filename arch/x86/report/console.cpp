#include "console.h"

#include "ports.h"

namespace prologue {
namespace {

constexpr uint16_t kDebugPort = 0xe9;

// 16550 registers, on the first serial port (PC16550D data sheet, section 8)
constexpr uint16_t kData = 0x3f8;
constexpr uint16_t kInterruptEnable = kData + 1;
constexpr uint16_t kFifoControl = kData + 2;
constexpr uint16_t kLineControl = kData + 3;
constexpr uint16_t kModemControl = kData + 4;
constexpr uint16_t kLineStatus = kData + 5;

constexpr uint8_t kDivisorLatch = 0x80;
constexpr uint8_t kEightBits = 0x03;
constexpr uint8_t kFifosOn = 0xc7;
constexpr uint8_t kReadyToSend = 0x03;
constexpr uint8_t kTransmitterEmpty = 0x20;
constexpr unsigned kLongestWait = 100000; // polls; a port that is not there must not hang us

} // namespace

Console::Console() : patience_(kLongestWait) {
    out8(kInterruptEnable, 0);
    out8(kLineControl, kDivisorLatch);
    out8(kData, 1); // divisor: 115200 baud
    out8(kInterruptEnable, 0);
    out8(kLineControl, kEightBits);
    out8(kFifoControl, kFifosOn);
    out8(kModemControl, kReadyToSend);
}

void Console::put_serial(uint8_t byte) {
    unsigned left = patience_;
    while (left != 0 && (in8(kLineStatus) & kTransmitterEmpty) == 0)
        --left;
    if (left == 0)
        patience_ = 0;
    out8(kData, byte);
}

void Console::put(char c) {
    const auto byte = static_cast<uint8_t>(c);
    out8(kDebugPort, byte);
#ifdef PROLOGUE_HAS_SCREEN
    put_on_screen(c);
#endif
    if (c == '\n')
        put_serial('\r');
    put_serial(byte);
}

void Console::put(const char* text) {
    while (*text != 0)
        put(*text++);
}

void Console::put_hex(uint64_t value, unsigned digits) {
    for (unsigned digit = 16; digit-- != 0; value <<= 4) {
        const auto nibble = static_cast<unsigned>(value >> 60);
        if (nibble != 0)
            digits = 16; // none of the rest is left out
        if (digit < digits)
            put(static_cast<char>(nibble < 10 ? '0' + nibble : 'a' + nibble - 10));
    }
}

void Console::put_decimal(uint32_t value) {
    if (value >= 10)
        put_decimal(value / 10);
    put(static_cast<char>('0' + value % 10));
}

} // namespace prologue
