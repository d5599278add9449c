// Delivery of an exception by the rules of the processor (APM vol. 2, 8.7 and 8.9):
// TCG's event injection knows #VC's vector, but pushes no error code for it.
#pragma once

#include <stdint.h>

#include "guest.h"

namespace sevhost {

// Enters the guest's handler. A fault on the way becomes a double fault, and one
// that cannot be delivered either ends the run as the shutdown that it is.
void deliver_exception(Guest& guest, unsigned vector, uint32_t error_code);

} // namespace sevhost
