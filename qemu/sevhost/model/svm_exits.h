// Exit codes that the host itself acts on (APM vol. 2, appendix C).
#pragma once

#include <stdint.h>

namespace sevhost::exit {

constexpr uint64_t kReadCr0 = 0x00;
constexpr uint64_t kReadDr7 = 0x27;
constexpr uint64_t kWriteDr7 = 0x37;
constexpr uint64_t kDb = 0x41;
constexpr uint64_t kUd = 0x46;
constexpr uint64_t kIntr = 0x60;
constexpr uint64_t kNmi = 0x61;
constexpr uint64_t kCr0Selective = 0x65;
constexpr uint64_t kRdtsc = 0x6e;
constexpr uint64_t kRdpmc = 0x6f;
constexpr uint64_t kCpuid = 0x72;
constexpr uint64_t kInvd = 0x76;
constexpr uint64_t kHlt = 0x78;
constexpr uint64_t kInvlpga = 0x7a;
constexpr uint64_t kIoio = 0x7b;
constexpr uint64_t kMsr = 0x7c;
constexpr uint64_t kShutdown = 0x7f;
constexpr uint64_t kVmrun = 0x80;
constexpr uint64_t kVmmcall = 0x81;
constexpr uint64_t kVmload = 0x82;
constexpr uint64_t kVmsave = 0x83;
constexpr uint64_t kStgi = 0x84;
constexpr uint64_t kClgi = 0x85;
constexpr uint64_t kSkinit = 0x86;
constexpr uint64_t kRdtscp = 0x87;
constexpr uint64_t kWbinvd = 0x89;
constexpr uint64_t kMonitor = 0x8a;
constexpr uint64_t kMwait = 0x8b;
constexpr uint64_t kMwaitArmed = 0x8c;
constexpr uint64_t kXsetbv = 0x8d;
constexpr uint64_t kRdpru = 0x8e;
constexpr uint64_t kNestedFault = 0x400;
constexpr uint64_t kNotValidated = 0x404; // an error code of #VC only
constexpr uint64_t kInvalid = 0xffffffff; // TCG stores 32 bits of -1

} // namespace sevhost::exit
