#include "intercepts.h"

#include <string.h>

#include "platform.h"

namespace sevhost {
namespace {

// Bits of the intercept words (appendix B, offsets 0x0c and 0x10)
constexpr uint32_t kCr0Selective = 1u << 5;
constexpr uint32_t kRdpmc = 1u << 15;
constexpr uint32_t kCpuid = 1u << 18;
constexpr uint32_t kInvd = 1u << 22;
constexpr uint32_t kHlt = 1u << 24;
constexpr uint32_t kInvlpga = 1u << 26;
constexpr uint32_t kIoio = 1u << 27;
constexpr uint32_t kMsr = 1u << 28;
constexpr uint32_t kShutdown = 1u << 31;

constexpr uint32_t kVmrun = 1u << 0;
constexpr uint32_t kVmmcall = 1u << 1;
constexpr uint32_t kOtherSvm = 1u << 2 | 1u << 3 | 1u << 4 | 1u << 5 | 1u << 6; // to SKINIT
constexpr uint32_t kWbinvd = 1u << 9;
constexpr uint32_t kMonitor = 1u << 10;
constexpr uint32_t kMwait = 1u << 11 | 1u << 12;

constexpr uint32_t kTables = 0xffu << 6; // SIDT to LTR
constexpr uint32_t kRdtsc = 1u << 14;
constexpr uint32_t kRdtscp = 1u << 7;
constexpr uint16_t kControlRegisters = 1u << 0 | 1u << 2 | 1u << 3 | 1u << 4 | 1u << 8;
constexpr uint16_t kDr7 = 1u << 7;

struct Maps {
    alignas(kPageBytes) uint8_t iopm[kIopmBytes];
    alignas(kPageBytes) uint8_t msrpm[kMsrpmBytes];
    bool wants_tsc; // RDTSC, and not only what TCG needs for RDTSCP
};
Maps maps, kept;
bool have_changed; // since they were kept

// The MSR permission map: two bits an MSR, in three ranges (15.11).
constexpr uint32_t kMsrsInRange = 0x2000;
constexpr uint32_t kMsrRanges[] = {0, 0xc0000000, 0xc0010000};
constexpr unsigned kMsrBits = 2;

void set_msr(uint32_t msr, bool intercepted) {
    for (uint32_t range = 0; range != 3; ++range) {
        if (msr - kMsrRanges[range] >= kMsrsInRange)
            continue;
        const uint32_t bit = (range * kMsrsInRange + msr - kMsrRanges[range]) * kMsrBits;
        const uint8_t both = static_cast<uint8_t>(3u << bit % 8);
        uint8_t& byte = maps.msrpm[bit / 8];
        byte = static_cast<uint8_t>(intercepted ? byte | both : byte & ~both);
    }
}

// MSRs that are a guest's own: saved in the VMSA, or the same for host and guest.
constexpr uint32_t kGuestsOwnMsrs[] = {
    kMsrStar,   kMsrLstar,        kMsrCstar,      kMsrSfmask,      kMsrFsBase,
    kMsrGsBase, kMsrKernelGsBase, kMsrSysenterCs, kMsrSysenterEsp, kMsrSysenterEip,
};

// What no guest may have, whatever it is: they are the host's, or told by the host.
constexpr uint32_t kHostsMsrs[] = {
    kMsrEfer, kMsrVmCr, kMsrVmHsavePa, kMsrGhcb, kMsrSevStatus,
};

void set_port(uint16_t port) {
    maps.iopm[port / 8] = static_cast<uint8_t>(maps.iopm[port / 8] | 1u << port % 8);
}

void set_plain_maps() {
    for (uint32_t msr : kHostsMsrs)
        set_msr(msr, true);
    for (uint16_t port : kPlatformPorts)
        set_port(port);
}

void set_encrypted_maps(const Profile& profile) {
    memset(maps.msrpm, 0xff, sizeof maps.msrpm);
    memset(maps.iopm, 0xff, sizeof maps.iopm);
    for (uint32_t msr : kGuestsOwnMsrs)
        set_msr(msr, false);
    set_msr(kMsrPat, profile.intercepts_pat);
    set_msr(kMsrTscAux, profile.intercepts_tsc_aux);
}

void add_profiles(const Profile& profile, VmcbControl& control) {
    if (profile.intercepts_caches) {
        control.misc1 |= kInvd;
        control.misc2 |= kWbinvd;
    }
    if (profile.intercepts_counters)
        control.misc1 |= kRdpmc;
    if (profile.intercepts_dr7)
        control.dr_writes = control.dr_reads = kDr7;
    if (profile.intercepts_rdtscp) {
        control.misc1 |= kRdtsc; // by which TCG exits from RDTSCP too
        control.misc2 |= kRdtscp;
    }
}

void add_wanted(Guest& guest, VmcbControl& control) {
    const Intercepted& wanted = guest.settings.intercepted;
    if (wanted.tsc)
        intercept_tsc(guest);
    // TCG does not know RDPRU; and XSETBV only if the CPU has XSAVE, but no exit for it.
    if (wanted.rdpru || wanted.xsetbv)
        control.exceptions |= 1u << kVectorUd;
    if (wanted.control_registers)
        control.cr_reads = control.cr_writes = kControlRegisters;
    if (wanted.tables)
        control.misc1 |= kTables;
}

} // namespace

void set_intercepts(Guest& guest) {
    VmcbControl& control = guest.vmcb->control;
    control.misc1 = kCr0Selective | kHlt | kInvlpga | kIoio | kMsr | kShutdown;
    control.misc2 = kVmrun | kVmmcall | kOtherSvm;
    if (guest.encrypted())
        control.misc1 |= kCpuid;
    if (guest.state_is_encrypted()) {
        control.misc2 |= kMonitor | kMwait;
        add_profiles(guest.profile, control);
    }
    if (guest.snp())
        control.exceptions |= 1u << kVectorUd; // PVALIDATE and RMPADJUST are unknown to TCG
    if (guest.state_is_encrypted()) {
        add_wanted(guest, control);
        set_encrypted_maps(guest.profile);
    } else {
        set_plain_maps();
    }
    control.iopm = guest.host.phys_of(maps.iopm);
    control.msrpm = guest.host.phys_of(maps.msrpm);
}

void intercept_tsc(Guest& guest) {
    maps.wants_tsc = have_changed = true;
    guest.vmcb->control.misc1 |= kRdtsc;
    guest.vmcb->control.misc2 |= kRdtscp;
}

bool intercepts_tsc() {
    return maps.wants_tsc;
}

void intercept_msr(uint32_t msr) {
    have_changed = true;
    set_msr(msr, true);
}

void keep_intercepts() {
    kept = maps;
    have_changed = false;
}

void take_back_intercepts() {
    if (have_changed)
        maps = kept;
    have_changed = false;
}

void intercept_memory_ports() {
    have_changed = true;
    for (uint16_t port : kMemoryPorts)
        set_port(port);
}

void let_halt_through(Guest& guest) {
    guest.vmcb->control.misc1 &= ~kHlt;
}

void intercept_halt(Guest& guest) {
    guest.vmcb->control.misc1 |= kHlt;
}

} // namespace sevhost
