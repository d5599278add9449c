// The descriptor tables of 64-bit mode, as far as each processor has its own.
#pragma once
#pragma GCC visibility push(hidden)

#include <stdint.h>

namespace prologue {

struct Tss {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3;
    uint16_t io_map_base;
} __attribute__((packed));
static_assert(sizeof(Tss) == 104);

// Puts the TSS's descriptor into a GDT of Prologue's shape; the stacks in it are the caller's.
void set_tss(uint64_t* gdt, Tss& tss);

} // namespace prologue

extern "C" {
extern uint64_t prologue_gdt[];
extern const char* prologue_idt64(); // all 32 vectors, each reported
}

#pragma GCC visibility pop
