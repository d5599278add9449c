// The VMM communication exception, and the skipping of what the host has done.
#pragma once

#include "guest.h"
#include "instruction.h"

namespace sevhost {

uint64_t exit_code_of(const Guest& guest);

// Delivers #VC: the exit code is its error code (15.35.5).
void raise_vc(Guest& guest, uint64_t code);

// The instruction at RIP.
Instruction instruction_at(const Guest& guest);

void skip_instruction(Guest& guest, const Instruction& instruction);

// Behind the instruction at RIP, which must be the one that the exit is of.
void skip_instruction(Guest& guest, Op expected);

} // namespace sevhost
