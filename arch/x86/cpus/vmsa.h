// The save area of a processor of an SNP guest (APM vol. 2, table B-4), as its first VMRUN finds it.
#pragma once
#pragma GCC visibility push(hidden)

#include <stddef.h>
#include <stdint.h>

namespace prologue {

struct VmsaSegment {
    uint16_t selector, attributes; // P, DPL, S, type in 7:0; G, D, L, AVL in 11:8
    uint32_t limit;
    uint64_t base;
};

struct Vmsa {
    VmsaSegment es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
    uint8_t shadow_stacks[0xca - 0xa0];
    uint8_t vmpl, cpl;
    uint32_t reserved1;
    uint64_t efer;
    uint8_t reserved2[0x148 - 0xd8];
    uint64_t cr4, cr3, cr0, dr7, dr6, rflags, rip;
    uint8_t reserved3[0x268 - 0x180];
    uint64_t pat;
    uint8_t reserved4[0x2f0 - 0x270];
    uint64_t tsc_scale, tsc_offset; // with Secure TSC
    uint8_t reserved8[0x318 - 0x300];
    uint64_t rbx;
    uint8_t reserved5[0x3b0 - 0x320];
    uint64_t sev_features;
    uint8_t reserved6[0x3e8 - 0x3b8];
    uint64_t xcr0;
    uint8_t reserved7[0x408 - 0x3f0];
    uint32_t mxcsr;
    uint16_t ftw, fsw, fcw;
};
static_assert(offsetof(Vmsa, vmpl) == 0xca && offsetof(Vmsa, efer) == 0xd0 &&
              offsetof(Vmsa, cr4) == 0x148 && offsetof(Vmsa, rip) == 0x178 &&
              offsetof(Vmsa, pat) == 0x268 && offsetof(Vmsa, tsc_scale) == 0x2f0 &&
              offsetof(Vmsa, tsc_offset) == 0x2f8 && offsetof(Vmsa, rbx) == 0x318 &&
              offsetof(Vmsa, sev_features) == 0x3b0 && offsetof(Vmsa, xcr0) == 0x3e8 &&
              offsetof(Vmsa, mxcsr) == 0x408 && offsetof(Vmsa, fcw) == 0x410);

struct VmsaStart {
    uint64_t rip, rbx, cr0, cr3, cr4, efer, pat, sev_status, tsc_scale, tsc_offset;
};

// What the save area, and the host, are told of SEV_STATUS: its bits from SNP's on.
constexpr uint64_t sev_features(uint64_t status) {
    return status >> 2;
}

// 64-bit mode at VMPL 0, without an IDT: an event before there is one is a shutdown.
void fill_in(Vmsa& vmsa, const VmsaStart& start);

} // namespace prologue

#pragma GCC visibility pop
