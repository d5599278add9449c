// Lies by the GHCB MSR: the answers to its protocol, and what it holds at reset.
#include "ghcb_msr.h"
#include "ghcb_msr_protocol.h"
#include "hostile.h"

namespace sevhost {
namespace {

using namespace ghcb_msr;

constexpr unsigned kLowCBit = 20;
constexpr unsigned kHighCBit = 200;

uint64_t code_of(uint64_t value) {
    return value & kCodeMask;
}

uint64_t with_c_bit(uint64_t sev_info, unsigned c_bit) {
    constexpr uint64_t kCBit = uint64_t{0xff} << kCBitShift;
    return (sev_info & ~kCBit) | uint64_t{c_bit} << kCBitShift;
}

uint64_t with_versions(uint64_t sev_info, unsigned max, unsigned min) {
    constexpr uint64_t kBelow = (uint64_t{1} << kVersionMinShift) - 1;
    return (sev_info & kBelow) | uint64_t{max} << kVersionMaxShift |
           uint64_t{min} << kVersionMinShift;
}

// SEV_INFO is in the MSR at reset, also of a host that has 0 there, which is not asked for it; and
// where it is asked for, since a firmware's GHCB is there, the lie is in the answer.
template <uint64_t (*lie)(uint64_t honest)>
void at_reset(Guest& guest) {
    if (guest.profile.first_ghcb == FirstGhcb::old_page)
        return;
    guest.ghcb_msr = lie(sev_info(guest));
    hostile_acted(guest);
}
template <uint64_t (*lie)(uint64_t honest)>
uint64_t of_sev_info(Guest&, uint64_t, uint64_t honest) {
    return code_of(honest) == kSevInfo ? lie(honest) : honest;
}

// No document says that it stands there before anyone has asked.
void not_preset(Guest& guest) {
    guest.ghcb_msr = 0;
    hostile_acted(guest);
}

uint64_t wrong_c_bit(uint64_t honest) {
    return honest ^ 1ull << kCBitShift;
}
uint64_t low_c_bit(uint64_t honest) {
    return with_c_bit(honest, kLowCBit);
}
uint64_t high_c_bit(uint64_t honest) {
    return with_c_bit(honest, kHighCBit);
}
uint64_t old_versions(uint64_t honest) {
    return with_versions(honest, 0, 0);
}
uint64_t new_versions(uint64_t honest) {
    return with_versions(honest, 7, 3);
}
uint64_t inverted_versions(uint64_t honest) {
    return with_versions(honest, 1, 2);
}
uint64_t garbage_in_sev_info(uint64_t honest) {
    constexpr uint64_t kReserved = 0xfff000; // 23:12
    return honest | kReserved;
}

// The leaf of memory encryption in the same way, so that the two agree.
Cpuid wrong_in_cpuid(Guest&, uint32_t leaf, uint32_t, Cpuid honest) {
    if (leaf == kCpuidMemoryEncryption)
        honest.ebx ^= 1;
    return honest;
}
Cpuid low_in_cpuid(Guest&, uint32_t leaf, uint32_t, Cpuid honest) {
    constexpr uint32_t kCBit = 0x3f;
    if (leaf == kCpuidMemoryEncryption)
        honest.ebx = (honest.ebx & ~kCBit) | kLowCBit;
    return honest;
}

// The wrong bit is none of an address, as the right one: the host maps both alike. So the guest
// walks its tables and fetches its code, which are private always, and works on shared memory.
void wrong_c_bit_mapped(Guest& guest) {
    guest.alias_mask = uint64_t{1} << (guest.settings.c_bit ^ 1);
    at_reset<wrong_c_bit>(guest);
}

uint64_t sev_info_changes(Guest&, uint64_t, uint64_t honest) {
    return code_of(honest) == kSevInfo ? wrong_c_bit(honest) : honest; // honest at reset
}

uint64_t unknown_code(Guest&, uint64_t, uint64_t honest) {
    constexpr uint64_t kNoCode = 0x0ab;
    return (honest & ~kCodeMask) | kNoCode;
}

uint64_t another_answer(Guest&, uint64_t, uint64_t honest) {
    const uint64_t other = code_of(honest) == kSevInfo ? kCpuidResponse : kSevInfo;
    return (honest & ~kCodeMask) | other;
}

uint64_t no_answer(Guest&, uint64_t request, uint64_t) {
    return request;
}

uint64_t all_zeros(Guest&, uint64_t, uint64_t) {
    return 0;
}

uint64_t page_address(Guest&, uint64_t, uint64_t honest) {
    return honest & ~kCodeMask;
}

uint64_t other_register(Guest&, uint64_t, uint64_t honest) {
    return code_of(honest) == kCpuidResponse ? honest ^ 1ull << kCpuidRegisterShift : honest;
}

uint64_t garbage_in_cpuid(Guest&, uint64_t, uint64_t honest) {
    constexpr uint64_t kReserved = 0x3ffff000; // 29:12
    return code_of(honest) == kCpuidResponse ? honest | kReserved : honest;
}

uint64_t stale_answer(Guest&, uint64_t, uint64_t honest) {
    static uint64_t last;
    const uint64_t told = last != 0 && code_of(last) == code_of(honest) ? last : honest;
    last = honest;
    return told;
}

uint64_t register_another(Guest&, uint64_t, uint64_t honest) {
    return code_of(honest) == kRegisterResponse ? honest + kPageBytes : honest;
}

uint64_t register_none(Guest&, uint64_t, uint64_t honest) {
    return code_of(honest) == kRegisterResponse ? kNoFrame | kRegisterResponse : honest;
}

uint64_t prefer_elsewhere(Guest& guest, uint64_t, uint64_t honest) {
    const GuestPhys page = guest.save().rip & ~(kPageBytes - 1); // where the guest's code is
    return code_of(honest) == kPreferredResponse ? page | kPreferredResponse : honest;
}

uint64_t page_state_fails(Guest&, uint64_t, uint64_t honest) {
    return code_of(honest) == kPageStateResponse ? error_response(kPageStateResponse, 1) : honest;
}

uint64_t hide_features(Guest&, uint64_t, uint64_t honest) {
    return code_of(honest) == kFeaturesResponse ? features_response(0) : honest;
}
void features_none(Guest&, uint64_t code, GhcbPage& page) {
    if (code == nae::kFeatures)
        page.set(ghcb_at::kExitInfo2, 0);
}

uint64_t claim_features(Guest&, uint64_t, uint64_t honest) {
    return code_of(honest) == kFeaturesResponse ? ~kCodeMask | kFeaturesResponse : honest;
}
void features_all(Guest&, uint64_t code, GhcbPage& page) {
    if (code == nae::kFeatures)
        page.set(ghcb_at::kExitInfo2, ~uint64_t{0});
}

using enum HostileClass;
// A row an entry.
// clang-format off
constexpr Hostile kEntries[] = {
    {.name = "sev-info-not-preset", .kind = harmless, .guests = kOnBoth,
     .right_guest = "asks for it", .at_launch = not_preset},
    {.name = "sev-info-wrong-c-bit", .kind = detected, .guests = kOnBoth,
     .right_guest = "terminates: SEV_INFO and CPUID disagree", .at_launch = at_reset<wrong_c_bit>,
     .msr_response = of_sev_info<wrong_c_bit>},
    {.name = "wrong-c-bit-everywhere", .kind = detected, .guests = kOnEs,
     .right_guest = "terminates: what it wrote before paging is not there behind that bit",
     .at_launch = wrong_c_bit_mapped, .msr_response = of_sev_info<wrong_c_bit>,
     .cpuid = wrong_in_cpuid},
    {.name = "c-bit-under-32", .kind = detected, .guests = kOnBoth,
     .right_guest = "terminates: no C-bit is under 32", .at_launch = at_reset<low_c_bit>,
     .msr_response = of_sev_info<low_c_bit>, .cpuid = low_in_cpuid},
    {.name = "sev-info-c-bit-under-32", .kind = detected, .guests = kOnBoth,
     .right_guest = "terminates: no C-bit is under 32", .at_launch = at_reset<low_c_bit>,
     .msr_response = of_sev_info<low_c_bit>},
    {.name = "sev-info-c-bit-over-51", .kind = detected, .guests = kOnBoth,
     .right_guest = "terminates: no address has such a bit", .at_launch = at_reset<high_c_bit>,
     .msr_response = of_sev_info<high_c_bit>},
    {.name = "sev-info-changes", .kind = detected, .guests = kOnBoth,
     .right_guest = "asks once, or terminates when the answers differ",
     .msr_response = sev_info_changes},
    {.name = "sev-info-garbage-in-reserved", .kind = harmless, .guests = kOnBoth,
     .right_guest = "looks at the fields only", .at_launch = at_reset<garbage_in_sev_info>,
     .msr_response = of_sev_info<garbage_in_sev_info>},
    {.name = "ghcb-versions-too-old", .kind = detected, .guests = kOnBoth,
     .right_guest = "terminates: no version in common", .at_launch = at_reset<old_versions>,
     .msr_response = of_sev_info<old_versions>},
    {.name = "ghcb-versions-too-new", .kind = detected, .guests = kOnBoth,
     .right_guest = "terminates: no version in common", .at_launch = at_reset<new_versions>,
     .msr_response = of_sev_info<new_versions>},
    {.name = "ghcb-versions-inverted", .kind = detected, .guests = kOnBoth,
     .right_guest = "terminates: the highest is below the lowest",
     .at_launch = at_reset<inverted_versions>, .msr_response = of_sev_info<inverted_versions>},
    {.name = "msr-unknown-code", .kind = detected, .guests = kOnBoth,
     .right_guest = "terminates: the code is not of the answer", .msr_response = unknown_code},
    {.name = "msr-answer-of-another-request", .kind = detected, .guests = kOnBoth,
     .right_guest = "terminates: the code is not of the answer", .msr_response = another_answer},
    {.name = "msr-request-left", .kind = detected, .guests = kOnBoth,
     .right_guest = "terminates: the code is the request's own", .msr_response = no_answer},
    {.name = "msr-zero", .kind = detected, .guests = kOnBoth,
     .right_guest = "terminates: there is no code", .msr_response = all_zeros},
    {.name = "msr-page-address", .kind = detected, .guests = kOnBoth,
     .right_guest = "terminates: there is no code", .msr_response = page_address},
    {.name = "msr-cpuid-other-register", .kind = detected, .guests = kOnBoth,
     .right_guest = "terminates: the register is not the one asked for",
     .msr_response = other_register},
    {.name = "msr-cpuid-garbage-in-reserved", .kind = harmless, .guests = kOnBoth,
     .right_guest = "looks at the fields only", .msr_response = garbage_in_cpuid},
    {.name = "msr-stale-answers", .kind = detected, .guests = kOnBoth,
     .right_guest = "terminates: CPUID's register is not the one asked for",
     .msr_response = stale_answer},
    {.name = "register-another-frame", .kind = detected, .guests = kOnSnp,
     .right_guest = "terminates: the frame is not its own", .msr_response = register_another},
    {.name = "register-refused", .kind = detected, .guests = kOnSnp,
     .right_guest = "terminates: it has no GHCB", .msr_response = register_none},
    {.name = "preferred-ghcb-elsewhere", .kind = harmless, .guests = kOnSnp,
     .right_guest = "uses a page of its own", .msr_response = prefer_elsewhere},
    {.name = "page-state-msr-fails", .kind = detected, .guests = kOnSnp,
     .right_guest = "terminates: the page is not what it needs", .msr_response = page_state_fails},
    {.name = "features-hidden", .kind = detected, .guests = kOnSnp,
     .right_guest = "terminates: no SNP guest can do without page states",
     .msr_response = hide_features, .ghcb_response = features_none},
    {.name = "features-claimed", .kind = harmless, .guests = kOnBoth,
     .right_guest = "uses those that it knows", .msr_response = claim_features,
     .ghcb_response = features_all},
};
// clang-format on

} // namespace

const HostileTable kLiesByMsr = hostile_table(kEntries);

} // namespace sevhost
