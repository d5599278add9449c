// Events that a sweep injects.
#pragma once

#include <stdint.h>

#include "guest.h"

namespace sevhost {

enum class EventKind : uint8_t {
    exception, // with an error code, as VMRUN pushes one for any vector (APM vol. 2, 15.20)
    bare,      // an exception without
    nmi,
    interrupt,
};

struct Event {
    EventKind kind;
    uint8_t vector;
    uint32_t code;
};

// Those that are tried at every instruction, and behind them those of which some are.
unsigned events_always();
unsigned events_in_all();
Event event(const Guest& guest, unsigned number);

void inject(Guest& guest, const Event& event);

// The same event again and again, each at the handler's first instruction, so that the guest
// makes no progress: until its stack stands still, or has gone as far as a stack can.
// False: the stack has left what the settings say are stacks.
bool storm(Guest& guest, const Event& event);

// The instruction at RIP raises this #VC itself.
bool is_due(const Guest& guest, const Event& event);

} // namespace sevhost
