// The guest-hypervisor communication block (AMD 56421): the page, whose fields exist
// only where the valid bitmap says so, and its events.
#pragma once

#include <stdint.h>

namespace sevhost {

constexpr unsigned kGhcbVersionMin = 1;
constexpr unsigned kGhcbVersionMax = 2;

// Hypervisor features (4.1.15)
constexpr uint64_t kFeatureSnp = 1 << 0;
constexpr uint64_t kFeatureApCreation = 1 << 1;
constexpr uint64_t kFeatureRestrictedInjection = 1 << 2;

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
constexpr uint64_t kHvDoorbell = 0x80000014;
constexpr uint64_t kApicIds = 0x80000017;
constexpr uint64_t kFeatures = 0x8000fffd;
constexpr uint64_t kTerminate = 0x8000fffe;
constexpr uint64_t kUnsupported = 0x8000ffff;
constexpr uint64_t kFirstOfVersion2 = kPageStateChange;
} // namespace nae

// What SW_EXITINFO1 says on return, bits 31:0, and SW_EXITINFO2 beside it (4.1)
constexpr uint64_t kGhcbDone = 0;
constexpr uint64_t kGhcbException = 1;
constexpr uint64_t kGhcbMalformed = 2;
enum class Malformed : uint64_t {
    nothing = 0, // it is well formed
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

// A page of shared memory: what is read of it is read once.
class GhcbPage {
public:
    explicit GhcbPage(uint8_t* page) : page_(page) {}

    bool valid(unsigned offset) const {
        const unsigned bit = offset / 8;
        return page_[ghcb_at::kValidBitmap + bit / 8] >> bit % 8 & 1;
    }
    uint64_t get(unsigned offset) const { return read<uint64_t>(offset); }
    void set(unsigned offset, uint64_t value) {
        __builtin_memcpy(page_ + offset, &value, sizeof value);
        const unsigned bit = offset / 8;
        page_[ghcb_at::kValidBitmap + bit / 8] |= static_cast<uint8_t>(1u << bit % 8);
    }
    void invalidate_all() { __builtin_memset(page_ + ghcb_at::kValidBitmap, 0, kValidBitmapBytes); }
    uint8_t cpl() const { return page_[ghcb_at::kCpl]; }
    uint16_t version() const { return read<uint16_t>(ghcb_at::kVersion); }
    uint32_t usage() const { return read<uint32_t>(ghcb_at::kUsage); }
    uint8_t* bytes() const { return page_; }

private:
    template <typename T>
    T read(unsigned offset) const {
        T value;
        __builtin_memcpy(&value, page_ + offset, sizeof value);
        return value;
    }

    uint8_t* page_;
};

} // namespace sevhost
