#include "msr_protocol.h"

#include "cpuid_page.h"

namespace prologue {
namespace {

constexpr unsigned kNewest = 2; // the version that this guest speaks

constexpr unsigned kMaxVersionShift = 48, kMinVersionShift = 32, kCBitShift = 24;
constexpr unsigned kCpuidRegisterShift = 30, kUpperShift = 32, kFeaturesShift = 12;
constexpr unsigned kPageOperationShift = 52;

unsigned code_of(uint64_t value) {
    return value & GHCB_MSR_CODE_MASK;
}

uint64_t ask(uint64_t request, unsigned response_code) {
    const uint64_t response = exchange_ghcb_msr(request);
    if (code_of(response) != response_code)
        sev_terminate(PROLOGUE_SEV_MSR_RESPONSE);
    return response;
}

} // namespace

SevInfo negotiate(uint64_t preset, unsigned least) {
    if (preset == 0 && least == kLeastVersion)
        return {kLeastVersion, kNoCBit};
    const uint64_t info = code_of(preset) == GHCB_MSR_INFO
                              ? preset
                              : ask(GHCB_MSR_INFO_REQUEST, GHCB_MSR_INFO);
    const unsigned highest = info >> kMaxVersionShift & 0xffff;
    const unsigned lowest = info >> kMinVersionShift & 0xffff;
    const unsigned version = highest < kNewest ? highest : kNewest;
    if (version < least || version < lowest)
        sev_terminate(PROLOGUE_SEV_VERSION);
    const unsigned c_bit = info >> kCBitShift & 0xff;
    if (!is_c_bit(c_bit))
        sev_terminate(PROLOGUE_SEV_C_BIT_RANGE);
    return {version, c_bit};
}

uint32_t ask_cpuid(uint32_t leaf, CpuidRegister which) {
    const uint64_t response = ask(uint64_t{leaf} << kUpperShift |
                                      uint64_t{which} << kCpuidRegisterShift |
                                      GHCB_MSR_CPUID_REQUEST,
                                  GHCB_MSR_CPUID);
    if ((response >> kCpuidRegisterShift & 3) != which)
        sev_terminate(PROLOGUE_SEV_MSR_RESPONSE);
    return response >> kUpperShift;
}

// Of leaf 7 the protocol gives the first sub-leaf; of others nobody says which.
bool can_ask_cpuid(uint32_t leaf, uint32_t subleaf) {
    constexpr uint32_t kStructuredFeatures = 7;
    return !has_subleaves(leaf) || (leaf == kStructuredFeatures && subleaf == 0);
}

uint64_t ask_features() {
    return ask(GHCB_MSR_FEATURES_REQUEST, GHCB_MSR_FEATURES) >> kFeaturesShift;
}

void register_ghcb(uint64_t phys) {
    if (ask(phys | GHCB_MSR_REGISTER_REQUEST, GHCB_MSR_REGISTER) != (phys | GHCB_MSR_REGISTER))
        sev_terminate(PROLOGUE_SEV_GHCB_REFUSED);
}

void ask_page_state(uint64_t phys, PageState state) {
    const uint64_t request = static_cast<uint64_t>(state) << kPageOperationShift | phys |
                             GHCB_MSR_PAGE_STATE_REQUEST;
    if (ask(request, GHCB_MSR_PAGE_STATE) >> kUpperShift != 0)
        sev_terminate(PROLOGUE_SEV_PAGE_STATE);
}

} // namespace prologue
