#include "exit_names.h"

#include "ghcb.h"
#include "ghcb_msr_protocol.h"
#include "prologue/sev_reasons.h"
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
    {exit::kNmi, "NMI"},
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
    {nae::kHvDoorbell, "#HV doorbell page"},
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

// prologue/sev_reasons.h
constexpr Name kPrologueReasons[] = {
    {PROLOGUE_SEV_FATAL, "if it is Prologue: a fatal line is on the console"},
    {PROLOGUE_SEV_STATUS_READ, "if it is Prologue: SEV_STATUS is intercepted"},
    {PROLOGUE_SEV_VERSION, "if it is Prologue: no version of the protocol that both know"},
    {PROLOGUE_SEV_C_BIT_RANGE, "if it is Prologue: a C-bit that is none of 32 to 51"},
    {PROLOGUE_SEV_C_BIT_DISAGREE, "if it is Prologue: two sources name different C-bits"},
    {PROLOGUE_SEV_C_BIT_PROOF, "if it is Prologue: memory reads differently through the tables"},
    {PROLOGUE_SEV_NO_RANDOM, "if it is Prologue: RDRAND gives nothing"},
    {PROLOGUE_SEV_NO_LONG_MODE, "if it is Prologue: no long mode, or no NX"},
    {PROLOGUE_SEV_NO_LA57, "if it is Prologue: no five levels of paging"},
    {PROLOGUE_SEV_TOO_HIGH, "if it is Prologue: entered in 64-bit mode above 4 GiB"},
    {PROLOGUE_SEV_SNP_FEATURE, "if it is Prologue: SNP is not offered to an SNP guest"},
    {PROLOGUE_SEV_CPUID_PAGE, "if it is Prologue: the CPUID page is malformed"},
    {PROLOGUE_SEV_LEFT_OUT, "if it is Prologue: the kernel serves no SEV guests"},
    {PROLOGUE_SEV_NO_MEMORY, "if it is Prologue: no page is left for a page table"},
    {PROLOGUE_SEV_VC_INJECTED, "if it is Prologue: a #VC that the instruction does not explain"},
    {PROLOGUE_SEV_VC_CODE, "if it is Prologue: a #VC that is not served"},
    {PROLOGUE_SEV_VC_FORM, "if it is Prologue: an instruction whose form is not served"},
    {PROLOGUE_SEV_VC_NESTED, "if it is Prologue: a #VC in a #VC"},
    {PROLOGUE_SEV_VC_USER, "if it is Prologue: a #VC from user or compatibility mode"},
    {PROLOGUE_SEV_VC_EARLY, "if it is Prologue: a #VC before the GHCB page stands"},
    {PROLOGUE_SEV_VC_SUBLEAF, "if it is Prologue: a CPUID sub-leaf before the GHCB page stands"},
    {PROLOGUE_SEV_VC_NOT_VALIDATED, "if it is Prologue: memory that nobody accepted"},
    {PROLOGUE_SEV_VC_MMIO, "if it is Prologue: MMIO through a private mapping, or none"},
    {PROLOGUE_SEV_MSR_RESPONSE, "if it is Prologue: the GHCB MSR's answer is to another request"},
    {PROLOGUE_SEV_HIDDEN, "if it is Prologue: SEV_STATUS cannot be read, on a CPU with SEV-ES"},
    {PROLOGUE_SEV_MISSING, "if it is Prologue: no SEV guest of the kind that the kernel requires"},
    {PROLOGUE_SEV_GHCB_REFUSED, "if it is Prologue: the GHCB's registration failed"},
    {PROLOGUE_SEV_GHCB_RESULT, "if it is Prologue: SW_EXITINFO1 is no answer"},
    {PROLOGUE_SEV_GHCB_MISSING, "if it is Prologue: a field of the answer is not valid"},
    {PROLOGUE_SEV_GHCB_EVENT, "if it is Prologue: an exception that cannot be delivered"},
    {PROLOGUE_SEV_PAGE_STATE, "if it is Prologue: a page state change failed"},
    {PROLOGUE_SEV_PVALIDATE, "if it is Prologue: PVALIDATE failed"},
    {PROLOGUE_SEV_PVALIDATE_TWICE, "if it is Prologue: PVALIDATE changed nothing"},
};

const char* prologue_reason_name(unsigned reason) {
    if (reason >= PROLOGUE_SEV_KERNEL)
        return "if it is Prologue: the kernel's own";
    if (reason >= PROLOGUE_SEV_EXCEPTION(0))
        return "if it is Prologue: an exception, whose vector is the reason less 128";
    if (reason >= PROLOGUE_SEV_FEATURE(0))
        return "if it is Prologue: the bit of SEV_STATUS that is the reason less 64 is not served";
    return find(kPrologueReasons, reason);
}

} // namespace

const char* exit_name(uint64_t code) {
    return find(kExits, code);
}

const char* ghcb_msr_name(uint64_t code) {
    return find(kMsrRequests, code);
}

const char* termination_name(unsigned set, unsigned reason) {
    if (set == PROLOGUE_SEV_REASON_SET)
        return prologue_reason_name(reason);
    return find(kTerminations, set << kSetShift | reason);
}

} // namespace sevhost
