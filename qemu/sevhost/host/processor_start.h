// How the processors behind the first are started and stopped: INIT and SIPI, AP reset hold, the
// AP jump table, AP creation; as KVM does it (Linux: arch/x86/kvm/svm/sev.c and
// arch/x86/kvm/lapic.c, kvm_apic_accept_events).
#pragma once

#include "guest.h"

namespace sevhost {

// What the launch has made of a processor that is not the first.
void launch_processor(Guest& guest);

void deliver_init(Guest& sender, Guest& other);
void deliver_sipi(Guest& sender, Guest& other, uint8_t vector);
void deliver_nmi(Guest& sender, Guest& other);

// What the guest has asked for: by a SIPI, or by a VMSA.
void start_as_asked(Guest& other);

// The processor waits for a SIPI, and is told of it in the GHCB MSR or page.
void hold(Guest& guest, ResetHold how);

// AP creation and destruction (56421, 4.1.14; KVM: sev_snp_ap_creation). False: the guest is
// told that its input is wrong.
struct ApRequest {
    uint64_t info1, vmsa, features;
};
bool create_processor(Guest& guest, const ApRequest& request);

} // namespace sevhost
