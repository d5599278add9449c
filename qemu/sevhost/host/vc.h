// The VMM communication exception, and the skipping of what the host has done.
#pragma once

#include <stdint.h>

#include "guest.h"
#include "instruction.h"

namespace sevhost {

uint64_t exit_code_of(const Guest& guest);

// Delivers #VC: the exit code is its error code (15.35.5). A shutdown ends the run.
void raise_vc(Guest& guest, uint64_t code);

// The same for any exception, of which it is told why it is raised.
void raise_exception(Guest& guest, unsigned vector, uint32_t error_code);

// One that the host makes up: where the processor lets it (doorbell.h).
void send_exception(Guest& guest, unsigned vector, uint32_t error_code);

void skip_instruction(Guest& guest, const Instruction& instruction);

// Behind the instruction at RIP, which must be the one that the exit is of.
void skip_instruction(Guest& guest, Op expected);

} // namespace sevhost
