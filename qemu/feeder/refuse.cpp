#include "refuse.h"

namespace feeder {
namespace {

constexpr uint16_t com1_data = 0x3f8;
constexpr uint16_t com1_line_status = 0x3fd;
constexpr uint8_t transmitter_empty = 1 << 5;
constexpr uint16_t isa_debug_exit = 0xf4;
constexpr uint8_t refused = 0x30;

void out8(uint16_t port, uint8_t value) {
    asm volatile("outb %0, %1" ::"a"(value), "Nd"(port));
}

uint8_t in8(uint16_t port) {
    uint8_t value;
    asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

void say(char c) {
    while (!(in8(com1_line_status) & transmitter_empty)) {
    }
    out8(com1_data, static_cast<uint8_t>(c));
}

void say(const char* text) {
    while (*text)
        say(*text++);
}

void say(uint32_t number) {
    say(" 0x");
    int shift = 28;
    while (shift > 0 && !(number >> shift))
        shift -= 4;
    for (; shift >= 0; shift -= 4)
        say("0123456789abcdef"[number >> shift & 0xf]);
}

void begin(const char* what) {
    say("feeder: ");
    say(what);
}

[[noreturn]] void end() {
    say('\n');
    out8(isa_debug_exit, refused);
    for (;;)
        asm volatile("cli; hlt");
}

} // namespace

void refuse(const char* what) {
    begin(what);
    end();
}

void refuse(const char* what, uint32_t first) {
    begin(what);
    say(first);
    end();
}

void refuse(const char* what, uint32_t first, uint32_t second) {
    begin(what);
    say(first);
    say(second);
    end();
}

} // namespace feeder
