// Lies about the machine, by CPUID.
#include "hostile.h"

namespace sevhost {
namespace {

constexpr uint32_t kEncryptionEaxSev = 1u << 1 | 1u << 3 | 1u << 4; // SEV, ES, SNP
constexpr uint32_t kEncryptionEbxCBit = 0x3f;
constexpr uint32_t kLowCBit = 20;
constexpr uint32_t kStructuredEcxLa57 = 1u << 16;
constexpr uint32_t kFeaturesEcxRdrand = 1u << 30;
constexpr uint32_t kExtendedEdxNx = 1u << 20;
constexpr uint32_t kExtendedEdx1GPages = 1u << 26;
constexpr uint32_t kExtendedEdxLongMode = 1u << 29;
constexpr uint32_t kNoise = 0x5a5a5a5a;

Cpuid with_c_bit(Cpuid answer, uint32_t c_bit) {
    answer.ebx = (answer.ebx & ~kEncryptionEbxCBit) | (c_bit & kEncryptionEbxCBit);
    return answer;
}

Cpuid hide_sev(Guest&, uint32_t leaf, uint32_t, Cpuid honest) {
    if (leaf == kCpuidMemoryEncryption)
        honest.eax &= ~kEncryptionEaxSev;
    return honest;
}

Cpuid hide_leaf(Guest&, uint32_t leaf, uint32_t, Cpuid honest) {
    if (leaf == kCpuidExtendedMax)
        honest.eax = kCpuidAddressWidths;
    return leaf == kCpuidMemoryEncryption ? Cpuid{} : honest;
}

Cpuid wrong_c_bit(Guest&, uint32_t leaf, uint32_t, Cpuid honest) {
    return leaf == kCpuidMemoryEncryption ? with_c_bit(honest, honest.ebx ^ 1) : honest;
}

Cpuid low_c_bit(Guest&, uint32_t leaf, uint32_t, Cpuid honest) {
    return leaf == kCpuidMemoryEncryption ? with_c_bit(honest, kLowCBit) : honest;
}

Cpuid changing_c_bit(Guest&, uint32_t leaf, uint32_t, Cpuid honest) {
    static unsigned asked;
    if (leaf != kCpuidMemoryEncryption)
        return honest;
    return asked++ == 0 ? honest : with_c_bit(honest, honest.ebx ^ 1);
}

Cpuid never_the_same(Guest&, uint32_t, uint32_t, Cpuid honest) {
    static uint32_t asked;
    honest.eax ^= asked++ % 2 ? 1 : 0; // of leaf 1 the stepping, of others as little
    return honest;
}

Cpuid hide_features(Guest&, uint32_t leaf, uint32_t subleaf, Cpuid honest) {
    if (leaf == kCpuidStructured && subleaf == 0)
        honest.ecx &= ~kStructuredEcxLa57;
    if (leaf == kCpuidExtendedFeatures)
        honest.edx &= ~kExtendedEdx1GPages;
    return honest;
}

Cpuid hide_needs(Guest&, uint32_t leaf, uint32_t, Cpuid honest) {
    if (leaf == kCpuidExtendedFeatures)
        honest.edx &= ~(kExtendedEdxNx | kExtendedEdxLongMode);
    return honest;
}

Cpuid hide_rdrand(Guest&, uint32_t leaf, uint32_t, Cpuid honest) {
    if (leaf == kCpuidFeatures)
        honest.ecx &= ~kFeaturesEcxRdrand;
    return honest;
}

Cpuid narrow_addresses(Guest&, uint32_t leaf, uint32_t, Cpuid honest) {
    constexpr uint32_t kPhysicalMask = 0xff, kFewest = 32;
    if (leaf == kCpuidAddressWidths)
        honest.eax = (honest.eax & ~kPhysicalMask) | kFewest;
    return honest;
}

Cpuid answer_ones(Guest&, uint32_t, uint32_t, Cpuid) {
    return {~0u, ~0u, ~0u, ~0u};
}

Cpuid answer_zeros(Guest&, uint32_t, uint32_t, Cpuid) {
    return {};
}

Cpuid claim_many_leaves(Guest&, uint32_t leaf, uint32_t, Cpuid honest) {
    if (leaf == 0)
        honest.eax = ~0u & ~kCpuidExtendedMax;
    if (leaf == kCpuidExtendedMax)
        honest.eax = ~0u;
    return honest;
}

Cpuid rename_vendor(Guest&, uint32_t leaf, uint32_t, Cpuid honest) {
    if (leaf != 0)
        return honest;
    return {honest.eax, honest.ebx ^ kNoise, honest.ecx ^ kNoise, honest.edx ^ kNoise};
}

using enum HostileClass;
// A row an entry.
// clang-format off
constexpr Hostile kEntries[] = {
    {.name = "cpuid-hides-sev", .kind = harmless, .guests = kOnBoth,
     .right_guest = "believes SEV_STATUS, which the processor answers", .cpuid = hide_sev},
    {.name = "cpuid-hides-leaf", .kind = detected, .guests = kOnBoth,
     .right_guest = "terminates: CPUID names no C-bit, and SEV_INFO does", .cpuid = hide_leaf},
    {.name = "cpuid-wrong-c-bit", .kind = detected, .guests = kOnBoth,
     .right_guest = "terminates: CPUID and SEV_INFO disagree", .cpuid = wrong_c_bit},
    {.name = "cpuid-c-bit-under-32", .kind = detected, .guests = kOnBoth,
     .right_guest = "terminates: CPUID and SEV_INFO disagree", .cpuid = low_c_bit},
    {.name = "cpuid-c-bit-changes", .kind = detected, .guests = kOnBoth,
     .right_guest = "asks once, or terminates when the answers differ", .cpuid = changing_c_bit},
    {.name = "cpuid-never-the-same", .kind = harmless, .guests = kOnBoth,
     .right_guest = "decides nothing of weight by CPUID", .cpuid = never_the_same},
    {.name = "cpuid-hides-features", .kind = not_detectable, .guests = kOnBoth,
     .right_guest = "goes without five levels and 1 GiB pages", .cpuid = hide_features},
    {.name = "cpuid-hides-needs", .kind = denial, .guests = kOnBoth,
     .right_guest = "ends: it needs NX and long mode", .cpuid = hide_needs},
    {.name = "cpuid-hides-rdrand", .kind = harmless, .guests = kOnBoth,
     .right_guest = "uses RDRAND all the same: every CPU with SEV has it", .cpuid = hide_rdrand},
    {.name = "cpuid-narrow-addresses", .kind = not_detectable, .guests = kOnBoth,
     .right_guest = "believes that there is no memory above 4 GiB, or ends",
     .cpuid = narrow_addresses},
    {.name = "cpuid-ones", .kind = detected, .guests = kOnBoth,
     .right_guest = "terminates: the C-bit would be 63", .cpuid = answer_ones},
    {.name = "cpuid-zeros", .kind = denial, .guests = kOnBoth,
     .right_guest = "ends: nothing that it needs is there", .cpuid = answer_zeros},
    {.name = "cpuid-claims-many-leaves", .kind = harmless, .guests = kOnBoth,
     .right_guest = "asks only for leaves that it knows", .cpuid = claim_many_leaves},
    {.name = "cpuid-other-vendor", .kind = harmless, .guests = kOnBoth,
     .right_guest = "does not look at the vendor", .cpuid = rename_vendor},
};
// clang-format on

} // namespace

const HostileTable kLiesOfCpuid = hostile_table(kEntries);

} // namespace sevhost
