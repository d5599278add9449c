// What depart.S does, in order. Lists end with an element of no bytes.
#pragma once

#define MOVE_FROM 0
#define MOVE_TO 8
#define MOVE_BYTES 16
#define MOVE_SIZE 24

#define DEPARTURE_MOVES 0
#define DEPARTURE_CLEARS 3096
#define DEPARTURE_GDT 3624
#define DEPARTURE_NO_IDT 3640
#define DEPARTURE_CR3 3656
#define DEPARTURE_ENTRY 3664
#define DEPARTURE_RSP 3672
#define DEPARTURE_RDI 3680
#define DEPARTURE_RSI 3688
#define DEPARTURE_RAX 3696
#define DEPARTURE_RBX 3704
#define DEPARTURE_CODE 3712
#define DEPARTURE_DATA 3716
#define DEPARTURE_TSS 3720
#define DEPARTURE_CODE32 3724
#define DEPARTURE_BYTES 4096

#define LIMINE_GOTO_ADDRESS 16

#ifndef __ASSEMBLER__
#pragma GCC visibility push(hidden)
#include "image.h"
#include "payload/mover.h"

#include <stddef.h>

namespace prologue {

// Descriptors: flat, accessed already.
inline constexpr uint64_t kCode64 = 0x00af9b000000ffff, kData = 0x00cf93000000ffff;
inline constexpr uint64_t kCode32 = 0x00cf9b000000ffff;
inline constexpr uint64_t kTask32 = 0x0000890000000067; // at 0, with the limit that PVH names

struct DescriptorTable {
    uint16_t limit;
    uint64_t base;
    uint16_t unused[3];
} __attribute__((packed));
static_assert(sizeof(DescriptorTable) == 16);

struct Departure {
    Move moves[Mover::kMost + 1];
    Span clears[2 * kMostSegments + 1];
    DescriptorTable gdt, no_idt;
    uint64_t cr3, entry, rsp, rdi, rsi, rax, rbx;
    uint32_t code, data, tss; // selectors; a TSS of 0 is none
    uint32_t code32;          // a selector; not 0: entered in 32-bit mode without paging
    uint64_t descriptors[8];  // the GDT
    uint8_t task[104];        // the TSS
};
static_assert(sizeof(Move) == MOVE_SIZE && offsetof(Move, from) == MOVE_FROM);
static_assert(offsetof(Move, to) == MOVE_TO && offsetof(Move, bytes) == MOVE_BYTES);
static_assert(offsetof(Departure, moves) == DEPARTURE_MOVES);
static_assert(offsetof(Departure, clears) == DEPARTURE_CLEARS);
static_assert(offsetof(Departure, gdt) == DEPARTURE_GDT);
static_assert(offsetof(Departure, no_idt) == DEPARTURE_NO_IDT);
static_assert(offsetof(Departure, cr3) == DEPARTURE_CR3);
static_assert(offsetof(Departure, entry) == DEPARTURE_ENTRY);
static_assert(offsetof(Departure, rsp) == DEPARTURE_RSP);
static_assert(offsetof(Departure, rdi) == DEPARTURE_RDI);
static_assert(offsetof(Departure, rsi) == DEPARTURE_RSI);
static_assert(offsetof(Departure, rax) == DEPARTURE_RAX);
static_assert(offsetof(Departure, rbx) == DEPARTURE_RBX);
static_assert(offsetof(Departure, code) == DEPARTURE_CODE);
static_assert(offsetof(Departure, data) == DEPARTURE_DATA);
static_assert(offsetof(Departure, tss) == DEPARTURE_TSS);
static_assert(offsetof(Departure, code32) == DEPARTURE_CODE32);
static_assert(sizeof(Departure) < DEPARTURE_BYTES - 64); // the rest is its stack

} // namespace prologue

extern "C" {
extern const char prologue_depart[], prologue_park[], prologue_depart_end[];
[[noreturn]] void prologue_leave_image(uint64_t departure, uint64_t copy, uint64_t cr3);
[[noreturn]] void prologue_park_other(uint64_t processor, uint64_t departure, uint64_t stack_top,
                                      uint64_t left, uint64_t cr3, uint64_t copy);
}
#pragma GCC visibility pop
#endif
