// The virtual machine control block (APM vol. 2, appendix B) and what VMRUN and
// #VMEXIT mean by its fields (15.5 to 15.20).
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "arch.h"

namespace sevhost {

struct VmcbSegment {
    uint16_t selector;
    uint16_t attributes; // bits 7:0 of the descriptor's second word, then its bits 15:12
    uint32_t limit;
    uint64_t base;
};
static_assert(sizeof(VmcbSegment) == 16);

// Segment attributes as the VMCB packs them (15.5.1)
constexpr uint16_t kSegmentPresent = 1 << 7;
constexpr uint16_t kSegmentUser = 1 << 4; // S: code or data
constexpr uint16_t kSegmentCode = 1 << 3;
constexpr uint16_t kSegmentLong = 1 << 9;
constexpr uint16_t kSegmentBig = 1 << 10;
constexpr uint16_t kSegmentPages = 1 << 11;
constexpr unsigned kSegmentDplShift = 5;

struct VmcbControl {
    uint16_t cr_reads;
    uint16_t cr_writes;
    uint16_t dr_reads;
    uint16_t dr_writes;
    uint32_t exceptions;
    uint32_t misc1; // exit codes 0x60 to 0x7f
    uint32_t misc2; // exit codes 0x80 to 0x9f
    uint8_t reserved1[44];
    uint64_t iopm;
    uint64_t msrpm;
    uint64_t tsc_offset;
    uint32_t asid;
    uint8_t tlb_control;
    uint8_t reserved2[3];
    uint64_t virtual_interrupt;
    uint64_t interrupt_shadow;
    uint64_t exit_code;
    uint64_t exit_info1;
    uint64_t exit_info2;
    uint64_t exit_interrupt;
    uint64_t nested_enable;
    uint8_t reserved3[16];
    uint64_t event_injection;
    uint64_t nested_cr3;
    uint8_t reserved4[840];
};

struct VmcbSave {
    VmcbSegment es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
    uint8_t reserved1[43];
    uint8_t cpl;
    uint8_t reserved2[4];
    uint64_t efer;
    uint8_t reserved3[112];
    uint64_t cr4, cr3, cr0, dr7, dr6, rflags, rip;
    uint8_t reserved4[88];
    uint64_t rsp;
    uint8_t reserved5[24];
    uint64_t rax, star, lstar, cstar, sfmask, kernel_gs_base;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip, cr2;
    uint8_t reserved6[32];
    uint64_t pat;
    uint8_t reserved7[2448];
};

struct alignas(kPageBytes) Vmcb {
    VmcbControl control;
    VmcbSave save;
};
static_assert(sizeof(Vmcb) == kPageBytes);
static_assert(offsetof(VmcbControl, iopm) == 0x40);
static_assert(offsetof(VmcbControl, asid) == 0x58);
static_assert(offsetof(VmcbControl, exit_code) == 0x70);
static_assert(offsetof(VmcbControl, nested_enable) == 0x90);
static_assert(offsetof(VmcbControl, event_injection) == 0xa8);
static_assert(offsetof(VmcbControl, nested_cr3) == 0xb0);
static_assert(offsetof(Vmcb, save) == 0x400);
static_assert(offsetof(VmcbSave, cpl) == 0xcb);
static_assert(offsetof(VmcbSave, efer) == 0xd0);
static_assert(offsetof(VmcbSave, cr4) == 0x148);
static_assert(offsetof(VmcbSave, rip) == 0x178);
static_assert(offsetof(VmcbSave, rsp) == 0x1d8);
static_assert(offsetof(VmcbSave, rax) == 0x1f8);
static_assert(offsetof(VmcbSave, cr2) == 0x240);
static_assert(offsetof(VmcbSave, pat) == 0x268);

// The permission maps (15.10.1, 15.11)
constexpr uint64_t kIopmBytes = 3 * kPageBytes;
constexpr uint64_t kMsrpmBytes = 2 * kPageBytes;

constexpr uint8_t kTlbFlushAll = 1;
constexpr uint64_t kNestedPaging = 1;

constexpr uint64_t kMasksInterrupts = uint64_t{1} << 24; // V_INTR_MASKING (15.21.1)

// Event injection, and what was being delivered at an exit (15.20)
constexpr uint64_t kEventValid = 1u << 31;
constexpr uint64_t kEventHasErrorCode = 1u << 11;
constexpr uint64_t kEventException = 3u << 8;
constexpr uint64_t kEventNmi = 2u << 8;
constexpr unsigned kEventErrorCodeShift = 32;

// IOIO's EXITINFO1 (15.10.2), and the GHCB's SW_EXITINFO1 for it
constexpr uint64_t kIoIn = 1u << 0;
constexpr uint64_t kIoString = 1u << 2;
constexpr uint64_t kIoRep = 1u << 3;
constexpr unsigned kIoBytesShift = 4;
constexpr unsigned kIoAddressShift = 7;
constexpr unsigned kIoPortShift = 16;

// A nested page fault's EXITINFO1 (15.25.6)
constexpr uint64_t kNestedFaultPresent = 1u << 0;
constexpr uint64_t kNestedFaultWrite = 1u << 1;
constexpr uint64_t kNestedFaultFetch = 1u << 4;
constexpr uint64_t kNestedFaultOnTables = uint64_t{1} << 33;

} // namespace sevhost
