// The GHCB from the guest's side (AMD 56421): MSR protocol and page.
#pragma once

#include "../../../arch/x86/cpu/cpu.h"
#include "guest.h"

constexpr uint32_t kMsrGhcb = 0xc0010130;
constexpr uint32_t kMsrSevStatus = 0xc0010131;
constexpr uint64_t kSevStatusSev = 1, kSevStatusEs = 2, kSevStatusSnp = 4;

using prologue::read_msr;
using prologue::write_msr;
inline void vmgexit() {
    asm volatile("rep; vmmcall" : : : "memory");
}

// One request by the MSR protocol.
inline uint64_t ask_by_msr(uint64_t request) {
    write_msr(kMsrGhcb, request);
    vmgexit();
    return read_msr(kMsrGhcb);
}

constexpr uint64_t kGhcbCode = 0xfff;
constexpr uint64_t kGhcbTerminate = 0x100;
