// The guest's life: entered, and each of its exits handled, until the run ends.
#pragma once

#include "guest.h"
#include "images.h"

namespace sevhost {

void prepare_guest(Guest& guest);
// What the host writes into the VMSA, whoever has loaded the guest.
void set_hosts_state(Guest& guest);
void place_guest(Guest& guest, const Images& images);
[[noreturn]] void run(Guest& guest);
void run_to_next_exit(Guest& guest);

} // namespace sevhost
