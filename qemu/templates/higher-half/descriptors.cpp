#include "descriptors.h"

#include <prologue/kernel.h>

#include "console.h"
#include "cpu.h"

extern "C" const char exception_stubs[];  // exceptions.S, 16 bytes each

namespace {

using console::Hex;

constexpr unsigned kVectors = 32;
constexpr unsigned kBreakpoint = 3;
constexpr unsigned kDoubleFault = 8;
constexpr uint8_t kDoubleFaultStack = 1;  // of the TSS's interrupt stack table

constexpr uint16_t kCode = 0x08;
constexpr uint16_t kData = 0x10;
constexpr uint16_t kTss = 0x18;

struct [[gnu::packed]] Tss {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3;
    uint16_t io_map_base;
};
static_assert(sizeof(Tss) == 104);

struct Gate {
    uint16_t offset_low;
    uint16_t selector;
    uint8_t stack;  // of the interrupt stack table; 0: the one that is in use
    uint8_t type;
    uint16_t offset_middle;
    uint32_t offset_high;
    uint32_t reserved;
};
static_assert(sizeof(Gate) == 16);
constexpr uint8_t kInterruptGate = 0x8e;  // present, supervisor's

alignas(16) constinit char double_fault_stack[4096] = {};
constinit Tss tss = {};
constinit Gate idt[kVectors] = {};

// Null, 64-bit code, data; a TSS, whose address only the linker knows, takes two.
constinit uint64_t gdt[5] = {0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0, 0};

void make_tss() {
    const uint64_t base = reinterpret_cast<uint64_t>(&tss);
    constexpr uint64_t kAvailable = 0x89ull << 40;
    tss.ist[kDoubleFaultStack - 1] =
        reinterpret_cast<uint64_t>(double_fault_stack + sizeof double_fault_stack);
    tss.io_map_base = sizeof tss;  // there is none
    gdt[kTss / 8] = (sizeof tss - 1) | (base & 0xffffff) << 16 | kAvailable |
                    (base >> 24 & 0xff) << 56;
    gdt[kTss / 8 + 1] = base >> 32;
}

void make_idt() {
    for (unsigned vector = 0; vector != kVectors; ++vector) {
        const uint64_t stub = reinterpret_cast<uint64_t>(exception_stubs) + 16 * vector;
        idt[vector] = {
            .offset_low = static_cast<uint16_t>(stub),
            .selector = kCode,
            .stack = vector == kDoubleFault ? kDoubleFaultStack : uint8_t{0},
            .type = kInterruptGate,
            .offset_middle = static_cast<uint16_t>(stub >> 16),
            .offset_high = static_cast<uint32_t>(stub >> 32),
            .reserved = 0,
        };
    }
}

}  // namespace

void load_descriptors() {
    make_tss();
    make_idt();
    prologue_load_gdt(gdt, sizeof gdt, kCode, kData, kTss);
    prologue_load_idt(idt, sizeof idt);
}

extern "C" void on_exception(ExceptionFrame& frame) {
    console::print("exception ", frame.vector, ", error code ", Hex{frame.error_code}, ", at ",
                   Hex{frame.rip}, ", stack ", Hex{frame.rsp}, ", cr2 ", Hex{cr2()});
    if (frame.vector != kBreakpoint)
        halt();
}
