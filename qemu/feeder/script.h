#pragma once

// The script that the feeder plays: its first Multiboot module, written by qemu/playing/feeding.py.
//
//   ScriptHeader
//   count times: RecordHeader, `bytes` of payload, zeros up to the next multiple of 4
//   CpuState
//
// Little-endian; every part is 4-aligned.

#include <stddef.h>
#include <stdint.h>

namespace feeder {

inline constexpr uint32_t script_magic = 0x44454546; // "FEED"

struct ScriptHeader {
    uint32_t magic;
    uint32_t count;
};

// `bytes` of payload belong at physical address `dest`.
struct RecordHeader {
    uint32_t dest;
    uint32_t bytes;
};

// What the CPU holds at the first instruction after the feeder's jump. Of the 64-bit fields, 32-bit
// code gets the lower halves.
struct CpuState {
    uint64_t eax, ebx, ecx, edx, esi, edi, ebp, esp, eip;
    uint32_t eflags;
    uint32_t cr0, cr3, cr4;
    uint32_t efer;     // written only when not 0: not every CPU has the register
    uint32_t gdt_base; // 0: the feeder's own GDT, flat code32 at 0x08 and data at 0x10
    uint32_t gdt_limit;
    uint32_t cs;         // a selector in that GDT
    uint32_t data;       // for DS, ES and SS
    uint32_t fs_gs;      // for FS and GS
    uint32_t tr;         // loaded when not 0
    uint32_t gdt_gone;   // not 0: GDTR is left with base 0 and limit 0
    uint32_t wide;       // not 0: CS.L is set there, and efer and cr0 say long mode
    uint32_t move_count; // of the Moves at moves_at, made in 64-bit mode
    uint64_t moves_at;
    uint64_t wide_cr3; // loaded in 64-bit mode when not 0: may be above 4 GiB
};

// What belongs above 4 GiB is a record below it first.
struct Move {
    uint64_t from, to, bytes;
};

static_assert(sizeof(ScriptHeader) == 8);
static_assert(sizeof(RecordHeader) == 8);
static_assert(sizeof(Move) == 24);
static_assert(sizeof(CpuState) == 9 * 8 + 14 * 4 + 2 * 8);
static_assert(offsetof(CpuState, eip) == 8 * 8);
static_assert(offsetof(CpuState, cr0) == 9 * 8 + 4);
static_assert(offsetof(CpuState, moves_at) == 9 * 8 + 14 * 4);

} // namespace feeder
