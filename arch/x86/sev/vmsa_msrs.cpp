#include "vmsa_msrs.h"

#include "bits.h"
#include "sev_bits.h"

namespace prologue {
namespace {

struct Msrs {
    uint32_t first;
    uint16_t count;
    uint16_t feature; // the bit of SEV_STATUS without which the host has them: 0 for none
};

constexpr uint16_t bit_of(uint64_t feature) {
    return static_cast<uint16_t>(__builtin_ctzll(feature));
}
constexpr uint16_t kDebugSwap = bit_of(SEV_STATUS_DEBUG_SWAP);
constexpr uint16_t kSecureTsc = bit_of(SEV_STATUS_SECURE_TSC);

// In the table's order, behind SEV's own, which are no fields of it.
constexpr Msrs kKept[] = {
    {MSR_GHCB & ~0xfu, 16},
    {0x6a4, 4},    // PL0_SSP to PL3_SSP
    {0x6a0, 1},    // U_CET
    {MSR_EFER, 5}, // and STAR, LSTAR, CSTAR, SFMASK
    {MSR_XSS, 1},
    {0xc0011027, 1, kDebugSwap}, // DR0_ADDR_MASK
    {0xc0011019, 3, kDebugSwap}, // DR1_ADDR_MASK to DR3_ADDR_MASK
    {0x6a2, 1},                  // S_CET
    {0x6a8, 1},                  // ISST_ADDR
    {MSR_FS_BASE, 4},            // and the bases of GS and KERNEL_GS, TSC_AUX
    {0x174, 3},                  // SYSENTER_CS, _ESP, _EIP
    {MSR_PAT, 1},
    {0x1d9, 1},      // DEBUGCTL
    {0x1db, 4},      // BR_FROM, BR_TO, LAST_EXCP_FROM, LAST_EXCP_TO
    {0xc000010e, 2}, // LBR_SELECT, DBG_EXTN_CFG
    {0x48, 1},       // SPEC_CTRL
    {MSR_TSC, 1, kSecureTsc},
    {0xc0010300, 32}, // LBR_STACK
    {0xc0011030, 2},  // IBS_FETCH_CTL, _LINADDR
    {0xc0011033, 6},  // IBS_OP_CTL, _RIP, _DATA, _DATA2, _DATA3; IBS_DC_LINADDR
    {0xc001103b, 2},  // BP_IBSTGT_RIP, IC_IBS_EXTD_CTL
};

} // namespace

bool is_kept_in_vmsa(uint32_t msr, uint64_t status) {
    for (const Msrs& kept : kKept)
        if (msr - kept.first < kept.count)
            return (status >> kept.feature & 1) != 0;
    return false;
}

} // namespace prologue
