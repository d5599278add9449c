// SNP: which pages are the guest's private ones, and which of them it has
// validated (APM vol. 2, 15.36.3; AMD 56421, 4.1.6).
#pragma once

#include <stdint.h>

#include "guest.h"

namespace sevhost {

// Operations of a page state change.
enum class PageOperation : uint8_t { private_ = 1, shared = 2, psmash = 3, unsmash = 4 };

// What an access to a page of the guest's memory meets.
enum class PageCheck : uint8_t { allowed, not_validated, not_private, not_shared };

constexpr uint64_t kPageStateListBytes = 8 + 253 * 8;

// The reverse map for the guest's memory: all of it private and validated, as if
// launched whole, since nobody would accept the rest for a kernel that is entered directly.
void create_reverse_map(Guest& guest);

PageCheck check_page(const Guest& guest, GuestPhys gpa, Backing wanted);

// False where the page or the operation is not the guest's to ask for.
bool change_page_state(Guest& guest, GuestPhys gpa, PageOperation operation, uint64_t bytes);

// Works off a list in the GHCB's shared buffer, updates its header, and returns SW_EXITINFO2.
uint64_t change_page_states(Guest& guest, uint8_t* list);

// PVALIDATE and RMPADJUST, which TCG does not know: true if #UD was one of them.
bool execute_snp_instruction(Guest& guest);

} // namespace sevhost
