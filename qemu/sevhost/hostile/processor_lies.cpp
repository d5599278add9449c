// Lies about the other processors: which of them are started, when, and as what. What a processor
// is in is encrypted, and on SNP nobody's to change; whether it runs is the host's.
#include "exits.h"
#include "hostile.h"
#include "intercepts.h"
#include "platform.h"
#include "processor_start.h"
#include "processors.h"
#include "svm_exits.h"
#include "vc.h"
#include "vmcb.h"

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

// One is asked for, and two come to one door.
bool start_both(Guest& sender, Guest& other) {
    Guest* const another = third(sender, other);
    if (is_destruction(other) || another == nullptr || !is_occasion())
        return false;
    hostile_acted(sender);
    start_as_asked(*another);
    start_as_asked(other);
    return true;
}

// As SEV-ES: one that has been told who it is, and is about to say so, is kept there. When it is
// asked for again another comes in its place; and then it goes on.
bool frozen;
void intercept_cstar(Guest&) {
    intercept_msr(kMsrCstar);
}
bool freeze_behind_door(Guest& guest) {
    if (exit_code_of(guest) != exit::kMsr || static_cast<uint32_t>(guest.gprs[rcx]) != kMsrCstar)
        return false;
    uint64_t& cstar = guest.save().cstar;
    const bool write = (guest.vmcb->control.exit_info1 & 1) != 0;
    if (write && guest.standing.index != 0 && awaited == nullptr) {
        awaited = &guest;
        frozen = true;
        guest.standing.activity = Activity::waits_for_init;
        return true;
    }
    if (write) {
        cstar = guest.gprs[rdx] << 32 | static_cast<uint32_t>(guest.gprs[rax]);
    } else {
        guest.gprs[rax] = cstar & 0xffffffff;
        guest.gprs[rdx] = cstar >> 32;
    }
    skip_instruction(guest, write ? Op::wrmsr : Op::rdmsr);
    return true;
}
bool start_another_for_frozen(Guest& sender, Guest& other) {
    Guest* const another = third(sender, other);
    if (!frozen || &other != awaited || another == nullptr)
        return false;
    hostile_acted(sender);
    frozen = false;
    entries = 0;
    start_as_asked(*another);
    return true;
}
void thaw(Guest&) {
    if (hostile_has_acted() && !frozen && is_later())
        awaited->standing.activity = Activity::runs;
}

// In real mode another processor comes by EFER: an NMI there, or a #VC of what the processor has
// for it.
bool is_at_efer(const Guest& guest) {
    return guest.standing.index != 0 && exit_code_of(guest) == exit::kMsr &&
           static_cast<uint32_t>(guest.gprs[rcx]) == kMsrEfer;
}
bool nmi_at_efer(Guest& guest) {
    if (is_at_efer(guest)) {
        hostile_acted(guest);
        guest.standing.nmi = true;
    }
    return false;
}
bool intercept_efer(Guest& guest) {
    if (!is_at_efer(guest))
        return false;
    hostile_acted(guest);
    raise_vc(guest, exit::kMsr);
    return true;
}

// What is refused is done all the same.
void refuse_creation(Guest& guest, uint64_t code, GhcbPage& page) {
    constexpr uint64_t kMalformed = 2, kInvalidInput = 5;
    if (code != nae::kApCreation || !is_occasion())
        return;
    page.set(ghcb_at::kExitInfo1, kMalformed);
    page.set(ghcb_at::kExitInfo2, kInvalidInput);
    hostile_acted(guest);
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
    {.name = "processors-at-one-door", .kind = harmless, .guests = kOnEs,
     .right_guest = "lets one through, and has the other hold again", .at_start = start_both},
    {.name = "processor-frozen-at-door", .kind = harmless, .guests = kOnEs,
     .right_guest = "gives nobody the stack of one that may come yet",
     .at_launch = intercept_cstar, .at_exit = freeze_behind_door, .before_entry = thaw,
     .at_start = start_another_for_frozen},
    {.name = "processor-nmi-in-real-mode", .kind = detected, .guests = kOnEs,
     .right_guest = "shuts down: it has no gate in real mode", .at_exit = nmi_at_efer},
    {.name = "processor-efer-intercepted", .kind = detected, .guests = kOnEs,
     .right_guest = "shuts down: it has no gate in real mode", .at_exit = intercept_efer},
    {.name = "creation-refused-and-done", .kind = harmless, .guests = kOnSnp,
     .right_guest = "takes who has come, and forgets nobody's save area",
     .ghcb_response = refuse_creation},
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
