#include "vc_cpuid.h"

#include "msr_protocol.h"
#include "sev_state.h"
#include "vc.h"

namespace prologue {
namespace {

constexpr uint32_t kFeaturesLeaf = 1, kStructuredLeaf = 7;
constexpr uint32_t kEcxOsxsave = 1u << 27, kEcxOspke = 1u << 4;
constexpr uint64_t kCr4Osxsave = 1u << 18, kCr4Pke = 1u << 22;

constexpr uint32_t kEaxSev = 1u << 1, kEaxSevEs = 1u << 3, kEaxSevSnp = 1u << 4;

constexpr uint32_t kLegacyAreaBytes = 0x240; // x87, SSE and the header
constexpr unsigned kFirstComponent = 2;      // behind x87 and SSE
constexpr unsigned kComponents = 63;

uint32_t replace(uint32_t word, uint32_t bit, bool set) {
    return set ? word | bit : word & ~bit;
}

// CPUID d.1 EAX, and a component's ECX
constexpr uint32_t kEaxXsavec = 2, kEaxXsaves = 8;
constexpr uint32_t kEcxAligned = 2;
constexpr uint64_t kComponentAlignment = 64;

// The bytes that XSAVE takes for the components that are enabled now: each at its place, or,
// compacted, one behind the other (SDM vol. 1, 13.4.3). What the page has there is for a
// state that its maker chose. A component that it does not have would be written behind
// what its reader allocates.
uint32_t xsave_bytes(const CpuidPage& page, uint64_t enabled, bool compacted) {
    uint64_t bytes = kLegacyAreaBytes;
    for (unsigned i = kFirstComponent; i != kComponents; ++i) {
        if ((enabled >> i & 1) == 0)
            continue;
        const CpuidRegisters component = page.find(kXsaveLeaf, i);
        if (component.eax == 0)
            sev_terminate(PROLOGUE_SEV_CPUID_PAGE);
        uint64_t start = component.ebx;
        if (compacted)
            start = (component.ecx & kEcxAligned) != 0
                        ? (bytes + kComponentAlignment - 1) & ~(kComponentAlignment - 1)
                        : bytes;
        if (start + component.eax > bytes)
            bytes = start + component.eax;
    }
    if (bytes >> 32 != 0)
        sev_terminate(PROLOGUE_SEV_CPUID_PAGE);
    return static_cast<uint32_t>(bytes);
}

} // namespace

void put_what_is_known(uint32_t leaf, uint32_t subleaf, CpuidRegisters& r) {
    if (leaf == kFeaturesLeaf)
        r.ecx = replace(r.ecx, kEcxOsxsave, (vc_cr4() & kCr4Osxsave) != 0);
    if (leaf == kStructuredLeaf && subleaf == 0)
        r.ecx = replace(r.ecx, kEcxOspke, (vc_cr4() & kCr4Pke) != 0);
    if (leaf != CPUID_ENCRYPTION)
        return;
    const SevState& sev = prologue_sev_state;
    r.eax |= kEaxSev | (sev.es() ? kEaxSevEs : 0) | (sev.snp() ? kEaxSevSnp : 0);
    if (uint64_t{1} << (r.ebx & ENCRYPTION_EBX_C_BIT) != sev.c_bit_mask)
        sev_terminate(PROLOGUE_SEV_C_BIT_DISAGREE);
}

bool answer_cpuid(uint32_t leaf, uint32_t subleaf, CpuidRegisters& r) {
    const CpuidPage* const page = vc_cpuid_page();
    if (page == nullptr)
        return false;
    r = page->find(leaf, subleaf);
    put_what_is_known(leaf, subleaf, r);
    if (leaf == kXsaveLeaf && subleaf == 0 && r.eax != 0)
        r.ebx = xsave_bytes(*page, vc_xcr0(), false);
    if (leaf == kXsaveLeaf && subleaf == 1 && (r.eax & (kEaxXsavec | kEaxXsaves)) != 0)
        r.ebx = xsave_bytes(*page, vc_xcr0() | ((r.eax & kEaxXsaves) != 0 ? vc_xss() : 0), true);
    return true;
}

} // namespace prologue
