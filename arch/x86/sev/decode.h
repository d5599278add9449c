// The instructions that a #VC can be about: what each does, and with which operands.
// 64-bit code only. Source: APM vol. 3, chapters 1 and 3, appendix A.
#pragma once
#pragma GCC visibility push(hidden)

#include <stdint.h>

namespace prologue {

enum class Op : uint8_t {
    none, // not one of these, or not valid
    cpuid,
    rdmsr,
    wrmsr,
    rdtsc,
    rdtscp,
    rdpmc,
    invd,
    wbinvd,
    read_dr7,
    write_dr7,
    vmmcall,
    monitor,
    mwait,
    in,
    out,
    ins,
    outs,
    store, // a register to memory
    store_immediate,
    load,      // memory to a register,
    load_zero, // with zeros before it,
    load_sign, // with its sign before it
    stos,
};

enum class SegmentBase : uint8_t { flat, fs, gs };

inline constexpr uint8_t kNoRegister = 0xff;
inline constexpr uint8_t kRipRegister = 16; // the next instruction's

struct MemoryOperand {
    uint8_t base = kNoRegister; // numbers as in an instruction: 0 RAX to 15 R15
    uint8_t index = kNoRegister;
    uint8_t shift = 0; // of the index
    int64_t displacement = 0;
};

struct Instruction {
    Op op = Op::none;
    uint8_t length = 0;
    uint8_t bytes = 0;          // of the operand in memory, or at the port
    uint8_t register_bytes = 0; // of the register that a load fills
    uint8_t address_bytes = 8;  // 8 or 4
    bool rep = false;
    bool port_in_dx = false;
    uint8_t port = 0; // where it is not in DX
    uint8_t reg = kNoRegister;
    bool high_byte = false; // AH, CH, DH or BH, by their registers' numbers
    bool has_memory = false;
    SegmentBase segment = SegmentBase::flat; // of a memory operand; of what OUTS reads
    MemoryOperand memory;
    uint64_t immediate = 0;
};

// Reads no byte behind the instruction, since the next page may not be there.
Instruction decode(const uint8_t* bytes);

} // namespace prologue

#pragma GCC visibility pop
