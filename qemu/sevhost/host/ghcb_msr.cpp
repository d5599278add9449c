#include "ghcb_msr.h"

#include "diagnosis.h"
#include "exit_names.h"
#include "ghcb.h"
#include "guest_cpuid.h"
#include "hostile.h"
#include "journal.h"
#include "page_state.h"

namespace sevhost {
namespace {

using namespace ghcb_msr;

uint64_t sev_information(const Guest& guest) {
    return uint64_t{kGhcbVersionMax} << kVersionMaxShift |
           uint64_t{kGhcbVersionMin} << kVersionMinShift |
           uint64_t{guest.settings.c_bit} << kCBitShift | kSevInfo;
}

uint64_t answer_cpuid(Guest& guest, uint64_t request) {
    if (request & kCpuidReserved)
        refuse(guest, "GHCB MSR ", hex(request), ": bits 29:12 of a CPUID request are zero "
               "(56421, 2.3.1)");
    const auto leaf = static_cast<uint32_t>(request >> kUpperShift);
    const Cpuid r = hostile_cpuid(guest, leaf, 0, guest_cpuid(guest, leaf, 0));
    const uint32_t words[] = {r.eax, r.ebx, r.ecx, r.edx};
    const unsigned wanted = request >> kCpuidRegisterShift & 3;
    return uint64_t{words[wanted]} << kUpperShift | uint64_t{wanted} << kCpuidRegisterShift |
           kCpuidResponse;
}

uint64_t answer_register(Guest& guest, uint64_t request) {
    guest.ghcb_registered = request & kFrameMask;
    return guest.ghcb_registered | kRegisterResponse;
}

uint64_t answer_page_state(Guest& guest, uint64_t request) {
    const auto operation =
        static_cast<PageOperation>(request >> kPageOperationShift & kPageOperationMask);
    const bool done = change_page_state(guest, request & kFrameMask, operation, kPageBytes);
    return (done ? 0 : uint64_t{1} << kUpperShift) | kPageStateResponse;
}

[[noreturn]] void terminate(Guest& guest, uint64_t request) {
    const unsigned set = request >> kTerminateSetShift & 0xf;
    const unsigned reason = request >> kTerminateCodeShift & 0xff;
    finish(guest, Outcome::terminated, "the guest terminated at ", hex(guest.vmcb->save.rip),
           ": reason set ", decimal(set), ", reason ", decimal(reason), ": ",
           termination_name(set, reason));
}

uint64_t answer(Guest& guest, uint64_t request) {
    const uint64_t code = request & kCodeMask;
    if (code == kSevInfoRequest)
        return sev_information(guest);
    if (code == kCpuidRequest)
        return answer_cpuid(guest, request);
    if (code == kTerminate)
        terminate(guest, request);
    if (code == kApResetHoldRequest)
        finish(guest, Outcome::halted, "AP reset hold: there is no other processor to end it");
    if (code == kFeaturesRequest)
        return (guest.snp() ? kFeatureSnp : 0) << kFeaturesShift | kFeaturesResponse;
    if (guest.snp()) {
        if (code == kPreferredRequest)
            return kNone | kPreferredResponse;
        if (code == kRegisterRequest)
            return answer_register(guest, request);
        if (code == kPageStateRequest)
            return answer_page_state(guest, request);
        if (code == kRunVmplRequest) // of the two bits above, 1 says that it was refused
            return uint64_t{1} << kUpperShift | kRunVmplResponse;
    }
    refuse(guest, "GHCB MSR ", hex(request), ": no request of this machine (56421, 2.3.1)");
}

} // namespace

uint64_t ghcb_msr_at_reset(const Guest& guest) {
    return sev_information(guest);
}

void serve_ghcb_msr(Guest& guest) {
    const uint64_t request = guest.ghcb_msr;
    note_msr_request(request & kCodeMask);
    guest.ghcb_msr = hostile_msr_response(guest, request, answer(guest, request));
    if (guest.settings.trace.protocol)
        say("ghcb-msr: ", ghcb_msr_name(request & kCodeMask), " ", hex(request), " -> ", hex(guest.ghcb_msr), "\n");
}

} // namespace sevhost
