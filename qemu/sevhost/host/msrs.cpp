#include "msrs.h"

#include "control_registers.h"
#include "diagnosis.h"
#include "events.h"
#include "local_apic.h"
#include "safe_msr.h"
#include "vc.h"

namespace sevhost {
namespace {

// What of the machine's the guest may not change, and need not see.
bool is_hosts_own(uint32_t msr) {
    return msr == kMsrEfer || msr == kMsrVmCr || msr == kMsrVmHsavePa || msr == kMsrGhcb ||
           msr == kMsrSevStatus;
}

bool is_shadowed(const Guest& guest, uint32_t msr) {
    return msr == kMsrPat && guest.state_is_encrypted() && guest.profile.intercepts_pat;
}

// All that vmm has (svm_handle_msr); what is written to any other is dropped.
bool read_vmms(uint32_t msr, uint64_t& value) {
    constexpr uint64_t kLfenceSerializes = 1u << 1;
    switch (msr) {
    case kMsrPlatformId:
    case kMsrPatchLevel:
    case kMsrIntPending:
        value = 0;
        return true;
    case kMsrDeCfg:
        value = kLfenceSerializes;
        return true;
    }
    return false;
}

uint64_t injection_bit(const Guest& guest) {
    switch (guest.settings.injection) {
    case Injection::any:
        break;
    case Injection::restricted:
        return kSevStatusRestrictedInjection;
    case Injection::alternate:
        return kSevStatusAlternateInjection;
    }
    return 0;
}

uint64_t sev_status(const Guest& guest) {
    switch (guest.settings.sev) {
    case Sev::none:
        break;
    case Sev::sev:
        return kSevStatusSev;
    case Sev::es:
        return kSevStatusSev | kSevStatusEs;
    case Sev::snp:
        return kSevStatusSev | kSevStatusEs | kSevStatusSnp | injection_bit(guest);
    }
    return 0;
}

// MSRs of the processor itself, whose exits are automatic or no exits at all on
// hardware: EFER's write trap (15.35.5), the GHCB's address, SEV_STATUS.
bool read_processors(Guest& guest, uint32_t msr, uint64_t& value) {
    switch (msr) {
    case kMsrEfer:
        value = read_efer(guest);
        return true;
    case kMsrSevStatus:
        value = sev_status(guest);
        return true;
    case kMsrGhcb:
        value = guest.ghcb_msr;
        return guest.state_is_encrypted();
    }
    value = 0; // VM_CR and VM_HSAVE_PA: CPUID does not offer SVM, but Linux looks on its way out
    return true;
}

bool write_processors(Guest& guest, uint32_t msr, uint64_t value) {
    if (msr == kMsrEfer)
        return write_efer(guest, value);
    if (msr == kMsrGhcb && guest.state_is_encrypted()) {
        guest.ghcb_msr = value;
        return true;
    }
    return msr == kMsrVmCr || msr == kMsrVmHsavePa;
}

void access_directly(Guest& guest, bool write) {
    const auto msr = static_cast<uint32_t>(guest.gprs[rcx]);
    uint64_t value = guest.gprs[rdx] << 32 | static_cast<uint32_t>(guest.gprs[rax]);
    const bool own = is_hosts_own(msr);
    const bool done =
        write ? (own ? write_processors(guest, msr, value) : write_guest_msr(guest, msr, value))
              : (own ? read_processors(guest, msr, value) : read_guest_msr(guest, msr, value));
    if (!done) {
        inject_gp(guest);
        return;
    }
    if (!write) {
        guest.gprs[rax] = value & 0xffffffff;
        guest.gprs[rdx] = value >> 32;
    }
    skip_instruction(guest, write ? Op::wrmsr : Op::rdmsr);
}

// One that the processor serves, whoever asks; SEV_STATUS a host might keep to itself.
bool is_served(const Guest& guest, uint32_t msr) {
    const bool kept = msr == kMsrSevStatus && guest.settings.intercepted.sev_status;
    return !guest.state_is_encrypted() || (is_hosts_own(msr) && !kept);
}

} // namespace

bool read_guest_msr(Guest& guest, uint32_t msr, uint64_t& value) {
    if (is_shadowed(guest, msr)) {
        value = guest.shadow_pat;
        return true;
    }
    if (guest.state_is_encrypted() && guest.profile.has_few_msrs)
        return read_vmms(msr, value);
    return !is_hosts_own(msr) && read_msr_safely(msr, value);
}

bool write_guest_msr(Guest& guest, uint32_t msr, uint64_t value) {
    if (is_shadowed(guest, msr)) {
        guest.shadow_pat = value; // and the processor's own is as it was
        return true;
    }
    if (guest.state_is_encrypted() && guest.profile.has_few_msrs)
        return true;
    if (apic_takes_msr(guest, msr, value))
        return true;
    return !is_hosts_own(msr) && write_msr_safely(msr, value);
}

void handle_msr(Guest& guest) {
    const bool write = guest.vmcb->control.exit_info1 & 1;
    const auto msr = static_cast<uint32_t>(guest.gprs[rcx]);
    if (is_served(guest, msr))
        access_directly(guest, write);
    else
        raise_vc(guest, exit_code_of(guest));
}

} // namespace sevhost
