// Numbers of the architecture that the host and its guests meet in. Sources:
// AMD64 APM vol. 2 (section beside each group), SDM vol. 3 where it says so.
#pragma once

#include <stdint.h>

namespace sevhost {

using GuestPhys = uint64_t; // without the C-bit, where not said otherwise
using HostPhys = uint64_t;

// Control registers (3.1)
constexpr uint64_t kCr0Pe = 1u << 0;
constexpr uint64_t kCr0Mp = 1u << 1;
constexpr uint64_t kCr0Ts = 1u << 3;
constexpr uint64_t kCr0Et = 1u << 4;
constexpr uint64_t kCr0Ne = 1u << 5;
constexpr uint64_t kCr0Wp = 1u << 16;
constexpr uint64_t kCr0Nw = 1u << 29;
constexpr uint64_t kCr0Cd = 1u << 30;
constexpr uint64_t kCr0Pg = 1u << 31;
constexpr uint64_t kCr4Pse = 1u << 4;
constexpr uint64_t kCr4Pae = 1u << 5;
constexpr uint64_t kCr4Mce = 1u << 6;
constexpr uint64_t kCr4La57 = 1u << 12;
constexpr uint64_t kCr4Pcide = 1u << 17;
constexpr uint64_t kCr4Osxsave = 1u << 18;
constexpr uint64_t kCr4Pke = 1u << 22;

// EFER (3.1.7)
constexpr uint64_t kEferSce = 1u << 0;
constexpr uint64_t kEferLme = 1u << 8;
constexpr uint64_t kEferLma = 1u << 10;
constexpr uint64_t kEferNxe = 1u << 11;
constexpr uint64_t kEferSvme = 1u << 12;
constexpr uint64_t kEferFfxsr = 1u << 14;

// RFLAGS (3.1.6)
constexpr uint64_t kFlagsFixed = 1u << 1;
constexpr uint64_t kFlagCf = 1u << 0;
constexpr uint64_t kFlagPf = 1u << 2;
constexpr uint64_t kFlagAf = 1u << 4;
constexpr uint64_t kFlagZf = 1u << 6;
constexpr uint64_t kFlagSf = 1u << 7;
constexpr uint64_t kFlagTf = 1u << 8;
constexpr uint64_t kFlagIf = 1u << 9;
constexpr uint64_t kFlagDf = 1u << 10;
constexpr uint64_t kFlagOf = 1u << 11;
constexpr uint64_t kFlagNt = 1u << 14;
constexpr uint64_t kFlagRf = 1u << 16;
constexpr uint64_t kFlagVm = 1u << 17;

// Model-specific registers (appendix A)
constexpr uint32_t kMsrTsc = 0x10;
constexpr uint32_t kMsrPlatformId = 0x17; // Intel's
constexpr uint32_t kMsrPatchLevel = 0x8b;
constexpr uint32_t kMsrEfer = 0xc0000080;
constexpr uint32_t kMsrStar = 0xc0000081;
constexpr uint32_t kMsrLstar = 0xc0000082;
constexpr uint32_t kMsrCstar = 0xc0000083;
constexpr uint32_t kMsrSfmask = 0xc0000084;
constexpr uint32_t kMsrFsBase = 0xc0000100;
constexpr uint32_t kMsrGsBase = 0xc0000101;
constexpr uint32_t kMsrKernelGsBase = 0xc0000102;
constexpr uint32_t kMsrTscAux = 0xc0000103;
constexpr uint32_t kMsrSysenterCs = 0x174;
constexpr uint32_t kMsrSysenterEsp = 0x175;
constexpr uint32_t kMsrSysenterEip = 0x176;
constexpr uint32_t kMsrPat = 0x277;
constexpr uint32_t kMsrIntPending = 0xc0010055;
constexpr uint32_t kMsrDeCfg = 0xc0011029;
constexpr uint32_t kMsrVmCr = 0xc0010114;
constexpr uint32_t kMsrVmHsavePa = 0xc0010117;
constexpr uint32_t kMsrGhcb = 0xc0010130;
constexpr uint32_t kMsrSevStatus = 0xc0010131;

constexpr uint64_t kPatAtReset = 0x0007040600070406; // 7.8.2

// SEV_STATUS (15.34.10)
constexpr uint64_t kSevStatusSev = 1u << 0;
constexpr uint64_t kSevStatusEs = 1u << 1;
constexpr uint64_t kSevStatusSnp = 1u << 2;
constexpr uint64_t kSevStatusRestrictedInjection = 1u << 5;
constexpr uint64_t kSevStatusAlternateInjection = 1u << 6;

// Exceptions (8.2)
constexpr unsigned kVectorDb = 1;
constexpr unsigned kVectorNmi = 2;
constexpr unsigned kVectorUd = 6;
constexpr unsigned kVectorDf = 8;
constexpr unsigned kVectorGp = 13;
constexpr unsigned kVectorPf = 14;
constexpr unsigned kVectorHv = 28;
constexpr unsigned kVectorVc = 29;

// CPUID leaves (APM vol. 3, appendix E)
constexpr uint32_t kCpuidFeatures = 1;
constexpr uint32_t kCpuidStructured = 7;
constexpr uint32_t kCpuidXsave = 0xd;
constexpr uint32_t kCpuidExtendedMax = 0x80000000;
constexpr uint32_t kCpuidExtendedFeatures = 0x80000001;
constexpr uint32_t kCpuidAddressWidths = 0x80000008;
constexpr uint32_t kCpuidSvm = 0x8000000a;
constexpr uint32_t kCpuidMemoryEncryption = 0x8000001f;

constexpr uint64_t kPageBytes = 4096;
constexpr uint64_t kLargePageBytes = 2 << 20;

} // namespace sevhost
