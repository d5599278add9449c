// Page tables of our own, for the way to the kernel's entry: the firmware's may let
// nothing be executed that it did not load as code.
#pragma once
#pragma GCC visibility push(hidden)

#include "firmware.h"

namespace prologue::efi {

// How the CPU is, and so what the tables must be.
struct CpuState {
    unsigned levels; // 4 or 5
    bool has_1g_pages;
    uint64_t c_bit_mask;
    uint64_t stack;
};

// Whole GiBs around each span, at their own addresses. Returns what CR3 is to hold.
uint64_t build_tables(Firmware& firmware, const CpuState& cpu, const Span* spans, unsigned count);

} // namespace prologue::efi

#pragma GCC visibility pop
