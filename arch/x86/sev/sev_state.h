// What an SEV guest knows of itself: one structure, filled in 32-bit mode before
// there are tables, then in 64-bit mode. All zero in any other guest.
#pragma once

// Offsets that assembly needs.
#define SEV_STATUS 0
#define SEV_C_BIT_MASK 8
#define SEV_FEATURES 16
#define SEV_CR3 20
#define SEV_CR4 24
#define SEV_UNKNOWN 28
#define SEV_STATE_BYTES 136

#include "sev_bits.h"

#ifndef __ASSEMBLER__
#pragma GCC visibility push(hidden)

#include <stddef.h>
#include <stdint.h>

namespace prologue {

// What each processor has of its own, at 8 bytes' alignment in 32-bit mode too.
struct SevCpu {
    uint64_t ghcb_phys;
    uint64_t ghcb_virtual; // 0: the boot processor's, wherever the image is now
    uint64_t dr7;          // as last written; asking the host would be believing it
    uint64_t busy;         // the GHCB page is in use
};

struct SevState {
    uint64_t status; // SEV_STATUS
    uint64_t c_bit_mask;

    // What the switch to 64-bit mode needs.
    uint32_t features; // CPUID 80000001 EDX
    uint32_t cr3, cr4; // without the C-bit, which 32-bit mode cannot write

    uint32_t unknown;        // 64-bit mode, before SEV_STATUS is: nothing may be said
    uint32_t version;        // of the GHCB protocol
    uint32_t page_stands;    // the GHCB page may be used
    uint32_t processors;     // more than one: MSR CSTAR says which SevCpu is whose
    uint32_t coherent;       // no cache line of a page outlives its change of hands
    uint32_t large_refusals; // of PVALIDATE, in a row
    uint32_t kernel_has_tables;
    uint64_t own_phys;        // where this structure lies
    uint64_t cpuid_page_phys; // 0: there is none
    uint64_t secrets_page_phys;
    uint64_t tables_window; // virtual address of physical 0 in the kernel's tables
    uint64_t kernel_offset; // virtual address of this image's physical 0 there
    uint64_t accepted_end;
    SevCpu boot; // the boot processor's

    bool es() const { return (status & SEV_STATUS_ES) != 0; }
    bool snp() const { return (status & SEV_STATUS_SNP) != 0; }
};
static_assert(offsetof(SevState, status) == SEV_STATUS &&
              offsetof(SevState, c_bit_mask) == SEV_C_BIT_MASK &&
              offsetof(SevState, features) == SEV_FEATURES && offsetof(SevState, cr3) == SEV_CR3 &&
              offsetof(SevState, cr4) == SEV_CR4 && offsetof(SevState, unknown) == SEV_UNKNOWN);
static_assert(sizeof(SevState) == SEV_STATE_BYTES);

extern "C" SevState prologue_sev_state;

} // namespace prologue

#pragma GCC visibility pop
#endif
