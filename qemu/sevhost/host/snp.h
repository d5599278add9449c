// SNP as the host does it: the reverse map, PVALIDATE and RMPADJUST, page state changes.
#pragma once

#include <stdint.h>

#include "guest.h"
#include "instruction.h"
#include "page_state.h"

namespace sevhost {

// The reverse map for the guest's memory: all of it private; validated is what the launch
// placed or, where the settings say so, everything, as if a firmware had accepted it.
void create_reverse_map(Guest& guest);

// Whether the host converts a page when an access to it faults: a host that denies does not.
bool may_convert(const Guest& guest);
void convert_page(Guest& guest, GuestPhys page, PageOperation operation);

// False where the page or the operation is not the guest's to ask for.
bool change_page_state(Guest& guest, GuestPhys page, PageOperation operation, uint64_t bytes);

// The same, for each entry of a list; SW_EXITINFO2.
uint64_t change_page_state_list(Guest& guest, uint8_t* list);

// What is mapped of a page is mapped anew at the next access.
void forget_page(Guest& guest, GuestPhys page);

// PVALIDATE and RMPADJUST, which TCG does not know: true if #UD was one of them.
bool execute_snp_instruction(Guest& guest, const Instruction& instruction);

} // namespace sevhost
