// What a processor of the guest does, and what it waits for: KVM's mp_state and sev_es_state.
#pragma once

#include <stdint.h>

#include "arch.h"

namespace sevhost {

enum class Activity : uint8_t {
    runs,           // or halts with interrupts on, which the real processor does for it
    halted,         // with interrupts off
    held,           // in AP reset hold
    waits_for_init, // as at power-on
    waits_for_sipi,
    is_gone, // SNP: its VMSA has been taken away
};
const char* text(Activity activity);

enum class ResetHold : uint8_t { none, by_msr, by_page };

constexpr GuestPhys kNoVmsa = ~uint64_t{0};

struct Standing {
    unsigned index = 0; // in the guest; 0: the boot processor
    uint32_t apic_id = 0;
    uint8_t logical_id = 0; // LDR, as the guest has written it

    Activity activity = Activity::waits_for_init;
    bool has_state = false; // a VMSA was launched for it
    bool has_had_sipi = false;
    ResetHold hold = ResetHold::none; // how it was held last
    unsigned holds = 0;               // how often the guest has put it into AP reset hold
    bool nmi = false;                 // one is due
    uint64_t halt_at = 0;             // RIP of the HLT that the processor is doing
    bool is_halting = false;

    GuestPhys vmsa = kNoVmsa;      // SNP: the page that the guest has made for it
    GuestPhys next_vmsa = kNoVmsa; // to be used at INIT
    bool has_next_vmsa = false;    // there is one, or that there is none

    bool has_another_state = false; // than it last entered the guest with

    bool in_guest = false; // on its way in, or there: between two turns
};

} // namespace sevhost
