#include "console.h"

namespace kernel {
namespace {

constexpr uint16_t kSerial = 0x3f8;
constexpr uint16_t kLineStatus = kSerial + 5;
constexpr uint8_t kTransmitterEmpty = 0x20;
constexpr uint8_t kNobody = 0xff; // what is read where no port is: Xen's guests have none
constexpr uint16_t kDebugPort = 0xe9;
constexpr uint16_t kExitPort = 0xf4;

void out8(uint16_t port, uint8_t value) {
    asm volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

uint8_t in8(uint16_t port) {
    uint8_t value;
    asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

void put(char c) {
    uint8_t status;
    do
        status = in8(kLineStatus);
    while ((status & kTransmitterEmpty) == 0);
    out8(status == kNobody ? kDebugPort : kSerial, static_cast<uint8_t>(c));
}

void print_in(uint64_t value, unsigned base) {
    if (value >= base)
        print_in(value / base, base);
    put("0123456789abcdef"[value % base]);
}

} // namespace

void print(const char* text) {
    for (; *text != 0; ++text) {
        if (*text == '\n')
            put('\r');
        put(*text);
    }
}

void print_hex(uint64_t value) {
    print("0x");
    print_in(value, 16);
}

void print_decimal(uint64_t value) {
    print_in(value, 10);
}

void finish(uint8_t status) {
    out8(kExitPort, status);
    for (;;)
        asm volatile("cli; hlt");
}

} // namespace kernel
