// What only an instruction can do.
#pragma once

#include <stdint.h>

inline void out8(uint16_t port, uint8_t value) {
    asm volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

inline uint8_t in8(uint16_t port) {
    uint8_t value;
    asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

// The address that a page fault was about.
inline uint64_t cr2() {
    uint64_t value;
    asm volatile("movq %%cr2, %0" : "=r"(value));
    return value;
}

[[noreturn]] inline void halt() {
    for (;;)
        asm volatile("cli; hlt");
}
