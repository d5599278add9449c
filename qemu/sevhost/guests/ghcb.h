// The GHCB from the guest's side (AMD 56421): MSR protocol and page.
#pragma once

#include "guest.h"

constexpr uint32_t kMsrGhcb = 0xc0010130;
constexpr uint32_t kMsrSevStatus = 0xc0010131;
constexpr uint64_t kSevStatusSev = 1, kSevStatusEs = 2, kSevStatusSnp = 4;

inline uint64_t read_msr(uint32_t number) {
    uint32_t low, high;
    asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(number));
    return uint64_t{high} << 32 | low;
}
inline void write_msr(uint32_t number, uint64_t value) {
    asm volatile("wrmsr"
                 :
                 : "c"(number), "a"(static_cast<uint32_t>(value)),
                   "d"(static_cast<uint32_t>(value >> 32)));
}
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
