// Where a firmware that has run has left the processors behind the first, as SEV-ES: held, with an
// AP jump table.
#pragma once

#include "guest.h"

namespace sevhost {

void place_waiting_room(Guest& guest);
void enter_waiting_room(Guest& guest);

} // namespace sevhost
