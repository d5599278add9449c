// KVM before Linux 5.16: what it did not know, or found malformed, ended the VM (ad5b353240c8, "Do
// not terminate SEV-ES guests on GHCB validation failure"). It had no SNP guests.
#include "diagnosis.h"
#include "ghcb_msr_protocol.h"
#include "ghcb_request.h"
#include "hostile.h"
#include "svm_exits.h"

namespace sevhost {
namespace {

using namespace ghcb_msr;

bool is_by_page(const Guest& guest) {
    return (guest.ghcb_msr & kCodeMask) == 0;
}

bool ends_on_unknown(Guest& guest) {
    hostile_acted(guest);
    if (is_by_page(guest))
        return false;
    switch (guest.ghcb_msr & kCodeMask) {
    case kSevInfoRequest:
    case kCpuidRequest:
    case kApResetHoldRequest: // from Linux 5.12 on
    case kTerminate:
        return false;
    }
    refuse(guest, "GHCB MSR ", hex(guest.ghcb_msr),
           ": an old host does not know this request, and ends the VM");
}

bool knows(uint64_t event) {
    switch (event) {
    case nae::kPageStateChange:
    case nae::kGuestRequest:
    case nae::kExtendedGuestRequest:
    case nae::kApCreation:
    case nae::kFeatures:
    case nae::kTerminate:
        return false;
    }
    return true;
}

bool ends_on_malformed(Guest& guest) {
    hostile_acted(guest);
    uint8_t* bytes = is_by_page(guest)
                         ? guest.memory.at(guest.ghcb_msr, kPageBytes, Backing::shared)
                         : nullptr;
    if (bytes == nullptr)
        return false;
    GhcbRequest request;
    const Malformed why = read_ghcb_request(GhcbPage(bytes), request);
    if (why != Malformed::nothing || !knows(request.code))
        refuse(guest, "GHCB request ", hex(request.code), ": an old host ",
               why == Malformed::nothing ? "does not know it" : "finds it malformed",
               ", and ends the VM");
    return false;
}

using enum HostileClass;
// A row an entry.
// clang-format off
constexpr Hostile kEntries[] = {
    {.name = "unknown-requests-end", .kind = harmless, .guests = kOnEs,
     .right_guest = "asks for SEV information, CPUID and its end only",
     .at_vmgexit = ends_on_unknown},
    {.name = "malformed-requests-end", .kind = harmless, .guests = kOnEs,
     .right_guest = "marks each field that its request needs", .at_vmgexit = ends_on_malformed},
};
// clang-format on

} // namespace

const HostileTable kOldHosts = hostile_table(kEntries);

} // namespace sevhost
