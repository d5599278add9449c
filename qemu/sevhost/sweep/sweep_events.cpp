#include "doorbell.h"
#include "exits.h"
#include "injected.h"
#include "outcome.h"
#include "stepping.h"
#include "svm_exits.h"
#include "sweep.h"
#include "trial.h"
#include "verdicts.h"

namespace sevhost {
namespace {

constexpr unsigned kExits = 600; // behind an event; who goes on for so long goes on
constexpr unsigned kMostSteps = 400000;
constexpr unsigned kPortsOfBoot = 2;
constexpr unsigned kPasses = 2; // of a loop, where not all are wanted
constexpr unsigned kSome = 3;   // of the events that are not tried at every instruction

// How often each instruction has been come to.
class Visits {
public:
    // Of the one at `rip`, this time included.
    unsigned note(uint64_t rip) {
        for (uint64_t i = rip * 0x9e3779b97f4a7c15 >> 48;; i = (i + 1) % kSlots) {
            if (slots_[i].count != 0 && slots_[i].rip != rip)
                continue;
            if (slots_[i].count == 0 && ++used_ == kSlots)
                fail("the guest has more instructions than a sweep counts");
            slots_[i].rip = rip;
            return ++slots_[i].count;
        }
    }
    unsigned instructions() const { return used_; }

private:
    static constexpr unsigned kSlots = 1 << 16;
    struct {
        uint64_t rip;
        unsigned count;
    } slots_[kSlots];
    unsigned used_;
};
Visits visits;

// What decides where an event leads to, and what it finds there. A storm is tried at the first
// step of each.
struct Stand {
    uint64_t idt, gdt, tr, cr3, cr0, cs, stack;

    bool operator==(const Stand&) const = default;
};
constexpr uint64_t kStackGrain = 128; // a stack that is so much deeper is another
constexpr unsigned kMostStands = 1024;
Stand stands[kMostStands];
unsigned stand_count;

bool is_new_stand(const Guest& guest) {
    const VmcbSave& save = guest.save();
    const Stand stand = {save.idtr.base,
                         save.gdtr.base,
                         save.tr.base,
                         save.cr3,
                         save.cr0,
                         save.cs.selector,
                         guest.gprs[rsp] / kStackGrain};
    for (unsigned i = 0; i != stand_count; ++i)
        if (stands[i] == stand)
            return false;
    if (stand_count != kMostStands)
        stands[stand_count++] = stand;
    return true;
}

unsigned steps, wanted_steps, tried_steps, storms, ports;
uint64_t step_rip;
Event now;
bool is_storm, left_stack;

void act(Guest& guest) {
    step(guest, false);
    if (is_storm)
        left_stack = !storm(guest, now);
    else
        inject(guest, now);
}

const char* kind_of(const Event& event) {
    switch (event.kind) {
    case EventKind::exception:
        return "exception ";
    case EventKind::bare:
        return "bare exception ";
    case EventKind::nmi:
        return "NMI ";
    case EventKind::interrupt:
        return "interrupt ";
    }
    return "?";
}

bool is_forged(const Event& event) {
    return event.kind == EventKind::exception || event.kind == EventKind::bare;
}

void judge(const TrialResult& result, bool due) {
    Words words;
    const Text what = words.join(is_storm ? "a storm of " : "", kind_of(now), decimal(now.vector),
                                 " code ", hex(now.code), " at step ", decimal(steps), ", ",
                                 hex(step_rip));
    count_try(result);
    judge_secrets(result, what);
    judge_code(result, what);
    const bool ended = result.how == TrialEnd::ended && result.outcome != Outcome::success;
    if (result.writes_code)
        tell_finding("code is written to", result, what);
    if (left_stack)
        tell_finding("the stack is left", result, what);
    if (ended && result.outcome == Outcome::refused)
        tell_finding("the host refuses", result, what);
    if (result.how == TrialEnd::hangs)
        tell_finding("the guest hangs", result, what);
    else if (!ended && is_forged(now) && !due)
        tell_finding("the guest goes on", result, what);
}

void try_event(Guest& guest, const Event& event, bool as_storm) {
    if (!may_inject(guest, event.vector))
        return;
    now = event;
    is_storm = as_storm;
    left_stack = false;
    storms += is_storm;
    const bool due = is_due(guest, event);
    judge(attempt(guest, act, kExits), due);
}

void try_events(Guest& guest) {
    static unsigned next;
    const unsigned always = events_always(), all = events_in_all();
    const bool wants_all = guest.settings.sweep == Sweep::all_events;
    for (unsigned i = 0; i != always; ++i)
        try_event(guest, event(guest, i), false);
    for (unsigned i = 0; i != (wants_all ? all - always : kSome); ++i)
        try_event(guest, event(guest, always + next++ % (all - always)), false);
}

void try_storms(Guest& guest) {
    for (unsigned i = 0, all = events_in_all(); i != all; ++i)
        if (is_forged(event(guest, i)))
            try_event(guest, event(guest, i), true);
}

bool is_wanted(const Guest& guest, unsigned visit) {
    return guest.settings.sweep == Sweep::all_events || visit <= kPasses;
}

// An exit that is served at its instruction is no step yet.
void one_step(Guest& guest) {
    for (const uint64_t rip = guest.save().rip; guest.save().rip == rip;) {
        run_to_next_exit(guest);
        ports += guest.vmcb->control.exit_code == exit::kIoio;
    }
}

} // namespace

void sweep_events(Guest& guest) {
    step(guest, true);
    for (; ports != kPortsOfBoot && steps != kMostSteps; ++steps) {
        keep_state(guest);
        step_rip = guest.save().rip;
        if (is_wanted(guest, visits.note(step_rip))) {
            if (wanted_steps++ % guest.settings.stride == 0) {
                ++tried_steps;
                try_events(guest);
            }
            if (is_new_stand(guest))
                try_storms(guest);
            step(guest, true);
        }
        if (!go_on(guest, one_step))
            break;
    }
    muted = false;
    say("sevhost: sweep: ", decimal(tried_steps), " of ", decimal(steps), " steps, of ",
        decimal(visits.instructions()), " instructions; ", decimal(storms), " storms, ",
        decimal(ports), " ports\n");
}

} // namespace sevhost
