// The guest-hypervisor communication block (AMD 56421): the MSR protocol's codes,
// and the page, whose fields exist only where the valid bitmap says so.
#pragma once

#include <stdint.h>
#include <string.h>

namespace sevhost {

// Codes of the GHCB MSR, bits 11:0 (2.3.1); without one of them it is a page's address.
namespace ghcb_msr {
constexpr uint64_t kCodeMask = 0xfff;
constexpr uint64_t kSevInfo = 0x001;
constexpr uint64_t kSevInfoRequest = 0x002;
constexpr uint64_t kCpuidRequest = 0x004;
constexpr uint64_t kCpuidResponse = 0x005;
constexpr uint64_t kApResetHoldRequest = 0x006;
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
constexpr uint64_t kCpuidReserved = 0x3ffff000;
constexpr unsigned kUpperShift = 32;
constexpr uint64_t kNone = ~kCodeMask; // no GHCB address is preferred
constexpr uint64_t kFrameMask = 0x000ffffffffff000; // a page number, as an address
constexpr unsigned kPageOperationShift = 52;
constexpr uint64_t kPageOperationMask = 0xf;
constexpr unsigned kFeaturesShift = 12;
constexpr unsigned kTerminateSetShift = 12;
constexpr unsigned kTerminateCodeShift = 16;
} // namespace ghcb_msr

constexpr unsigned kGhcbVersionMin = 1;
constexpr unsigned kGhcbVersionMax = 2;

// Hypervisor features (4.1.15)
constexpr uint64_t kFeatureSnp = 1 << 0;

// The non-automatic events that are no exit codes (4.1)
namespace nae {
constexpr uint64_t kMmioRead = 0x80000001;
constexpr uint64_t kMmioWrite = 0x80000002;
constexpr uint64_t kNmiComplete = 0x80000003;
constexpr uint64_t kApResetHold = 0x80000004;
constexpr uint64_t kApJumpTable = 0x80000005;
constexpr uint64_t kPageStateChange = 0x80000010;
constexpr uint64_t kGuestRequest = 0x80000011;
constexpr uint64_t kExtendedGuestRequest = 0x80000012;
constexpr uint64_t kApCreation = 0x80000013;
constexpr uint64_t kApicIds = 0x80000017;
constexpr uint64_t kFeatures = 0x8000fffd;
constexpr uint64_t kUnsupported = 0x8000ffff;
} // namespace nae

// What SW_EXITINFO1 says on return, bits 31:0, and SW_EXITINFO2 beside it (4.1)
constexpr uint64_t kGhcbDone = 0;
constexpr uint64_t kGhcbException = 1;
constexpr uint64_t kGhcbMalformed = 2;
enum class Malformed : uint64_t {
    not_registered = 1,
    usage = 2,
    scratch = 3,
    missing_input = 4,
    invalid_input = 5,
    invalid_event = 6,
};

// Offsets in the page (2.6)
namespace ghcb_at {
constexpr unsigned kCpl = 0x0cb;
constexpr unsigned kRax = 0x1f8;
constexpr unsigned kRcx = 0x308;
constexpr unsigned kRdx = 0x310;
constexpr unsigned kRbx = 0x318;
constexpr unsigned kExitCode = 0x390;
constexpr unsigned kExitInfo1 = 0x398;
constexpr unsigned kExitInfo2 = 0x3a0;
constexpr unsigned kScratch = 0x3a8;
constexpr unsigned kXcr0 = 0x3e8;
constexpr unsigned kValidBitmap = 0x3f0;
constexpr unsigned kSharedBuffer = 0x800;
constexpr unsigned kSharedBufferEnd = 0xff0;
constexpr unsigned kVersion = 0xffa;
constexpr unsigned kUsage = 0xffc;
} // namespace ghcb_at

constexpr unsigned kValidBitmapBytes = 16;

// A view of the page in shared memory. What is read is read once by its user, and kept.
class GhcbPage {
public:
    explicit GhcbPage(uint8_t* page) : page_(page) {}

    bool valid(unsigned offset) const {
        const unsigned bit = offset / 8;
        return page_[ghcb_at::kValidBitmap + bit / 8] >> bit % 8 & 1;
    }
    uint64_t get(unsigned offset) const { return read<uint64_t>(offset); }
    void set(unsigned offset, uint64_t value) {
        memcpy(page_ + offset, &value, sizeof value);
        const unsigned bit = offset / 8;
        page_[ghcb_at::kValidBitmap + bit / 8] |= static_cast<uint8_t>(1u << bit % 8);
    }
    void invalidate_all() { memset(page_ + ghcb_at::kValidBitmap, 0, kValidBitmapBytes); }
    uint16_t version() const { return read<uint16_t>(ghcb_at::kVersion); }
    uint32_t usage() const { return read<uint32_t>(ghcb_at::kUsage); }
    uint8_t* bytes() const { return page_; }

private:
    template <typename T>
    T read(unsigned offset) const {
        T value;
        memcpy(&value, page_ + offset, sizeof value);
        return value;
    }

    uint8_t* page_;
};

} // namespace sevhost
