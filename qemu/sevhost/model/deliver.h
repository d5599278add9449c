// Delivery of an exception by the rules of the processor (APM vol. 2, 8.6 to 8.9):
// TCG's event injection knows #VC's vector, but pushes no error code for it.
#pragma once

#include <stdint.h>

#include "processor.h"

namespace sevhost {

// One try, and why it failed: the exception that the processor raises instead.
struct DeliveryAttempt {
    unsigned vector = 0;
    uint32_t error_code = 0;
    const char* failure = nullptr; // nullptr: the handler was entered
    uint64_t number = 0;           // that belongs to it: an address, a selector, a limit
    bool page_fault = false;       // what it raises: #PF, or a contributory exception
    uint32_t fault_code = 0;       // #PF's
};

// #VC, what its failure led to, ..., and a double fault.
constexpr unsigned kMaxDeliveryAttempts = 4;

struct Delivery {
    bool shutdown = false; // a double fault could not be delivered (8.2.9)
    unsigned count = 0;
    DeliveryAttempt attempt[kMaxDeliveryAttempts];
};

// Enters the guest's handler. A fault on the way is what table 8-3 makes of it: a page
// fault is delivered in turn, unless it was one that was being delivered; everything
// else is a double fault. Whether there is an error code is the processor's to know, and by
// EVENTINJ a host's to choose (15.20).
Delivery deliver_exception(Processor& processor, unsigned vector, uint32_t error_code,
                           bool with_code = true);

} // namespace sevhost
