#include "serial.h"

#include "ports.h"

/* A 16550's registers. */
enum {
    COM1 = 0x3f8,
    DATA = COM1,
    INTERRUPTS = COM1 + 1,
    FIFO = COM1 + 2,
    LINE_CONTROL = COM1 + 3,
    MODEM_CONTROL = COM1 + 4,
    LINE_STATUS = COM1 + 5,
};

enum {
    DIVISOR_FOLLOWS = 0x80, /* LINE_CONTROL: DATA and INTERRUPTS are the divisor's bytes */
    EIGHT_BITS_NO_PARITY = 0x03,
    FIFO_ON_AND_EMPTY = 0x07,
    READY_TO_SEND = 0x03,
    TRANSMITTER_EMPTY = 0x20, /* LINE_STATUS */
};

void serial_init(void) {
    out8(INTERRUPTS, 0);
    out8(LINE_CONTROL, DIVISOR_FOLLOWS);
    out8(DATA, 1); /* 115,200 bits a second */
    out8(INTERRUPTS, 0);
    out8(LINE_CONTROL, EIGHT_BITS_NO_PARITY);
    out8(FIFO, FIFO_ON_AND_EMPTY);
    out8(MODEM_CONTROL, READY_TO_SEND);
}

static void put(char c) {
    while ((in8(LINE_STATUS) & TRANSMITTER_EMPTY) == 0) {
    }
    out8(DATA, (uint8_t)c);
}

void print(const char *text) {
    for (; *text != 0; ++text) {
        if (*text == '\n')
            put('\r');
        put(*text);
    }
}

void print_bytes(const char *text, uint64_t bytes) {
    for (; bytes != 0; --bytes)
        put(*text++);
}

static void print_in_base(uint64_t value, unsigned base) {
    if (value >= base)
        print_in_base(value / base, base);
    put("0123456789abcdef"[value % base]);
}

void print_hex(uint64_t value) {
    print("0x");
    print_in_base(value, 16);
}

void print_decimal(uint64_t value) {
    print_in_base(value, 10);
}
