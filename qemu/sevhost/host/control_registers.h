// CR0 and EFER, which change what the guest's addresses mean (see the traps in
// docs and in control_registers.cpp).
#pragma once

#include <stdint.h>

#include "guest.h"

namespace sevhost {

// Gives the VMCB what fits guest.efer and CR0.
void update_vmcb_efer(Guest& guest);

// EFER as the guest reads and writes it. False: #GP.
uint64_t read_efer(const Guest& guest);
bool write_efer(Guest& guest, uint64_t value);

// The same without SVME, which is the host's.
uint64_t guest_efer(const Guest& guest);
bool set_guest_efer(Guest& guest, uint64_t value);

// The exit of an instruction that changes CR0 in more than TS and MP.
void handle_cr0_write(Guest& guest);

// TCG answers a bad value for CR3 or CR4 with exit -1; a processor with #GP.
void handle_invalid_state(Guest& guest);

} // namespace sevhost
