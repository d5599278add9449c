#include <string.h>

#include "doorbell.h"
#include "hostile.h"
#include "outcome.h"
#include "stepping.h"
#include "sweep.h"
#include "trial.h"
#include "verdicts.h"
#include "vmcb.h"

// Around the behaviours' own state (behaviours_begin.S).
extern "C" uint8_t behaviours_data_begin[], behaviours_data_end[];
extern "C" uint8_t behaviours_bss_begin[], behaviours_bss_end[];

namespace sevhost {
namespace {

constexpr unsigned kExits = 400000; // more than any boot has, step by step
constexpr uint32_t kInterceptIoio = 1u << 27;
constexpr uint64_t kLastOccasion = 64;

class BehavioursState {
public:
    void keep(Guest& guest) {
        data_ = kept(guest, behaviours_data_begin, behaviours_data_end);
        bss_ = kept(guest, behaviours_bss_begin, behaviours_bss_end);
    }
    void take_back() const {
        memcpy(behaviours_data_begin, data_, size(behaviours_data_begin, behaviours_data_end));
        memcpy(behaviours_bss_begin, bss_, size(behaviours_bss_begin, behaviours_bss_end));
    }

private:
    static uint64_t size(const uint8_t* begin, const uint8_t* end) {
        return static_cast<uint64_t>(end - begin);
    }
    static uint8_t* kept(Guest& guest, const uint8_t* begin, const uint8_t* end) {
        uint8_t* to = guest.host.at(
            guest.host.take(size(begin, end), kPageBytes, "the behaviours' state"));
        memcpy(to, begin, size(begin, end));
        return to;
    }

    uint8_t* data_ = nullptr;
    uint8_t* bss_ = nullptr;
};
BehavioursState state;

const Hostile* now;
uint64_t now_occasion;
unsigned behaviours_tried, acted;

void act(Guest& guest) {
    step(guest, false); // as the last one may have left it
    set_hostile(guest, *now, now_occasion);
    guest.vmcb->control.misc1 |= kInterceptIoio; // or the guest ends more than itself
}

bool is_right(const TrialResult& result, bool has_acted) {
    const bool ended = result.how == TrialEnd::ended;
    const bool well = ended && result.outcome == Outcome::success;
    switch (now->kind) {
    case HostileClass::detected:
        return (well && (!has_acted || now->may_be_missed)) ||
               (ended &&
                (result.outcome == Outcome::terminated || result.outcome == Outcome::shutdown));
    case HostileClass::harmless:
        return well;
    default:
        return true;
    }
}

void tell_untried() {
    muted = false;
    say("sevhost: sweep: ", now->name, ", ", name(now->kind), ": for a run of its own\n");
    muted = true;
}

// True: a later occasion is another attack.
bool try_behaviour(Guest& guest) {
    const TrialResult result = attempt(guest, act, kExits);
    const bool has_acted = hostile_has_acted() && !injection_was_refused();
    const bool counts = hostile_counts_occasions();
    // What came then the firmware's handlers got: whatever they do.
    const bool is_firmwares = guest.settings.sweeps_from_mark && has_acted &&
                              idt_at_hostile_act() == guest.save().idtr.base;
    state.take_back();
    acted += has_acted;
    Words words;
    const Text what = words.join(now->name, ":", decimal(now_occasion));
    count_try(result);
    judge_secrets(result, what);
    if (!now->replaces_memory)
        judge_code(result, what);
    if (!is_firmwares && !is_right(result, has_acted))
        tell_finding("not as a right guest", result, what);
    return has_acted && counts;
}

// Dense at first, and then ever farther apart.
uint64_t occasion_behind(uint64_t occasion) {
    return occasion < 4 ? occasion + 1 : 2 * occasion;
}

} // namespace

void sweep_behaviours(Guest& guest) {
    state.keep(guest);
    for (unsigned i = 0; i != hostile_count(); ++i) {
        now = &hostile(i);
        if (!is_behaviour_of(*now, guest.settings) || i % guest.settings.stride != 0)
            continue;
        // The map is placed already, and behind a firmware what was launched is.
        if (now->memory_map != nullptr ||
            (guest.settings.sweeps_from_mark && now->at_launch != nullptr)) {
            tell_untried();
            continue;
        }
        ++behaviours_tried;
        now_occasion = 1;
        while (try_behaviour(guest) && now_occasion < kLastOccasion)
            now_occasion = occasion_behind(now_occasion);
    }
    muted = false;
    say("sevhost: sweep: ", decimal(behaviours_tried), " behaviours, ", decimal(acted),
        " times acted\n");
}

} // namespace sevhost
