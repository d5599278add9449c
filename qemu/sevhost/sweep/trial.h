// Something that is tried on the guest and taken back: its processor, its memory, and what the
// host knows of it are afterwards as they were. A guest of some hundred kilobytes writes a few
// pages in a try, and so there is time for very many.
#pragma once

#include "guest.h"
#include "outcome.h"

namespace sevhost {

enum class TrialEnd : uint8_t {
    ended,   // as `outcome` says
    goes_on, // for as many exits as it was given
    hangs,   // it runs, and neither ends nor exits
};

struct TrialResult {
    TrialEnd how = TrialEnd::goes_on;
    Outcome outcome = Outcome::success;
    uint64_t ghcb_msr = 0; // a termination's reason
    uint64_t rip = 0;
    bool shows_canary = false;
    bool writes_code = false; // where the honest boot does not
};

// Once, before the guest's first instruction.
void prepare_trials(Guest& guest);

// The state that each trial begins with, and is taken back to, is the one of now.
void keep_state(Guest& guest);

// Calls act(guest), and runs the guest for at most so many exits; then all is as it was kept.
TrialResult attempt(Guest& guest, void (*act)(Guest& guest), unsigned exits);

// The same, to be gone on from. True: the run has not ended with it.
bool go_on(Guest& guest, void (*act)(Guest& guest));

// The honest boot, tried: the bytes of code that it changes are data.
void learn_what_boot_writes(Guest& guest, unsigned exits);

// For the nested tables: who tries maps pages to be read, and each one that is to be written
// is noted first.
bool tracks_writes();
void note_writable(NestedTables& tables, uint64_t address, uint8_t* page);

} // namespace sevhost
