// The processors of a guest, each on one of the machine's own: which of them there are, and the
// turns that they take. The host's code runs on one of them at a time.
#pragma once

#include "guest.h"

namespace sevhost {

// Makes this processor one of the guest's.
void prepare_processor(Guest& guest);

// Those behind the first: each comes up, and waits until the guest starts it.
void start_processors(Guest& boot);

// Until the processor has something to do.
void wait_to_run(Guest& guest);

// Around the guest's run, where other processors' exits are handled.
void let_others_in(Guest& guest);
void take_turn(Guest& guest);

// Has another leave the guest, which it does not enter again before this turn's end. What it was
// doing, HLT too, it goes on with.
void stop(Guest& by, Guest& other);

// The exit by which a processor was stopped.
void handle_stop(Guest& guest);

// What the processors know of nested tables is forgotten when they leave the guest.
void stop_all_others(Guest& guest);

template <typename Function>
void for_each_processor(const Vm& vm, Function function) {
    for (unsigned i = 0; i != vm.count; ++i)
        function(*vm.processors[i]);
}

} // namespace sevhost
