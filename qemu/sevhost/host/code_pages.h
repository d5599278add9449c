// The code of the guest's image, as it was launched: a canary for control flow. With CANARY= a
// guest that executes anything else has been led there by its host.
#pragma once

#include "guest.h"

namespace sevhost {

// Memory that an ELF file's program header makes executable, once its bytes are placed.
void note_code(Guest& guest, GuestPhys start, uint64_t bytes);

// Where no code is known, all may be it.
bool may_be_code(GuestPhys gpa);

// The guest fetches from there. Ends the run where that is not its image's code.
void look_at_fetch(Guest& guest, GuestPhys gpa);

// Whether a page of code has other bytes now than were launched, those apart that the honest
// boot was seen to write: addresses that the entry completes.
bool code_page_differs(GuestPhys page, const uint8_t* now);
void learn_code_page(GuestPhys page, const uint8_t* now);

} // namespace sevhost
