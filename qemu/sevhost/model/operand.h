// Where instructions reach into memory, in linear addresses.
#pragma once

#include "instruction.h"
#include "page_walk.h"

namespace sevhost {

CodeBits code_bits(const Processor& processor);

Instruction instruction_at(const Processor& processor);

uint64_t linear_of(const Processor& processor, const Instruction& instruction);

// At which linear address the instruction at RIP reached `gpa`, or a page table there: what
// a processor puts into CR2 (APM vol. 2, 15.36.10). False where none of its operands does.
bool find_access(const Processor& processor, GuestPhys gpa, bool fetch, uint64_t& linear);

} // namespace sevhost
