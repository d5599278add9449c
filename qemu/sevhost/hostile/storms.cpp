// Events that nothing caused, one in the handler of the other, as many as the host likes.
#include "deliver.h"
#include "diagnosis.h"
#include "doorbell.h"
#include "hostile.h"
#include "stepping.h"
#include "svm_exits.h"
#include "vc.h"
#include "vmcb.h"

namespace sevhost {
namespace {

constexpr unsigned kVectors = 256;
constexpr unsigned kVectorMc = 18;
constexpr uint8_t kSystemCall = 0x80; // Linux's, as a hardware interrupt
constexpr unsigned kPushCode = 1;

// More than any stack of a boot's has room for, were it filled with frames.
constexpr unsigned kStormEvents = 8192;

// ---- Storms ----

struct Event {
    unsigned vector;
    uint32_t error_code;
    bool with_code;
};

// A value that would be a present descriptor's upper half, or a jump.
constexpr uint32_t kChosen = 0x00cf9b10;

Event of_vc(unsigned) {
    return {kVectorVc, static_cast<uint32_t>(exit::kCpuid), true};
}
Event of_hv(unsigned i) {
    return {kVectorHv, kChosen, i % 2 != 0};
}
Event of_page_faults(unsigned) {
    return {kVectorPf, kChosen, true};
}
Event of_general_protection(unsigned) {
    return {kVectorGp, kChosen, true};
}
Event of_double_faults(unsigned) {
    return {kVectorDf, kChosen, true};
}
Event of_machine_checks(unsigned) {
    return {kVectorMc, 0, false};
}
Event of_nmis(unsigned) {
    return {kVectorNmi, 0, false};
}
Event of_interrupts(unsigned) {
    return {kSystemCall, 0, false};
}
// Each vector, with an error code that it does not have, and without the one that it has.
Event of_everything(unsigned number) {
    return {number / 2 % kVectors, kChosen, number % 2 == kPushCode};
}

// At an instruction that is counted from the guest's first, which is 1: there, and then at the
// first of each handler. What the stack was moved by is told: a stack that has a handler's own
// top comes back to it, and one that ends is the guest's end.
template <Event (*event)(unsigned)>
void storm(Guest& guest) {
    if (!is_occasions_instruction(guest))
        return;
    step(guest, false);
    hostile_acted(guest);
    const uint64_t from = guest.gprs[rsp];
    uint64_t first = from, lowest = ~uint64_t{0};
    for (unsigned i = 0; i != kStormEvents; ++i) {
        const Event e = event(i);
        if (!may_inject(guest, e.vector))
            return;
        if (deliver_exception(guest, e.vector, e.error_code, e.with_code).shutdown) {
            say("sevhost: storm: ", decimal(i), " events, the next is a shutdown; stack from ",
                hex(from), " to ", hex(i == 0 ? from : lowest), "\n");
            finish(guest, Outcome::shutdown, "shutdown: a double fault could not be delivered ",
                   "(APM vol. 2, 8.2.9)");
        }
        if (i == 0)
            first = guest.gprs[rsp];
        if (guest.gprs[rsp] < lowest)
            lowest = guest.gprs[rsp];
    }
    say("sevhost: storm: ", decimal(kStormEvents), " events; stack from ", hex(from), " to ",
        hex(first), " and ", hex(first - lowest), " below\n");
}
template <Event (*event)(unsigned)>
void storm_from_first_instruction(Guest& guest) {
    step(guest, true);
    storm<event>(guest);
}

// ---- At the gates of both widths: the way back to 32-bit mode, and the one to 64-bit mode ----

// The occasion is the vector: before the first, and behind each instruction of the two ways,
// which are those without paging or long mode in an image that has had it, or without an IDT.
void in_both_widths(Guest& guest) {
    const VmcbSave& save = guest.save();
    static bool was_64_bit;
    was_64_bit |= guest.in_64_bit_code();
    const bool on_the_way = was_64_bit ? !guest.in_64_bit_code() : guest.paging();
    if (!on_the_way)
        return;
    step(guest, false);
    hostile_acted(guest);
    say("sevhost: gates: vector ", decimal(occasion()), " at ", hex(save.rip), "\n");
    send_exception(guest, static_cast<unsigned>(occasion()), 0);
}

void from_first_instruction(Guest& guest) {
    step(guest, true);
}

using enum HostileClass;
constexpr const char kEnds[] = "terminates; or shuts down, where it has no gate or its stack ends";
// A row an entry.
// clang-format off
constexpr Hostile kEntries[] = {
    {.name = "vc-storm", .kind = detected, .guests = kOnBoth, .right_guest = kEnds,
     .at_launch = storm_from_first_instruction<of_vc>, .after_step = storm<of_vc>},
    {.name = "page-fault-storm", .kind = detected, .guests = kOnBoth, .right_guest = kEnds,
     .at_launch = storm_from_first_instruction<of_page_faults>,
     .after_step = storm<of_page_faults>},
    {.name = "gp-storm", .kind = detected, .guests = kOnBoth, .right_guest = kEnds,
     .at_launch = storm_from_first_instruction<of_general_protection>,
     .after_step = storm<of_general_protection>},
    {.name = "double-fault-storm", .kind = detected, .guests = kOnBoth, .right_guest = kEnds,
     .at_launch = storm_from_first_instruction<of_double_faults>,
     .after_step = storm<of_double_faults>},
    {.name = "machine-check-storm", .kind = detected, .guests = kOnBoth, .right_guest = kEnds,
     .at_launch = storm_from_first_instruction<of_machine_checks>,
     .after_step = storm<of_machine_checks>},
    {.name = "nmi-storm", .kind = detected, .guests = kOnBoth, .right_guest = kEnds,
     .at_launch = storm_from_first_instruction<of_nmis>, .after_step = storm<of_nmis>},
    {.name = "interrupt-storm", .kind = detected, .guests = kOnBoth, .right_guest = kEnds,
     .at_launch = storm_from_first_instruction<of_interrupts>,
     .after_step = storm<of_interrupts>},
    {.name = "hv-storm", .kind = detected, .guests = kOnRestricted, .right_guest = kEnds,
     .at_launch = storm_from_first_instruction<of_hv>, .after_step = storm<of_hv>},
    {.name = "storm", .kind = detected, .guests = kOnBoth, .right_guest = kEnds,
     .at_launch = storm_from_first_instruction<of_everything>,
     .after_step = storm<of_everything>},
    {.name = "gate-of-both-widths", .kind = detected, .guests = kOnBoth, .right_guest = kEnds,
     .at_launch = from_first_instruction, .after_step = in_both_widths},
};
// clang-format on

} // namespace

const HostileTable kStorms = hostile_table(kEntries);

} // namespace sevhost
