#include "sweep.h"

#include "diagnosis.h"
#include "exits.h"
#include "processors.h"
#include "trial.h"
#include "verdicts.h"

namespace sevhost {
namespace {

constexpr unsigned kExitsOfBoot = 1 << 20;

} // namespace

void sweep(Guest& guest) {
    while (guest.settings.sweeps_from_mark && !was_marked()) {
        wait_to_run(guest);
        run_to_next_exit(guest);
    }
    muted = true;
    prepare_trials(guest);
    keep_state(guest);
    learn_what_boot_writes(guest, kExitsOfBoot);
    if (guest.settings.sweep == Sweep::behaviours)
        sweep_behaviours(guest);
    else
        sweep_events(guest);
    muted = false;
    say_verdicts();
    leave(Outcome::success);
}

} // namespace sevhost
