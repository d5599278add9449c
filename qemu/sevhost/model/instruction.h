// Instructions: those that the host itself executes or skips, and where others reach
// into memory. TCG neither saves the next RIP nor decodes for the host (APM vol. 2,
// 15.7.1 and 15.8.4), and does not say at which linear address a nested fault was.
#pragma once

#include <stdint.h>

namespace sevhost {

enum class Op : uint8_t {
    unknown,
    cpuid,
    rdmsr,
    wrmsr,
    hlt,
    mov_to_cr,
    mov_from_cr,
    lmsw,
    clts,
    vmmcall,
    vmgexit,
    pvalidate,
    rmpadjust,
    rdpru,
    rdtsc,
    rdtscp,
    xsetbv,
    invd,
};

// The size of addresses and operands that the code segment sets.
enum class CodeBits : uint8_t { code16, code32, code64 };

// Segment registers by their numbers in an instruction (APM vol. 3, 1.2.3).
enum Segment : uint8_t { kSegEs, kSegCs, kSegSs, kSegDs, kSegFs, kSegGs };

constexpr int8_t kNoRegister = -1;
constexpr int8_t kRipRegister = 16;

struct MemoryOperand {
    bool present = false;
    Segment segment = kSegDs;
    int8_t base = kNoRegister; // a general register, or RIP of the next instruction
    int8_t index = kNoRegister;
    uint8_t scale = 0; // shifts the index
    uint8_t address_bytes = 8;
    int64_t displacement = 0;
};

struct Instruction {
    Op op = Op::unknown;
    unsigned length = 0;           // 0: not decoded
    unsigned control_register = 0; // of MOV
    unsigned gpr = 0;              // of MOV and LMSW
    MemoryOperand memory;          // of ModRM, or an address in the instruction
    // What string instructions and the like use beside it.
    bool at_rsi = false;
    bool at_rdi = false;
};

Instruction decode(const uint8_t* bytes, unsigned count, CodeBits bits);

} // namespace sevhost
