// Lies about the other processors: which of them are started, when, and as what. What a processor
// is in is encrypted, and on SNP nobody's to change; whether it runs is the host's.
#include "hostile.h"
#include "processor_start.h"
#include "processors.h"

namespace sevhost {
namespace {

constexpr unsigned kLater = 1800; // entries of the guest

Guest* awaited; // who is to be started later
unsigned entries;
Vmcb first_vmcb;
uint64_t first_gprs[kGprCount];
uint64_t first_ghcb_msr;

bool is_destruction(const Guest& other) {
    return other.standing.has_next_vmsa && other.standing.next_vmsa == kNoVmsa;
}

bool never(Guest& sender, Guest& other) {
    if (is_destruction(other))
        return false;
    other.standing.has_next_vmsa = false;
    hostile_acted(sender);
    return true;
}

bool put_off(Guest&, Guest& other) {
    if (is_destruction(other) || awaited != nullptr || !is_occasion())
        return false;
    awaited = &other;
    entries = 0;
    return true;
}

bool is_later() {
    return awaited != nullptr && ++entries == kLater;
}

// Whatever the guest has asked meanwhile: but a page that is no VMSA any more starts nothing.
void start_late(Guest& guest) {
    if (!is_later() || awaited->standing.activity == Activity::runs)
        return;
    const Standing& late = awaited->standing;
    if (late.has_next_vmsa && !guest.rmp.is_vmsa(late.next_vmsa))
        return;
    hostile_acted(guest);
    start_as_asked(*awaited);
}

// As SEV-ES nothing keeps a host from giving the processor what it was in before.
bool start_and_remember(Guest& sender, Guest& other) {
    if (put_off(sender, other)) {
        start_as_asked(other);
        first_vmcb = *other.vmcb;
        __builtin_memcpy(first_gprs, other.gprs, sizeof first_gprs);
        first_ghcb_msr = other.ghcb_msr;
        return true;
    }
    return false;
}
void start_again(Guest& guest) {
    if (!is_later())
        return;
    hostile_acted(guest);
    stop(guest, *awaited);
    *awaited->vmcb = first_vmcb;
    __builtin_memcpy(awaited->gprs, first_gprs, sizeof first_gprs);
    awaited->ghcb_msr = first_ghcb_msr;
    awaited->standing.is_halting = false;
    awaited->standing.has_another_state = true;
    awaited->standing.activity = Activity::runs;
}

Guest* third(Guest& sender, const Guest& other) {
    Guest* found = nullptr;
    for_each_processor(sender.vm, [&](Guest& each) {
        if (&each != &sender && &each != &other && each.standing.activity != Activity::runs)
            found = &each;
    });
    return found;
}

bool start_another(Guest& sender, Guest& other) {
    Guest* const instead = third(sender, other);
    if (is_destruction(other) || instead == nullptr || !is_occasion())
        return false;
    hostile_acted(sender);
    instead->standing.has_next_vmsa = other.standing.has_next_vmsa;
    instead->standing.next_vmsa = other.standing.next_vmsa;
    other.standing.has_next_vmsa = false;
    start_as_asked(*instead);
    return true;
}

bool swap_two(Guest& sender, Guest& other) {
    if (awaited == nullptr)
        return put_off(sender, other);
    if (awaited == &other || is_destruction(other) || hostile_has_acted())
        return false;
    hostile_acted(sender);
    const GuestPhys others = other.standing.next_vmsa;
    other.standing.next_vmsa = awaited->standing.next_vmsa;
    awaited->standing.next_vmsa = others;
    start_as_asked(*awaited);
    start_as_asked(other);
    return true;
}

bool keep_it_running(Guest& sender, Guest& other) {
    if (!is_destruction(other))
        return false;
    hostile_acted(sender);
    other.standing.has_next_vmsa = false;
    return true;
}

// One that the guest has put into AP reset hold itself.
Guest* held_one(const Guest& guest) {
    Guest* found = nullptr;
    for_each_processor(guest.vm, [&](Guest& each) {
        if (each.standing.holds != 0 && each.standing.activity == Activity::held)
            found = &each;
    });
    return found;
}

void wake(Guest& guest) {
    Guest* const held = held_one(guest);
    if (held == nullptr || !is_occasion())
        return;
    hostile_acted(guest);
    held->standing.activity = Activity::runs;
}

void release_unasked(Guest& guest) {
    Guest* const held = held_one(guest);
    if (held == nullptr || !is_occasion())
        return;
    hostile_acted(guest);
    start_as_asked(*held);
}

using enum HostileClass;
// A row an entry.
// clang-format off
constexpr Hostile kEntries[] = {
    {.name = "processor-never-started", .kind = harmless, .guests = kOnBoth,
     .right_guest = "gives it up in time, and goes on without it", .at_start = never},
    {.name = "processor-started-late", .kind = harmless, .guests = kOnBoth,
     .right_guest = "has closed the door to who comes when nobody waits any more",
     .before_entry = start_late, .at_start = put_off},
    {.name = "processor-started-twice", .kind = harmless, .guests = kOnEs,
     .right_guest = "lets nobody through the same door twice", .before_entry = start_again,
     .at_start = start_and_remember},
    {.name = "processor-started-elsewhere", .kind = harmless, .guests = kOnBoth,
     .right_guest = "asks who has come, or knows it by the VMSA, and not by its own request",
     .at_start = start_another},
    {.name = "processors-swapped", .kind = harmless, .guests = kOnSnp,
     .right_guest = "knows a processor by its VMSA", .at_start = swap_two},
    {.name = "processor-outlives-destruction", .kind = harmless, .guests = kOnSnp,
     .right_guest = "does not use the page again: RMPADJUST says that it is in use",
     .at_start = keep_it_running},
    {.name = "hold-ends-without-sipi", .kind = harmless, .guests = kOnBoth,
     .right_guest = "holds again: the result is 0", .before_entry = wake},
    {.name = "hold-ends-unasked", .kind = harmless, .guests = kOnBoth,
     .right_guest = "holds again: it was not asked to come", .before_entry = release_unasked},
};
// clang-format on

} // namespace

const HostileTable kLiesOfProcessors = hostile_table(kEntries);

} // namespace sevhost
