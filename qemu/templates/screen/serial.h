/* The first serial port, for the kernel's first words. */
#ifndef SERIAL_H
#define SERIAL_H

#include <stdint.h>

void serial_init(void);
void print(const char *text);
void print_bytes(const char *text, uint64_t bytes); /* text that does not end in NUL */
void print_hex(uint64_t value);
void print_decimal(uint64_t value);

#endif
