#include "vc_cpuid.h"

#include "vc.h"

namespace prologue {
namespace {

constexpr uint32_t kFeaturesLeaf = 1, kStructuredLeaf = 7;
constexpr uint32_t kEcxOsxsave = 1u << 27, kEcxOspke = 1u << 4;
constexpr uint64_t kCr4Osxsave = 1u << 18, kCr4Pke = 1u << 22;

constexpr uint32_t kLegacyAreaBytes = 0x240; // x87, SSE and the header
constexpr unsigned kFirstComponent = 2;      // behind x87 and SSE
constexpr unsigned kComponents = 63;

uint32_t replace(uint32_t word, uint32_t bit, bool set) {
    return set ? word | bit : word & ~bit;
}

// The bytes that XSAVE takes for what XCR0 enables now. (The page has what it takes
// for a state that its maker chose.) Of XSAVES's compact form Prologue knows nothing:
// XSS is not a guest's to set before its kernel has its own handler.
uint32_t xsave_bytes(const CpuidPage& page, uint64_t enabled) {
    uint32_t bytes = kLegacyAreaBytes;
    for (unsigned i = kFirstComponent; i != kComponents; ++i) {
        if ((enabled >> i & 1) == 0)
            continue;
        const CpuidRegisters component = page.find(kXsaveLeaf, i);
        if (component.ebx + component.eax > bytes)
            bytes = component.ebx + component.eax;
    }
    return bytes;
}

}  // namespace

bool answer_cpuid(uint32_t leaf, uint32_t subleaf, CpuidRegisters& r) {
    const CpuidPage* const page = vc_cpuid_page();
    if (page == nullptr)
        return false;
    r = page->find(leaf, subleaf);
    if (leaf == kFeaturesLeaf)
        r.ecx = replace(r.ecx, kEcxOsxsave, (vc_cr4() & kCr4Osxsave) != 0);
    if (leaf == kStructuredLeaf && subleaf == 0)
        r.ecx = replace(r.ecx, kEcxOspke, (vc_cr4() & kCr4Pke) != 0);
    if (leaf == kXsaveLeaf && subleaf == 0 && r.eax != 0)
        r.ebx = xsave_bytes(*page, vc_xcr0());
    return true;
}

}  // namespace prologue
