/* How the test kernels in C speak: the first serial port, as QEMU has it at reset. */
#pragma once

#include "prologue/handoff.h"

#define SERIAL 0x3f8

static inline void out8(uint16_t port, uint8_t value) {
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void print(const char* text) {
    for (; *text != 0; ++text)
        out8(SERIAL, (uint8_t)*text);
}

static inline void print_number(const char* name, uint64_t value) {
    print(name);
    print(": 0x");
    static const char digits[] = "0123456789abcdef";
    int shift = 60;
    while (shift != 0 && value >> shift == 0)
        shift -= 4;
    for (; shift >= 0; shift -= 4)
        out8(SERIAL, (uint8_t)digits[value >> shift & 15]);
    print("\n");
}
