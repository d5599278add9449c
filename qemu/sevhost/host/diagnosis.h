// What the host says of its guest: while it runs, and when it ends.
#pragma once

#include "console.h"
#include "guest.h"
#include "outcome.h"

namespace sevhost {

// A line of a trace: which processor it is about, where there are several.
void say_processor(const Guest& guest);

// Notes the exit that has just come, and prints it if the trace asks for it.
void record_exit(Guest& guest);

// The guest's marker: how many exits it took to come here.
void mark(Guest& guest);
bool was_marked();

// Who goes on at the guest's end, and so does not return; nullptr: it is the run's end.
extern void (*at_end)(Outcome outcome);

// Ends the run: the counts of exits, and, where it was not a good end, the last
// exits, the registers, and the page-table walks of RIP, RSP and CR2.
[[noreturn]] void finish(Guest& guest, Outcome outcome);

// The same, behind a line that says why.
template <typename... Parts>
[[noreturn]] void finish(Guest& guest, Outcome outcome, Parts... parts) {
    say("sevhost: ", parts..., "\n");
    finish(guest, outcome);
}

// The guest did what hardware or a document forbids; say which section.
template <typename... Parts>
[[noreturn]] void refuse(Guest& guest, Parts... parts) {
    finish(guest, Outcome::refused, "refused at ", hex(guest.save().rip), ": ", parts...);
}

// An access that faults to the host for ever, on hardware: the guest's doing, or that of a
// hostile host, which denies it the page.
template <typename... Parts>
[[noreturn]] void end_faulting(Guest& guest, Parts... parts) {
    if (guest.hostile != nullptr)
        finish(guest, Outcome::denied, "the guest faults for ever at ", hex(guest.save().rip), ": ",
               parts...);
    refuse(guest, parts...);
}

// The guest asked for its termination (56421, 2.3.1): in words.
[[noreturn]] void finish_terminated(Guest& guest, unsigned set, unsigned reason);

} // namespace sevhost
