#include "doorbell.h"

#include "diagnosis.h"
#include "ghcb.h"
#include "machine.h"
#include "vmcb.h"

namespace sevhost {
namespace {

// SW_EXITINFO1 of the request (56421, 4.1; Hyper-V: SVM_NAE_HV_DOORBELL_PAGE_*)
constexpr uint64_t kGetPreferred = 0, kSet = 1, kQuery = 2, kClear = 3;

// The page's first word: what has come, and whether the guest wants to hear of more.
constexpr unsigned kVectorMask = 0xff;
constexpr unsigned kNoFurtherSignal = 1 << 15;

// The first PIC (8259A)
constexpr uint16_t kPic = 0x20, kPicMask = 0x21;
constexpr uint8_t kPicReadRequests = 0x0a, kPicPoll = 0x0c, kPicBegin = 0x10;
constexpr uint8_t kPicPolled = 0x80, kPicLine = 7;

uint8_t first_vector;
bool vector_follows; // ICW2 behind ICW1
bool refused;

bool is_due() {
    out8(kPic, kPicReadRequests);
    return (in8(kPic) & ~in8(kPicMask)) != 0;
}

} // namespace

bool may_inject(const Guest& guest, unsigned vector) {
    if (guest.settings.injection != Injection::restricted || vector == kVectorHv)
        return true;
    if (!refused)
        say("sevhost: the processor runs no guest with restricted injection and vector ",
            decimal(vector), " injected (APM vol. 2, 15.36.16)\n");
    refused = true;
    return false;
}

bool injection_was_refused() {
    const bool was = refused;
    refused = false;
    return was;
}

bool serve_doorbell(Guest& guest, uint64_t operation, uint64_t& address) {
    switch (operation) {
    case kGetPreferred:
        address = Guest::kNoDoorbell;
        return true;
    case kSet:
        if (address % kPageBytes != 0 ||
            guest.memory.at(address, kPageBytes, Backing::shared) == nullptr)
            return false;
        guest.doorbell = address;
        return true;
    case kQuery:
        address = guest.doorbell;
        return true;
    case kClear:
        guest.doorbell = Guest::kNoDoorbell;
        return true;
    }
    return false;
}

uint64_t hypervisor_features(const Guest& guest) {
    const bool restricted = guest.settings.injection == Injection::restricted;
    return guest.profile.features | (restricted ? kFeatureRestrictedInjection : 0);
}

void ring_doorbell(Guest& guest) {
    if (guest.doorbell == Guest::kNoDoorbell ||
        (guest.vmcb->control.event_injection & kEventValid) != 0)
        return;
    uint8_t* const page = guest.memory.at(guest.doorbell, kPageBytes, Backing::shared);
    uint16_t pending;
    __builtin_memcpy(&pending, page, sizeof pending);
    if ((pending & (kVectorMask | kNoFurtherSignal)) != 0 || !is_due())
        return;
    out8(kPic, kPicPoll);
    const uint8_t polled = in8(kPic);
    if ((polled & kPicPolled) == 0)
        return;
    pending = static_cast<uint16_t>(pending | (first_vector + (polled & kPicLine)));
    __builtin_memcpy(page, &pending, sizeof pending);
    guest.vmcb->control.event_injection = kEventValid | kEventException | kVectorHv;
}

void wait_for_interrupt(Guest& guest) {
    if (guest.doorbell == Guest::kNoDoorbell)
        finish(guest, Outcome::halted, "the guest halted, and has no page to be told by");
    while (!is_due())
        asm volatile("pause");
}

void note_controller(uint16_t port, uint32_t value) {
    if (port == kPic && (value & kPicBegin) != 0)
        vector_follows = true;
    if (port != kPicMask || !vector_follows)
        return;
    first_vector = static_cast<uint8_t>(value);
    vector_follows = false;
}

} // namespace sevhost
