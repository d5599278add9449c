// Nested page faults: what the guest's addresses reach.
#pragma once

#include "guest.h"

namespace sevhost {

void handle_nested_fault(Guest& guest);

// Chooses the tables that fit the guest's paging mode.
void choose_nested_tables(Guest& guest);

} // namespace sevhost
