#include "ghcb_msr.h"

#include "diagnosis.h"
#include "doorbell.h"
#include "exit_names.h"
#include "ghcb.h"
#include "ghcb_msr_protocol.h"
#include "guest_cpuid.h"
#include "hostile.h"
#include "journal.h"
#include "processor_start.h"
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

// Whether there is such a page is found out at VMGEXIT.
uint64_t answer_register(Guest& guest, const GhcbMsrRequest& request) {
    guest.ghcb_registered = request.frame;
    return request.frame | kRegisterResponse;
}

uint64_t answer_page_state(Guest& guest, const GhcbMsrRequest& request) {
    const auto operation = static_cast<PageOperation>(request.operation);
    const bool known = operation == PageOperation::private_ || operation == PageOperation::shared;
    const bool done = known && change_page_state(guest, request.frame, operation, kPageBytes);
    return error_response(kPageStateResponse, done ? 0 : kFailed);
}

uint64_t answer(Guest& guest, const GhcbMsrRequest& request) {
    switch (request.code) {
    case kSevInfoRequest:
        return sev_info(guest);
    case kCpuidRequest:
        return answer_cpuid(guest, request);
    case kFeaturesRequest:
        return features_response(hypervisor_features(guest));
    case kPreferredRequest:
        return kNoFrame | kPreferredResponse;
    case kRegisterRequest:
        return answer_register(guest, request);
    case kPageStateRequest:
        return answer_page_state(guest, request);
    case kApResetHoldRequest:
        hold(guest, ResetHold::by_msr);
        return hold_response(0); // unless a SIPI comes
    }
    finish_terminated(guest, request.set, request.reason);
}

// The guest goes on with its own request in the MSR, or the host gives the VM up.
void decline(Guest& guest, uint64_t value) {
    const Text name = guest.profile.name;
    if (guest.profile.ends_on_wrong_requests)
        refuse(guest, "GHCB MSR ", hex(value), ": no request that HOST=", name,
               " serves: it ends the VM");
    say("sevhost: GHCB MSR ", hex(value), " at ", hex(guest.save().rip),
        ": no request that HOST=", name, " serves: the MSR stays as it is\n");
}

// What the document forbids, and hosts do not look at.
void complain(const Guest& guest, uint64_t value, WrongMsrRequest wrong) {
    say("sevhost: GHCB MSR ", hex(value), " at ", hex(guest.save().rip), ": ", text(wrong),
        " (56421, 2.3.1): served all the same\n");
}

} // namespace

uint64_t sev_info(const Guest& guest) {
    return sev_information(kGhcbVersionMax, kGhcbVersionMin, guest.settings.c_bit);
}

void serve_ghcb_msr(Guest& guest) {
    const uint64_t value = guest.ghcb_msr;
    const GhcbMsrRequest request = parse_ghcb_msr(value, guest.snp());
    note_msr_request(request.code);
    if (!guest.profile.msr_requests.has(request.code))
        return decline(guest, value);
    if (request.wrong == WrongMsrRequest::of_snp)
        refuse(guest, "GHCB MSR ", hex(value), ": ", text(request.wrong), " (56421, 2.3.1)");
    if (request.wrong != WrongMsrRequest::nothing)
        complain(guest, value, request.wrong);
    guest.ghcb_msr = hostile_msr_response(guest, value, answer(guest, request));
    if (!guest.settings.trace.protocol)
        return;
    say_processor(guest);
    say("ghcb-msr: ", ghcb_msr_name(request.code), " ", hex(value), " -> ", hex(guest.ghcb_msr),
        "\n");
}

} // namespace sevhost
