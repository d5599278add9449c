#include "ghcb_msr_protocol.h"

namespace sevhost {
namespace {

using namespace ghcb_msr;

// Bits that are zero in a request.
constexpr struct {
    uint64_t code;
    uint64_t zero;
    bool snp;
} kRequests[] = {
    {kSevInfoRequest, ~kCodeMask, false},
    {kCpuidRequest, 0x3ffff000, false},
    {kApResetHoldRequest, ~kCodeMask, false},
    {kFeaturesRequest, ~kCodeMask, false},
    {kTerminate, 0xffffffffff000000, false},
    {kPreferredRequest, ~kCodeMask, true},
    {kRegisterRequest, 0, true},
    {kPageStateRequest, 0xff00000000000000, true},
    {kRunVmplRequest, 0xffffff00fffff000, true},
};

WrongMsrRequest what_is_wrong(uint64_t value, bool snp) {
    for (const auto& known : kRequests) {
        if (known.code != (value & kCodeMask))
            continue;
        if (known.snp && !snp)
            return WrongMsrRequest::of_snp;
        return value & known.zero ? WrongMsrRequest::reserved_bits : WrongMsrRequest::nothing;
    }
    return WrongMsrRequest::unknown;
}

} // namespace

GhcbMsrRequest parse_ghcb_msr(uint64_t value, bool snp) {
    GhcbMsrRequest request;
    request.code = value & kCodeMask;
    request.wrong = what_is_wrong(value, snp);
    switch (request.code) {
    case kCpuidRequest:
        request.leaf = static_cast<uint32_t>(value >> kUpperShift);
        request.cpuid_register = value >> kCpuidRegisterShift & 3;
        break;
    case kRegisterRequest:
        request.frame = value & ~kCodeMask;
        break;
    case kPageStateRequest:
        request.frame = value & kFrameMask;
        request.operation = value >> kPageOperationShift & 0xf;
        break;
    case kRunVmplRequest:
        request.vmpl = value >> kUpperShift & 0xff;
        break;
    case kTerminate:
        request.set = value >> kTerminateSetShift & 0xf;
        request.reason = value >> kTerminateCodeShift & 0xff;
        break;
    }
    return request;
}

const char* text(WrongMsrRequest wrong) {
    switch (wrong) {
    case WrongMsrRequest::nothing:
        break;
    case WrongMsrRequest::unknown:
        return "no request that there is";
    case WrongMsrRequest::of_snp:
        return "a request of SNP guests";
    case WrongMsrRequest::reserved_bits:
        return "bits that are zero in this request are set";
    }
    return "nothing is wrong";
}

} // namespace sevhost
