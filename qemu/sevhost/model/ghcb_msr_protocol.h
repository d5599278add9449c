// The GHCB MSR's protocol (AMD 56421, 2.3.1): requests taken apart, responses put
// together.
#pragma once

#include <stdint.h>

#include "arch.h"

namespace sevhost {

// Codes, bits 11:0; without one of them the MSR holds a page's address.
namespace ghcb_msr {
constexpr uint64_t kCodeMask = 0xfff;
constexpr uint64_t kSevInfo = 0x001;
constexpr uint64_t kSevInfoRequest = 0x002;
constexpr uint64_t kCpuidRequest = 0x004;
constexpr uint64_t kCpuidResponse = 0x005;
constexpr uint64_t kApResetHoldRequest = 0x006;
constexpr uint64_t kApResetHoldResponse = 0x007;
constexpr uint64_t kPreferredRequest = 0x010;
constexpr uint64_t kPreferredResponse = 0x011;
constexpr uint64_t kRegisterRequest = 0x012;
constexpr uint64_t kRegisterResponse = 0x013;
constexpr uint64_t kPageStateRequest = 0x014;
constexpr uint64_t kPageStateResponse = 0x015;
constexpr uint64_t kRunVmplRequest = 0x016;
constexpr uint64_t kRunVmplResponse = 0x017;
constexpr uint64_t kFeaturesRequest = 0x080;
constexpr uint64_t kFeaturesResponse = 0x081;
constexpr uint64_t kTerminate = 0x100;

constexpr unsigned kVersionMaxShift = 48;
constexpr unsigned kVersionMinShift = 32;
constexpr unsigned kCBitShift = 24;
constexpr unsigned kCpuidRegisterShift = 30;
constexpr unsigned kUpperShift = 32;
constexpr uint64_t kFrameMask = 0x000ffffffffff000; // a page number, as an address
constexpr uint64_t kNoFrame = ~kCodeMask;           // none is preferred, or the one is refused
constexpr unsigned kPageOperationShift = 52;
constexpr unsigned kFeaturesShift = 12;
constexpr unsigned kHoldShift = 12;
constexpr unsigned kTerminateSetShift = 12;
constexpr unsigned kTerminateCodeShift = 16;
} // namespace ghcb_msr

// What is wrong with a request by the document; what a host makes of it is the host's.
enum class WrongMsrRequest : uint8_t { nothing, unknown, of_snp, reserved_bits };
const char* text(WrongMsrRequest wrong);

struct GhcbMsrRequest {
    uint64_t code = 0;
    WrongMsrRequest wrong = WrongMsrRequest::nothing;
    uint32_t leaf = 0;           // CPUID
    unsigned cpuid_register = 0; // 0 EAX, 1 EBX, 2 ECX, 3 EDX
    GuestPhys frame = 0;         // registration, page state change
    unsigned operation = 0;      // page state change
    unsigned vmpl = 0;
    unsigned set = 0, reason = 0; // termination
};

// `snp`: the requests that are SNP's are no request of another machine.
GhcbMsrRequest parse_ghcb_msr(uint64_t value, bool snp);

constexpr uint64_t sev_information(unsigned version_max, unsigned version_min, unsigned c_bit) {
    return uint64_t{version_max} << ghcb_msr::kVersionMaxShift |
           uint64_t{version_min} << ghcb_msr::kVersionMinShift |
           uint64_t{c_bit} << ghcb_msr::kCBitShift | ghcb_msr::kSevInfo;
}
constexpr uint64_t cpuid_response(uint32_t value, unsigned which) {
    return uint64_t{value} << ghcb_msr::kUpperShift |
           uint64_t{which} << ghcb_msr::kCpuidRegisterShift | ghcb_msr::kCpuidResponse;
}
// 0: it was no SIPI that ended it.
constexpr uint64_t hold_response(uint64_t sipi) {
    return sipi << ghcb_msr::kHoldShift | ghcb_msr::kApResetHoldResponse;
}
constexpr uint64_t error_response(uint64_t code, uint32_t error) { // 0 is success
    return uint64_t{error} << ghcb_msr::kUpperShift | code;
}
constexpr uint64_t features_response(uint64_t features) {
    return features << ghcb_msr::kFeaturesShift | ghcb_msr::kFeaturesResponse;
}

} // namespace sevhost
