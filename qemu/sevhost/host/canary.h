// A secret for the guest to keep. CANARY= is 64 bits that its free private memory and the
// registers that nobody defines hold at its entry. Where either half shows in what the host can
// see, a line tells it, and the run goes on.
#pragma once

#include "guest.h"

namespace sevhost {

// Before the first instruction, behind all that is placed; in registers, where nobody has said
// what they hold.
void plant_canary(Guest& guest);
void plant_canary_in_registers(Guest& guest);

// The GHCB MSR, or the page that it names.
void look_for_canary_at_vmgexit(const Guest& guest);
void look_for_canary_at_port(const Guest& guest, uint16_t port, unsigned bytes, uint32_t value);
// All of it, at the end of the run: what a page showed once, and not what it overwrote.
void look_for_canary_in_shared_memory(const Guest& guest);

bool holds_canary(const Guest& guest, const uint8_t* bytes, uint64_t count);

// How many times it was seen.
unsigned canaries_seen();

} // namespace sevhost
