#include "ghcb_request.h"

#include "svm_exits.h"
#include "vmcb.h"

namespace sevhost {
namespace {

// Fields that an event needs, of those that the bitmap can leave out.
enum Field : unsigned {
    kNeedsNothing = 0,
    kNeedsRax = 1 << 0,
    kNeedsRcx = 1 << 1,
    kNeedsRdx = 1 << 2,
    kNeedsXcr0 = 1 << 3,
    kNeedsCpl = 1 << 4,
    kNeedsScratch = 1 << 5,
};

constexpr struct {
    unsigned field;
    unsigned offset;
} kOffsets[] = {
    {kNeedsRax, ghcb_at::kRax},   {kNeedsRcx, ghcb_at::kRcx}, {kNeedsRdx, ghcb_at::kRdx},
    {kNeedsXcr0, ghcb_at::kXcr0}, {kNeedsCpl, ghcb_at::kCpl}, {kNeedsScratch, ghcb_at::kScratch},
};

constexpr uint64_t kMsrWrite = 1;
constexpr uint64_t kApDestroy = 2;
constexpr uint64_t kJumpTableGet = 1;
constexpr uint64_t kMostPortStringBytes = 16 << 10; // no more at a time, whatever the scratch

// The table of 4.1: what each event takes from the guest.
unsigned needs(const GhcbRequest& r) {
    switch (r.code) {
    case exit::kWriteDr7:
        return kNeedsRax;
    case exit::kRdpmc:
        return kNeedsRcx;
    case exit::kCpuid:
        return kNeedsRax | kNeedsRcx | (r.rax == kCpuidXsave ? kNeedsXcr0 : kNeedsNothing);
    case exit::kIoio:
        return r.info1 & kIoString ? kNeedsScratch : r.info1 & kIoIn ? kNeedsNothing : kNeedsRax;
    case exit::kMsr:
        return kNeedsRcx | (r.info1 == kMsrWrite ? kNeedsRax | kNeedsRdx : kNeedsNothing);
    case exit::kVmmcall:
        return kNeedsRax | kNeedsCpl;
    case exit::kMonitor:
        return kNeedsRax | kNeedsRcx | kNeedsRdx;
    case exit::kMwait:
        return kNeedsRax | kNeedsRcx;
    case nae::kMmioRead:
    case nae::kMmioWrite:
    case nae::kPageStateChange:
        return kNeedsScratch;
    case nae::kApCreation:
        return static_cast<uint32_t>(r.info1) == kApDestroy ? kNeedsNothing : kNeedsRax;
    }
    return kNeedsNothing;
}

bool is_known(uint64_t code) {
    switch (code) {
    case exit::kReadDr7:
    case exit::kWriteDr7:
    case exit::kRdtsc:
    case exit::kRdpmc:
    case exit::kCpuid:
    case exit::kInvd:
    case exit::kIoio:
    case exit::kMsr:
    case exit::kVmmcall:
    case exit::kRdtscp:
    case exit::kWbinvd:
    case exit::kMonitor:
    case exit::kMwait:
    case nae::kMmioRead:
    case nae::kMmioWrite:
    case nae::kNmiComplete:
    case nae::kApResetHold:
    case nae::kApJumpTable:
    case nae::kPageStateChange:
    case nae::kGuestRequest:
    case nae::kExtendedGuestRequest:
    case nae::kApCreation:
    case nae::kHvDoorbell:
    case nae::kFeatures:
    case nae::kTerminate:
    case nae::kUnsupported:
        return true;
    }
    return false;
}

bool valid_port(const GhcbRequest& r) {
    constexpr uint64_t kReserved = 1 << 1 | 7 << 13 | ~uint64_t{0xffffffff};
    const uint64_t bytes = r.info1 >> kIoBytesShift & 7;
    const uint64_t address = r.info1 >> kIoAddressShift & 7;
    auto is_one_hot = [](uint64_t bits) { return bits == 1 || bits == 2 || bits == 4; };
    if ((r.info1 & kReserved) || !is_one_hot(bytes))
        return false;
    if (!(r.info1 & kIoString))
        return true;
    return is_one_hot(address) && port_request(r).count <= kMostPortStringBytes / bytes;
}

bool valid_input(const GhcbRequest& r) {
    switch (r.code) {
    case exit::kIoio:
        return valid_port(r);
    case exit::kMsr:
        return r.info1 <= kMsrWrite;
    case nae::kMmioRead:
    case nae::kMmioWrite:
        return r.info2 != 0 && r.info2 <= ghcb_at::kSharedBufferEnd - ghcb_at::kSharedBuffer;
    case nae::kApJumpTable:
        return r.info1 <= kJumpTableGet;
    case nae::kGuestRequest:
    case nae::kExtendedGuestRequest:
        return r.info1 % kPageBytes == 0 && r.info2 % kPageBytes == 0 && r.info1 != r.info2;
    }
    return true;
}

} // namespace

Malformed read_ghcb_request(const GhcbPage& page, GhcbRequest& r) {
    auto get = [&](unsigned offset) { return page.valid(offset) ? page.get(offset) : 0; };
    r.version = page.version();
    r.code = page.get(ghcb_at::kExitCode);
    r.info1 = get(ghcb_at::kExitInfo1);
    r.info2 = get(ghcb_at::kExitInfo2);
    r.rax = get(ghcb_at::kRax);
    r.rcx = get(ghcb_at::kRcx);
    r.rdx = get(ghcb_at::kRdx);
    r.rbx = get(ghcb_at::kRbx);
    r.xcr0 = get(ghcb_at::kXcr0);
    r.scratch = get(ghcb_at::kScratch);
    r.has_scratch = page.valid(ghcb_at::kScratch);
    r.cpl = page.valid(ghcb_at::kCpl) ? page.cpl() : 0;
    if (page.usage() != 0)
        return Malformed::usage;
    if (!page.valid(ghcb_at::kExitCode) || !page.valid(ghcb_at::kExitInfo1) ||
        !page.valid(ghcb_at::kExitInfo2))
        return Malformed::missing_input;
    if (!is_known(r.code))
        return Malformed::invalid_event;
    const unsigned needed = needs(r);
    for (const auto& known : kOffsets)
        if ((needed & known.field) && !page.valid(known.offset))
            return known.field == kNeedsScratch ? Malformed::scratch : Malformed::missing_input;
    return valid_input(r) ? Malformed::nothing : Malformed::invalid_input;
}

bool is_of_version(const GhcbRequest& r) {
    if (r.version < kGhcbVersionMin || r.version > kGhcbVersionMax)
        return false;
    return r.version != kGhcbVersionMin || r.code < nae::kFirstOfVersion2 ||
           r.code == nae::kUnsupported;
}

PortRequest port_request(const GhcbRequest& r) {
    return {static_cast<uint16_t>(r.info1 >> kIoPortShift),
            static_cast<unsigned>(r.info1 >> kIoBytesShift & 7), (r.info1 & kIoIn) != 0,
            (r.info1 & kIoString) != 0, r.info1 & kIoRep ? r.info2 : 1};
}

ScratchPlace scratch_place(const GhcbRequest& r, GuestPhys page, uint64_t bytes) {
    if (!r.has_scratch)
        return ScratchPlace::missing;
    if (r.scratch + bytes < r.scratch)
        return ScratchPlace::misplaced;
    if (r.scratch + bytes <= page || r.scratch >= page + kPageBytes)
        return ScratchPlace::elsewhere;
    const bool fits = r.scratch >= page + ghcb_at::kSharedBuffer &&
                      r.scratch + bytes <= page + ghcb_at::kSharedBufferEnd;
    return fits ? ScratchPlace::inside : ScratchPlace::misplaced;
}

const char* malformed_text(Malformed why) {
    switch (why) {
    case Malformed::nothing:
        break;
    case Malformed::not_registered:
        return "the GHCB's address is not registered (56421, 2.3.2)";
    case Malformed::usage:
        return "a usage that is not 0 (56421, 2.6)";
    case Malformed::scratch:
        return "SW_SCRATCH points to nothing that may be used (56421, 4.1)";
    case Malformed::missing_input:
        return "a field that the event needs is not marked valid (56421, 4.1)";
    case Malformed::invalid_input:
        return "a field holds what the event does not allow (56421, 4.1)";
    case Malformed::invalid_event:
        return "no event of this machine (56421, 4.1)";
    }
    return "well formed";
}

} // namespace sevhost
