#include "hostile.h"

#include "ghcb_msr_protocol.h"
#include "outcome.h"

namespace sevhost {
namespace {

constexpr uint32_t kEncryptionSevAndEs = 1u << 1 | 1u << 3 | 1u << 4;

Cpuid hide_sev(Guest&, uint32_t leaf, uint32_t, Cpuid honest) {
    if (leaf == kCpuidMemoryEncryption)
        honest.eax &= ~kEncryptionSevAndEs;
    return honest;
}

void wrong_c_bit_in_sev_info(Guest& guest) {
    constexpr uint64_t kOtherBit = uint64_t{1} << ghcb_msr::kCBitShift;
    guest.ghcb_msr ^= kOtherBit;
}

uint64_t answer_of_another_request(Guest&, uint64_t, uint64_t honest) {
    return honest ^ 2;
}

[[noreturn]] void never_answer(Guest&) {
    for (;;)
        asm volatile("pause");
}

bool claim_and_do_nothing(Guest&, GuestPhys, PageOperation) {
    return true;
}

constexpr Hostile kBehaviours[] = {
    {.name = "cpuid-hides-sev",
     .kind = HostileClass::harmless,
     .right_guest = "believes SEV_STATUS",
     .cpuid = hide_sev},
    {.name = "sev-info-wrong-c-bit",
     .kind = HostileClass::detected,
     .right_guest = "terminates: the C-bit is not where the host says",
     .at_launch = wrong_c_bit_in_sev_info},
    {.name = "msr-answer-of-another-request",
     .kind = HostileClass::detected,
     .right_guest = "terminates: the response's code is not the one asked for",
     .msr_response = answer_of_another_request},
    {.name = "vmgexit-never-answers",
     .kind = HostileClass::denial,
     .right_guest = "waits",
     .at_vmgexit = never_answer},
    {.name = "page-state-does-nothing",
     .kind = HostileClass::detected,
     .right_guest = "terminates: PVALIDATE faults or changes nothing",
     .skip_page_state = claim_and_do_nothing},
};

} // namespace

const Hostile* find_hostile(Text name) {
    if (name.size == 0)
        return nullptr;
    for (const Hostile& behaviour : kBehaviours)
        if (name == behaviour.name)
            return &behaviour;
    say("sevhost: the hostile behaviours are:\n");
    for (const Hostile& behaviour : kBehaviours)
        say("  ", behaviour.name, ": a right guest ", behaviour.right_guest, "\n");
    fail("there is no hostile behaviour ", name);
}

void hostile_launch(Guest& guest) {
    if (guest.hostile && guest.hostile->at_launch)
        guest.hostile->at_launch(guest);
}

void hostile_before_entry(Guest& guest) {
    if (guest.hostile && guest.hostile->before_entry)
        guest.hostile->before_entry(guest);
}

void hostile_vmgexit(Guest& guest) {
    if (guest.hostile && guest.hostile->at_vmgexit)
        guest.hostile->at_vmgexit(guest);
}

uint64_t hostile_msr_response(Guest& guest, uint64_t request, uint64_t honest) {
    if (guest.hostile && guest.hostile->msr_response)
        return guest.hostile->msr_response(guest, request, honest);
    return honest;
}

void hostile_ghcb_response(Guest& guest, uint64_t code, uint8_t* page) {
    if (guest.hostile && guest.hostile->ghcb_response)
        guest.hostile->ghcb_response(guest, code, page);
}

Cpuid hostile_cpuid(Guest& guest, uint32_t leaf, uint32_t subleaf, Cpuid honest) {
    if (guest.hostile && guest.hostile->cpuid)
        return guest.hostile->cpuid(guest, leaf, subleaf, honest);
    return honest;
}

uint64_t hostile_vc(Guest& guest, uint64_t code) {
    return guest.hostile && guest.hostile->vc ? guest.hostile->vc(guest, code) : code;
}

Adjusted hostile_pvalidate(Guest& guest, GuestPhys page, Adjusted honest) {
    return guest.hostile && guest.hostile->pvalidate ? guest.hostile->pvalidate(guest, page, honest)
                                                     : honest;
}

bool hostile_skips_page_state(Guest& guest, GuestPhys gpa, PageOperation operation) {
    return guest.hostile && guest.hostile->skip_page_state &&
           guest.hostile->skip_page_state(guest, gpa, operation);
}

} // namespace sevhost
