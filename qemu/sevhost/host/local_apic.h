// The local APICs, which are the machine's own but for what starts and stops processors: INIT,
// SIPI and NMI go through the host (KVM: arch/x86/kvm/lapic.c, __apic_accept_irq).
#pragma once

#include "guest.h"

namespace sevhost {

// True: the host has done it, and the APIC is not to see it.
bool apic_takes_write(Guest& guest, GuestPhys at, const uint8_t* from, unsigned bytes);
bool apic_takes_msr(Guest& guest, uint32_t msr, uint64_t value);

// From this processor's own APIC, which is left as the guest has it.
void send_nmi(Guest& guest, uint32_t apic_id);

} // namespace sevhost
