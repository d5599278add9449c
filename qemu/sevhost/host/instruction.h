// The instructions that the host itself executes or skips: TCG neither saves the
// next RIP nor decodes for the host (sections 15.7.1 and 15.33 of the manual).
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
};

struct Instruction {
    Op op = Op::unknown;
    unsigned length = 0;
    unsigned control_register = 0; // of MOV
    unsigned gpr = 0;              // of MOV and LMSW
};

// `long_mode`: CS.L is set, so 0x40 to 0x4f are REX prefixes.
Instruction decode(const uint8_t* bytes, unsigned count, bool long_mode);

} // namespace sevhost
