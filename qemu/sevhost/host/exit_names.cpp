#include "exit_names.h"

#include "ghcb.h"
#include "ghcb_msr_protocol.h"
#include "svm_exits.h"

namespace sevhost {
namespace {

struct Name {
    uint64_t code;
    const char* name;
};

template <unsigned count>
const char* find(const Name (&names)[count], uint64_t code) {
    for (const Name& entry : names)
        if (entry.code == code)
            return entry.name;
    return "?";
}

// APM vol. 2, appendix C; AMD 56421, 4.1
constexpr Name kExits[] = {
    {exit::kReadDr7, "read DR7"},
    {exit::kWriteDr7, "write DR7"},
    {exit::kDb, "#DB"},
    {exit::kUd, "#UD"},
    {exit::kCr0Selective, "write CR0's mode bits"},
    {0x00, "read CR0"},
    {0x02, "read CR2"},
    {0x03, "read CR3"},
    {0x04, "read CR4"},
    {0x08, "read CR8"},
    {0x10, "write CR0"},
    {0x12, "write CR2"},
    {0x13, "write CR3"},
    {0x14, "write CR4"},
    {0x18, "write CR8"},
    {0x66, "SIDT"},
    {0x67, "SGDT"},
    {0x68, "SLDT"},
    {0x69, "STR"},
    {0x6a, "LIDT"},
    {0x6b, "LGDT"},
    {0x6c, "LLDT"},
    {0x6d, "LTR"},
    {exit::kRdtsc, "RDTSC"},
    {exit::kRdpmc, "RDPMC"},
    {exit::kCpuid, "CPUID"},
    {exit::kInvd, "INVD"},
    {exit::kHlt, "HLT"},
    {exit::kInvlpga, "INVLPGA"},
    {exit::kIoio, "IOIO"},
    {exit::kMsr, "MSR"},
    {exit::kShutdown, "shutdown"},
    {exit::kVmrun, "VMRUN"},
    {exit::kVmmcall, "VMMCALL"},
    {exit::kVmload, "VMLOAD"},
    {exit::kVmsave, "VMSAVE"},
    {exit::kStgi, "STGI"},
    {exit::kClgi, "CLGI"},
    {exit::kSkinit, "SKINIT"},
    {exit::kRdtscp, "RDTSCP"},
    {exit::kWbinvd, "WBINVD"},
    {exit::kMonitor, "MONITOR"},
    {exit::kMwait, "MWAIT"},
    {exit::kMwaitArmed, "MWAIT, armed"},
    {exit::kXsetbv, "XSETBV"},
    {exit::kRdpru, "RDPRU"},
    {exit::kNestedFault, "nested fault"},
    {exit::kNotValidated, "page not validated"},
    {exit::kInvalid, "invalid state"},
    {nae::kMmioRead, "MMIO read"},
    {nae::kMmioWrite, "MMIO write"},
    {nae::kNmiComplete, "NMI complete"},
    {nae::kApResetHold, "AP reset hold"},
    {nae::kApJumpTable, "AP jump table"},
    {nae::kPageStateChange, "page state change"},
    {nae::kGuestRequest, "SNP guest request"},
    {nae::kExtendedGuestRequest, "SNP extended guest request"},
    {nae::kApCreation, "SNP AP creation"},
    {nae::kApicIds, "APIC IDs"},
    {nae::kFeatures, "hypervisor features"},
    {nae::kUnsupported, "unsupported event"},
};

constexpr Name kMsrRequests[] = {
    {ghcb_msr::kSevInfoRequest, "SEV information"},
    {ghcb_msr::kCpuidRequest, "CPUID"},
    {ghcb_msr::kApResetHoldRequest, "AP reset hold"},
    {ghcb_msr::kPreferredRequest, "preferred GHCB"},
    {ghcb_msr::kRegisterRequest, "register GHCB"},
    {ghcb_msr::kPageStateRequest, "page state change"},
    {ghcb_msr::kRunVmplRequest, "run VMPL"},
    {ghcb_msr::kFeaturesRequest, "hypervisor features"},
    {ghcb_msr::kTerminate, "terminate"},
};

constexpr unsigned kSetShift = 8;
constexpr Name kTerminations[] = {
    {0x000, "a general reason (56421, 2.3.1)"},
    {0x001, "the GHCB protocol is not supported (56421, 2.3.1)"},
    {0x002, "an SNP feature is not supported (56421, 2.3.1)"},
    {1 << kSetShift | 0x00, "if it is Linux: the GHCB could not be registered"},
    {1 << kSetShift | 0x01, "if it is Linux: a page state change failed"},
    {1 << kSetShift | 0x02, "if it is Linux: PVALIDATE failed"},
    {1 << kSetShift | 0x03, "if it is Linux: it does not run at VMPL 0"},
    {1 << kSetShift | 0x04, "if it is Linux: the CPUID page is not to be used"},
    {1 << kSetShift | 0x05, "if it is Linux: the host's CPUID answer failed"},
};

} // namespace

const char* exit_name(uint64_t code) {
    return find(kExits, code);
}

const char* ghcb_msr_name(uint64_t code) {
    return find(kMsrRequests, code);
}

const char* termination_name(unsigned set, unsigned reason) {
    return find(kTerminations, set << kSetShift | reason);
}

} // namespace sevhost
