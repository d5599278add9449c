// Descriptor tables of the test guests.
#pragma once

#include "guest.h"

enum Selector : uint16_t {
    kSelectorCode32 = 0x08,
    kSelectorData = 0x10,
    kSelectorCode64 = 0x18,
    kSelectorUserCode32 = 0x20,
    kSelectorUserData = 0x28,
    kSelectorUserCode64 = 0x30,
    kSelectorTss = 0x38, // two entries in 64-bit mode
    kGdtEntries = 9,
};
constexpr uint16_t kSelectorCode = kLong ? kSelectorCode64 : kSelectorCode32;
constexpr uint16_t kRing3 = 3;

extern "C" uint64_t gdt[kGdtEntries];

// A gate: 16 bytes in long mode, 8 else.
struct Gate {
    uint16_t offset_low, selector;
    uint8_t ist, type;
    uint16_t offset_middle;
#ifdef __x86_64__
    uint32_t offset_high, reserved;
#endif
};
static_assert(sizeof(Gate) == (kLong ? 16 : 8));
constexpr uint8_t kInterruptGate = 0x8e, kTrapGate = 0x8f, kGateFromRing3 = 0x60;
constexpr unsigned kVectors = 32;
extern Gate idt[kVectors];

struct [[gnu::packed]] TablePointer {
    uint16_t limit;
    Word base;
};

#ifdef __x86_64__
struct [[gnu::packed]] Tss {
    uint32_t reserved1;
    uint64_t rsp[3], reserved2, ist[7], reserved3;
    uint16_t reserved4, io_map;
};
#else
struct Tss {
    uint32_t link, esp0, ss0, rest[22];
    uint16_t trap, io_map;
};
#endif
static_assert(sizeof(Tss) == 104);
extern Tss tss;

void set_up_tables(); // GDT, IDT with a handler for each vector, TSS; all loaded
void set_handler(unsigned vector, Word address);
// The timer ticks as the firmware left it, on vector 8: for scenes that turn interrupts on. It is
// not acknowledged, and so ticks once.
void ignore_timer();
extern "C" volatile uint32_t ticks;
void load_idt(Word base, uint16_t limit);
