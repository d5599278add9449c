#include "profile.h"

#include "arch.h"
#include "ghcb.h"
#include "ghcb_msr_protocol.h"
#include "outcome.h"
#include "svm_exits.h"

namespace sevhost {
namespace {

// KVM with QEMU (Linux: arch/x86/kvm/svm/svm.c, init_vmcb and svm_set_cr4; sev.c,
// sev_es_init_vmcb, sev_handle_vmgexit_msr_protocol, sev_es_validate_vmgexit).
constexpr uint64_t kKvmMsrRequests[] = {
    ghcb_msr::kSevInfoRequest,   ghcb_msr::kCpuidRequest,    ghcb_msr::kApResetHoldRequest,
    ghcb_msr::kPreferredRequest, ghcb_msr::kRegisterRequest, ghcb_msr::kPageStateRequest,
    ghcb_msr::kFeaturesRequest,  ghcb_msr::kTerminate,
};
constexpr uint64_t kKvmPageEvents[] = {
    exit::kReadDr7,        exit::kWriteDr7,    exit::kRdtsc,
    exit::kRdpmc,          exit::kCpuid,       exit::kInvd,
    exit::kIoio,           exit::kMsr,         exit::kVmmcall,
    exit::kRdtscp,         exit::kWbinvd,      exit::kMonitor,
    exit::kMwait,          nae::kMmioRead,     nae::kMmioWrite,
    nae::kNmiComplete,     nae::kApResetHold,  nae::kApJumpTable,
    nae::kPageStateChange, nae::kGuestRequest, nae::kExtendedGuestRequest,
    nae::kApCreation,      nae::kHvDoorbell,   nae::kFeatures,
    nae::kTerminate,       nae::kUnsupported,
};

// OpenBSD's vmm (sys/arch/amd64/amd64/vmm_machdep.c: vcpu_reset_regs_svm,
// svm_handle_vmgexit, svm_vmgexit_sync_host, svm_handle_msr).
constexpr uint64_t kVmmPat = 0x0007010600070106; // WB, WC, UC-, UC, and so again
constexpr uint64_t kVmmMsrRequests[] = {ghcb_msr::kCpuidRequest, ghcb_msr::kTerminate};
constexpr uint64_t kVmmPageEvents[] = {exit::kCpuid, exit::kIoio, exit::kMsr};

// `first_ghcb` is all that a firmware changes. CR4.MCE is that of the host's own CR4.
constexpr Profile kvm(const char* name, FirstGhcb first_ghcb) {
    return {
        .name = name,
        .most = Sev::snp,
        .cr4 = kCr4Mce,
        .pat = kPatAtReset,
        .caches_at_reset = true,
        .first_ghcb = first_ghcb,
        .intercepts_caches = true,
        .intercepts_counters = true,
        .intercepts_dr7 = true,
        .intercepts_rdtscp = false,
        .intercepts_pat = false,
        .intercepts_tsc_aux = false,
        .msr_requests = kKvmMsrRequests,
        .page_events = kKvmPageEvents,
        .ends_on_wrong_requests = false,
        .serves_port_strings = true,
        .keeps_first_ghcb = false,
        .returns_all_registers = true,
        .clears_page = false,
        .has_few_msrs = false,
        .features = kFeatureSnp | kFeatureApCreation,
    };
}

constexpr Profile kProfiles[] = {
    kvm("kvm", FirstGhcb::sev_info),
    {
        .name = "vmm",
        .most = Sev::es,
        .cr4 = 0,
        .pat = kVmmPat,
        .caches_at_reset = false,
        .first_ghcb = FirstGhcb::zero,
        .intercepts_caches = false,
        .intercepts_counters = false,
        .intercepts_dr7 = false,
        .intercepts_rdtscp = true,
        .intercepts_pat = true,
        .intercepts_tsc_aux = true,
        .msr_requests = kVmmMsrRequests,
        .page_events = kVmmPageEvents,
        .ends_on_wrong_requests = true,
        .serves_port_strings = false,
        .keeps_first_ghcb = true,
        .returns_all_registers = false,
        .clears_page = true,
        .has_few_msrs = true,
        .features = 0,
    },
    kvm("firmware", FirstGhcb::old_page),
};

} // namespace

const Profile& find_profile(Text name) {
    if (name.size == 0)
        return kProfiles[0];
    for (const Profile& profile : kProfiles)
        if (name == profile.name)
            return profile;
    fail("the host's command line: host=", name, " is none of kvm, vmm, firmware");
}

} // namespace sevhost
