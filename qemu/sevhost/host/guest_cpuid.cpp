#include "guest_cpuid.h"

namespace sevhost {
namespace {

constexpr uint32_t kFeaturesEcxMonitor = 1u << 3;
constexpr uint32_t kFeaturesEcxXsave = 1u << 26;
constexpr uint32_t kFeaturesEcxOsxsave = 1u << 27;
constexpr uint32_t kStructuredEcxOspke = 1u << 4;
constexpr uint32_t kExtendedEcxSvm = 1u << 2;

// Leaf 0x8000001f (APM vol. 3, E.4.17)
constexpr uint32_t kEncryptionEaxSev = 1u << 1;
constexpr uint32_t kEncryptionEaxEs = 1u << 3;
constexpr uint32_t kEncryptionEaxSnp = 1u << 4;
constexpr unsigned kEncryptionEbxReductionShift = 6;

uint32_t replace(uint32_t word, uint32_t bit, bool set) {
    return set ? word | bit : word & ~bit;
}

// The highest standard leaf. A machine without XSAVE need not have XSAVE's leaf, which
// SNP Linux refuses when it is there, and offers neither XSAVEC nor XSAVES.
uint32_t highest_leaf(uint32_t highest) {
    const bool xsave = consistent_cpuid(cpuid, kCpuidFeatures, 0).ecx & kFeaturesEcxXsave;
    return xsave || highest < kCpuidXsave ? highest : kCpuidXsave - 1;
}

Cpuid memory_encryption(const Guest& guest) {
    if (!guest.encrypted())
        return {};
    const uint32_t width = cpuid(kCpuidAddressWidths).eax & 0xff;
    Cpuid r = {};
    r.eax = kEncryptionEaxSev;
    if (guest.state_is_encrypted())
        r.eax |= kEncryptionEaxEs;
    if (guest.snp())
        r.eax |= kEncryptionEaxSnp;
    // What is left of an address is what lies below the C-bit.
    r.ebx = guest.settings.c_bit | (width - guest.settings.c_bit) << kEncryptionEbxReductionShift;
    return r;
}

} // namespace

Cpuid guest_cpuid(const Guest& guest, uint32_t leaf, uint32_t subleaf) {
    if (leaf == kCpuidMemoryEncryption)
        return memory_encryption(guest);
    if (leaf > kCpuidMemoryEncryption ||
        (leaf >= kCpuidExtendedMax && leaf > cpuid(kCpuidExtendedMax).eax))
        return {};
    Cpuid r = consistent_cpuid(cpuid, leaf, subleaf);
    const uint64_t cr4 = guest.save().cr4; // known to a host from the CR4 write trap (15.35.5)
    switch (leaf) {
    case 0:
        r.eax = highest_leaf(r.eax);
        break;
    case kCpuidFeatures:
        r.ecx = replace(r.ecx, kFeaturesEcxOsxsave, cr4 & kCr4Osxsave);
        if (guest.state_is_encrypted()) // no host offers it (KVM: kvm_set_cpu_caps; vmm: its mask)
            r.ecx = replace(r.ecx, kFeaturesEcxMonitor, false);
        break;
    case kCpuidStructured:
        if (subleaf == 0)
            r.ecx = replace(r.ecx, kStructuredEcxOspke, cr4 & kCr4Pke);
        break;
    case kCpuidExtendedMax:
        if (r.eax < kCpuidMemoryEncryption)
            r.eax = kCpuidMemoryEncryption;
        break;
    case kCpuidExtendedFeatures:
        r.ecx = replace(r.ecx, kExtendedEcxSvm, false);
        break;
    case kCpuidSvm:
        r = {};
        break;
    }
    return r;
}

} // namespace sevhost
