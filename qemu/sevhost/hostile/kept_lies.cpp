// Lies about what the processor keeps for the guest: MSRs of its save area that a host intercepts
// all the same, and then has the word on.
#include "hostile.h"
#include "intercepts.h"
#include "platform.h"

namespace sevhost {
namespace {

// Those of the save area that the emulated processor has, but EFER: to intercept that is another
// matter (control_registers.h).
constexpr uint32_t kKept[] = {
    kMsrStar,         kMsrLstar,      kMsrCstar,       kMsrSfmask,      kMsrFsBase, kMsrGsBase,
    kMsrKernelGsBase, kMsrSysenterCs, kMsrSysenterEsp, kMsrSysenterEip, kMsrPat,    kMsrTscAux,
};

void intercept_kept(Guest&) {
    for (const uint32_t msr : kKept)
        intercept_msr(msr);
}

bool drop_kept(Guest&, uint32_t msr, bool write, uint64_t& value) {
    for (const uint32_t kept : kKept)
        if (msr == kept) {
            if (!write)
                value = 0xbadbadbadbadbad;
            return true;
        }
    return false;
}

// As OpenBSD's vmm does, to plain guests and to SEV-ES ones (vmm_machdep.c, vcpu_reset_regs_svm):
// what the guest has in truth was written at its launch.
uint64_t shadowed_pat = 0x0007010600070106; // WB, WC, UC-, UC, twice

void intercept_pat(Guest&) {
    intercept_msr(kMsrPat);
}

bool shadow_pat(Guest&, uint32_t msr, bool write, uint64_t& value) {
    if (msr != kMsrPat)
        return false;
    (write ? shadowed_pat : value) = write ? value : shadowed_pat;
    return true;
}

using enum HostileClass;
// A row an entry.
// clang-format off
constexpr Hostile kEntries[] = {
    {.name = "msr-own-dropped", .kind = detected, .guests = kOnBoth,
     .right_guest = "terminates: the processor has that MSR for it", .at_launch = intercept_kept,
     .msr = drop_kept},
    {.name = "pat-shadowed", .kind = harmless, .guests = kOnEs,
     .right_guest = "lives with the memory types that it was launched with",
     .at_launch = intercept_pat, .msr = shadow_pat},
};
// clang-format on

} // namespace

const HostileTable kLiesOfTheKept = hostile_table(kEntries);

} // namespace sevhost
