#include "ghcb_msr.h"

#include "diagnosis.h"
#include "exit_names.h"
#include "ghcb.h"
#include "ghcb_msr_protocol.h"
#include "guest_cpuid.h"
#include "hostile.h"
#include "journal.h"
#include "snp.h"

namespace sevhost {
namespace {

using namespace ghcb_msr;

constexpr uint32_t kFailed = 1; // of a response's error code: any but 0

uint64_t answer_cpuid(Guest& guest, const GhcbMsrRequest& request) {
    const Cpuid r = hostile_cpuid(guest, request.leaf, 0, guest_cpuid(guest, request.leaf, 0));
    const uint32_t words[] = {r.eax, r.ebx, r.ecx, r.edx};
    return cpuid_response(words[request.cpuid_register], request.cpuid_register);
}

uint64_t answer_register(Guest& guest, const GhcbMsrRequest& request) {
    if (guest.memory.find(request.frame, kPageBytes) == nullptr)
        return kNoFrame | kRegisterResponse;
    guest.ghcb_registered = request.frame;
    return request.frame | kRegisterResponse;
}

uint64_t answer_page_state(Guest& guest, const GhcbMsrRequest& request) {
    const bool done = change_page_state(guest, request.frame,
                                        static_cast<PageOperation>(request.operation), kPageBytes);
    return error_response(kPageStateResponse, done ? 0 : kFailed);
}

uint64_t answer(Guest& guest, const GhcbMsrRequest& request) {
    switch (request.code) {
    case kSevInfoRequest:
        return ghcb_msr_at_reset(guest);
    case kCpuidRequest:
        return answer_cpuid(guest, request);
    case kFeaturesRequest:
        return features_response(guest.snp() ? kFeatureSnp : 0);
    case kPreferredRequest:
        return kNoFrame | kPreferredResponse;
    case kRegisterRequest:
        return answer_register(guest, request);
    case kPageStateRequest:
        return answer_page_state(guest, request);
    case kRunVmplRequest: // there is VMPL 0 only, which runs
        return error_response(kRunVmplResponse, request.vmpl == 0 ? 0 : kFailed);
    case kApResetHoldRequest:
        finish(guest, Outcome::halted, "AP reset hold: there is no other processor to end it");
    }
    finish_terminated(guest, request.set, request.reason);
}

} // namespace

uint64_t ghcb_msr_at_reset(const Guest& guest) {
    return sev_information(kGhcbVersionMax, kGhcbVersionMin, guest.settings.c_bit);
}

void serve_ghcb_msr(Guest& guest) {
    const uint64_t value = guest.ghcb_msr;
    const GhcbMsrRequest request = parse_ghcb_msr(value, guest.snp());
    if (request.wrong != nullptr)
        refuse(guest, "GHCB MSR ", hex(value), ": ", request.wrong, " (56421, 2.3.1)");
    note_msr_request(request.code);
    guest.ghcb_msr = hostile_msr_response(guest, value, answer(guest, request));
    if (guest.settings.trace.protocol)
        say("ghcb-msr: ", ghcb_msr_name(request.code), " ", hex(value), " -> ",
            hex(guest.ghcb_msr), "\n");
}

} // namespace sevhost
