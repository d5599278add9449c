// Where an instruction's operands are: registers in the frame, linear addresses, and
// what physical memory the page tables show there.
#pragma once
#pragma GCC visibility push(hidden)

#include "decode.h"
#include "vc.h"

namespace prologue {

// By its number in an instruction.
uint64_t& register_of(Frame64& frame, uint8_t number);

uint64_t segment_base(SegmentBase segment);
uint64_t address_of(Frame64& frame, const Instruction& instruction);

inline uint8_t* seen(uint64_t virt) {
    return reinterpret_cast<uint8_t*>(static_cast<uintptr_t>(virt));
}

struct Mapping {
    bool present = false;
    bool is_private = false;
    uint64_t phys = 0;
};
Mapping walk(uint64_t virt);

} // namespace prologue

#pragma GCC visibility pop
