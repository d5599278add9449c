// The SEV guest in 32-bit mode: from SEV_STATUS to tables with the C-bit. Paging is
// off, so all that it reads and writes is private, wherever the C-bit may be.
#include "sev32.h"

#pragma GCC visibility push(hidden)
#include "bits.h"
#include "confidential.h"
#include "contract_magic.h"
#include "cpuid_page.h"
#include "msr_protocol.h"
#include "prologue/wishes.h"
#include "ranges.h"
#include "sev_features.h"
#include "sev_state.h"
#include "stage32.h"

extern "C" const char stage32_start[]; // from stage32.ld

namespace prologue {
namespace {

constexpr uint64_t kSeen = 4 * kGiB; // with paging off

// Something of the image, by the word before this stage that tells where it is.
template <class T>
T* at(unsigned word) {
    const int32_t distance = reinterpret_cast<const int32_t*>(
        stage32_start)[-static_cast<int>(word)];
    return reinterpret_cast<T*>(reinterpret_cast<uintptr_t>(stage32_start) + distance);
}

uint32_t address(unsigned word) {
    return reinterpret_cast<uintptr_t>(at<char>(word));
}

SevState& state() {
    return *at<SevState>(SEV32_STATE);
}

uint64_t read_msr(uint32_t number) {
    uint64_t value;
    asm volatile("rdmsr" : "=A"(value) : "c"(number));
    return value;
}

CpuidRegisters execute_cpuid(uint32_t leaf) {
    CpuidRegisters r = {leaf, 0, 0, 0};
    asm volatile("cpuid" : "+a"(r.eax), "=b"(r.ebx), "+c"(r.ecx), "=d"(r.edx));
    return r;
}

const CpuidPage* cpuid_page() {
    return reinterpret_cast<const CpuidPage*>(static_cast<uintptr_t>(state().cpuid_page_phys));
}

// One register of CPUID's first sub-leaf, from the best source there is.
uint32_t cpuid(uint32_t leaf, CpuidRegister which) {
    if (state().es() && cpuid_page() == nullptr)
        return ask_cpuid(leaf, which);
    const CpuidRegisters r = state().es() ? cpuid_page()->find(leaf, 0) : execute_cpuid(leaf);
    switch (which) {
    case kEax:
        return r.eax;
    case kEbx:
        return r.ebx;
    case kEcx:
        return r.ecx;
    default:
        return r.edx;
    }
}

// The pages that a loader or a firmware tells of; or those of the image's own notes, but not by
// Linux's protocol, in whose 64-bit entry the image clears them. A CPUID page that is asked for
// and empty would leave CPUID to the host, whom it is there to keep from it.
void find_snp_pages(uint32_t info, uint32_t magic) {
    SevState& sev = state();
    PhysMemory memory = {0, kSeen};
    const ConfidentialPages pages = find_confidential_pages(memory, magic, info);
    if (pages.wrong || pages.cpuid.end > kSeen || pages.secrets.end > kSeen)
        sev_terminate(PROLOGUE_SEV_CPUID_PAGE);
    const ImageWithPages image = {.span = {address(SEV32_IMAGE), address(SEV32_IMAGE_END)},
                                  .cpuid = address(SEV32_CPUID_PAGE),
                                  .secrets = address(SEV32_SECRETS_PAGE)};
    if (!lie_apart(pages, image))
        sev_terminate(PROLOGUE_SEV_PAGE_NOT_APART);
    sev.cpuid_page_phys = pages.told ? pages.cpuid.start : image.cpuid;
    sev.secrets_page_phys = pages.told ? pages.secrets.start : image.secrets;
    const bool wanted = pages.told || magic != LINUX_MAGIC;
    if (!cpuid_page()->is_well_formed() || (wanted && !cpuid_page()->is_there()))
        sev_terminate(PROLOGUE_SEV_CPUID_PAGE);
    if (!cpuid_page()->is_there())
        sev.cpuid_page_phys = sev.secrets_page_phys = 0;
}

// Every source that there is must name the same C-bit. Whether it is true shows when memory is
// read through tables. The GHCB MSR is looked at before anything is asked by it.
unsigned find_c_bit() {
    SevState& sev = state();
    SevInfo info = {0, kNoCBit};
    if (sev.es()) {
        info = negotiate(read_ghcb_msr(), sev.snp() ? kLeastVersionOfSnp : kLeastVersion);
        sev.version = info.version;
    }
    const uint32_t ebx = cpuid(CPUID_ENCRYPTION, kEbx);
    const unsigned c_bit = ebx & ENCRYPTION_EBX_C_BIT;
    // A host would save itself an attack by a word; the page is its processor's.
    sev.coherent = cpuid_page() != nullptr && (ebx & ENCRYPTION_EBX_COHERENT) != 0;
    if (!is_c_bit(c_bit))
        sev_terminate(PROLOGUE_SEV_C_BIT_RANGE);
    if (info.c_bit != kNoCBit && info.c_bit != c_bit)
        sev_terminate(PROLOGUE_SEV_C_BIT_DISAGREE);
    return c_bit;
}

bool wants_five_levels() {
    const uint32_t wish = *at<const uint32_t>(SEV32_WISH_PAGING);
    if (wish == PROLOGUE_PAGING_FOUR)
        return false;
    const bool can = (cpuid(CPUID_STRUCTURED_FEATURES, kEcx) >> STRUCTURED_ECX_LA57_BIT & 1) != 0;
    if (!can && wish == PROLOGUE_PAGING_FIVE)
        sev_terminate(PROLOGUE_SEV_NO_LA57);
    return can;
}

void fill(uint64_t* table, uint64_t value, uint64_t step) {
    for (unsigned i = 0; i != TABLE_ENTRIES; ++i, value += step)
        table[i] = value;
}

// The first 4 GiB at their own addresses, all of it private, with small pages around the
// one that is to be the GHCB.
void build_tables(bool has_1g_pages, uint64_t c_bit_mask) {
    const uint64_t table = c_bit_mask | PTE_PRESENT | PTE_WRITABLE;
    const uint64_t large = table | PTE_LARGE;
    auto* const pdpt = at<uint64_t>(SEV32_EARLY_PDPT);
    const uint32_t ghcb = address(SEV32_GHCB);
    for (unsigned gib = 0; gib != EARLY_PDS; ++gib) {
        const uint64_t start = uint64_t{gib} << 30;
        const bool shares = gib == ghcb >> 30;
        if (has_1g_pages && !shares) {
            pdpt[gib] = start | large;
            continue;
        }
        uint64_t* const pd = at<uint64_t>(SEV32_EARLY_PD) + gib * TABLE_ENTRIES;
        fill(pd, start | large, 2 * kMiB);
        pdpt[gib] = reinterpret_cast<uintptr_t>(pd) | table;
        if (!shares)
            continue;
        auto* const pt = at<uint64_t>(SEV32_GHCB_PT);
        const uint32_t first = ghcb & ~(2 * static_cast<uint32_t>(kMiB) - 1);
        fill(pt, first | table, kPage);
        pd[first >> 21 & (TABLE_ENTRIES - 1)] = reinterpret_cast<uintptr_t>(pt) | table;
    }
    at<uint64_t>(SEV32_EARLY_PML4)[0] = address(SEV32_EARLY_PDPT) | table;
    at<uint64_t>(SEV32_EARLY_PML5)[0] = address(SEV32_EARLY_PML4) | table;
}

void start(uint32_t status_low, uint32_t status_high, uint32_t info, uint32_t magic) {
    SevState& sev = state();
    sev.status = uint64_t{status_high} << 32 | status_low;
    const uint32_t wish = *at<const uint32_t>(SEV32_WISH_SEV);
    const unsigned unserved = unserved_feature(status_low, status_high, wish);
    if (unserved != kNoFeature)
        sev_terminate(PROLOGUE_SEV_FEATURE(unserved));
    if ((required_status(wish) & ~status_low) != 0)
        sev_terminate(PROLOGUE_SEV_MISSING);
    if (sev.snp())
        find_snp_pages(info, magic);

    const unsigned c_bit = find_c_bit();
    sev.c_bit_mask = uint64_t{1u << (c_bit - 32)} << 32;
    sev.features = cpuid(CPUID_EXTENDED_FEATURES, kEdx);
    if ((~sev.features & (EXTENDED_EDX_LONG_MODE | EXTENDED_EDX_NX)) != 0)
        sev_terminate(PROLOGUE_SEV_NO_LONG_MODE);
    const bool five = wants_five_levels();
    sev.cr3 = address(five ? SEV32_EARLY_PML5 : SEV32_EARLY_PML4);
    sev.cr4 = CR4_LONG_MODE | (five ? CR4_LA57 : 0);
    sev.own_phys = address(SEV32_STATE);
    sev.boot.ghcb_phys = address(SEV32_GHCB);
    build_tables((sev.features >> EXTENDED_EDX_1G_PAGES_BIT & 1) != 0, sev.c_bit_mask);
}

} // namespace

bool PhysMemory::reach(uint64_t start, uint64_t bytes) {
    return sees(start, bytes);
}

uint64_t read_ghcb_msr() {
    return read_msr(MSR_GHCB);
}

uint64_t exchange_ghcb_msr(uint64_t request) {
    uint64_t response = request;
    asm volatile("wrmsr\n\trep\n\tvmmcall\n\trdmsr" : "+A"(response) : "c"(MSR_GHCB) : "memory");
    return response;
}

// Without ES there is no protocol to end by, but a console.
void sev_terminate(unsigned code) {
    SevState& sev = state();
    if (sev.status != 0 && !sev.es()) {
        auto* const fatal = at<void __attribute__((noreturn, regparm(3))) (uint32_t, uint32_t)>(
            SEV32_FATAL);
        fatal(code, static_cast<uint32_t>(sev.status));
    }
    for (;;) {
        exchange_ghcb_msr(GHCB_TERMINATION(code));
        asm volatile("cli; hlt");
    }
}

} // namespace prologue

extern "C" __attribute__((section(".text.first"), regparm(0))) void stage32_main(
    uint32_t operation, uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
    using namespace prologue;
    switch (operation) {
    case SEV32_START:
        return start(a, b, c, d);
    default:
        sev_terminate(a);
    }
}
