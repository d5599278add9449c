/* What the kernels of several processors share. */
#pragma once

#include "prologue/cpus.h"
#include "prologue/kernel.h"
#include "prologue/wishes.h"
#include "serial.h"

#define MSR_GS_BASE 0xc0000101

static inline uint64_t read_msr(uint32_t number) {
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(number));
    return low | (uint64_t)high << 32;
}

static _Noreturn inline void end(int good) {
    print(good ? "result: ok\n" : "result: bad\n");
    out8(PROLOGUE_EXIT_PORT, good ? PROLOGUE_EXIT_SUCCESS : PROLOGUE_EXIT_FATAL);
    for (;;)
        __asm__ volatile("cli; hlt");
}

static inline int is_asked(const prologue_handoff* handoff, const char* word) {
    uint64_t bytes;
    return prologue_option(handoff, word, &bytes) != 0;
}

/* The handoff, with `rsdp=0x...` of the command line for the firmware's tables. */
static inline const prologue_handoff* with_tables_asked(const prologue_handoff* handoff) {
    static prologue_handoff copy;
    void* to = &copy;
    const void* from = handoff;
    uint64_t bytes = sizeof copy;
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
    const char* const text = prologue_option(handoff, "rsdp", &bytes);
    if (!text)
        return handoff;
    copy.rsdp_phys = 0;
    for (uint64_t i = 2; i < bytes; ++i)
        copy.rsdp_phys = copy.rsdp_phys << 4 |
                         (uint64_t)(text[i] <= '9' ? text[i] - '0' : text[i] - 'a' + 10);
    return &copy;
}

extern uint16_t prologue_ap_own[];

/* Holds all that are on the way, or lets them go on: by a jump to itself in Prologue's code, which
 * is mapped for nobody to write. */
static inline void hold_on_the_way(int are_held) {
    static uint16_t code;
    const uint64_t write_protect = 1 << 16, to_itself = 0xfeeb;
    uint64_t cr0;
    __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
    __asm__ volatile("mov %0, %%cr0" : : "r"(cr0 & ~write_protect));
    if (are_held)
        code = *prologue_ap_own;
    *(volatile uint16_t*)prologue_ap_own = are_held ? (uint16_t)to_itself : code;
    __asm__ volatile("mov %0, %%cr0" : : "r"(cr0) : "memory");
}

static inline void pass_time(void) {
    for (unsigned i = 0; i != 100000; ++i)
        __asm__ volatile("pause");
}
