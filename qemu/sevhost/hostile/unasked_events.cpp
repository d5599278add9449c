// Events that nothing caused: a host may inject what it likes, whenever it likes.
#include "control_registers.h"
#include "diagnosis.h"
#include "doorbell.h"
#include "events.h"
#include "ghcb_msr_protocol.h"
#include "hostile.h"
#include "stepping.h"
#include "svm_exits.h"
#include "vc.h"
#include "vmcb.h"

#include <string.h>

namespace sevhost {
namespace {

constexpr uint8_t kSystemCall = 0x80; // Linux's, as a hardware interrupt
constexpr uint64_t kUnknownCode = 0x7fff;
constexpr unsigned kLongestInstruction = 15;
constexpr unsigned kVectors = 256;

// What is injected.
void nmi(Guest& guest) {
    if (may_inject(guest, kVectorNmi))
        guest.vmcb->control.event_injection = kEventValid | kEventNmi | kVectorNmi;
}
void interrupt(Guest& guest) {
    if (may_inject(guest, kSystemCall))
        guest.vmcb->control.event_injection = kEventValid | kSystemCall;
}
void page_fault(Guest& guest) {
    if (may_inject(guest, kVectorPf))
        inject_pf(guest, guest.save().rip, 0);
}
void ud(Guest& guest) {
    if (may_inject(guest, kVectorUd))
        inject_ud(guest);
}
void gp(Guest& guest) {
    if (may_inject(guest, kVectorGp))
        inject_gp(guest);
}
void hv(Guest& guest) {
    guest.vmcb->control.event_injection = kEventValid | kEventException | kVectorHv;
}
void vc_of_cpuid(Guest& guest) {
    send_exception(guest, kVectorVc, exit::kCpuid);
}

// At an instruction that is counted from the guest's first, which is 1.
template <void (*inject)(Guest&)>
void at_instruction(Guest& guest) {
    if (!is_occasions_instruction(guest))
        return;
    step(guest, false);
    hostile_acted(guest);
    inject(guest);
}
template <void (*inject)(Guest&)>
void from_first_instruction(Guest& guest) {
    step(guest, true);
    at_instruction<inject>(guest);
}

// Each vector but #HV, one before each entry.
void each_in_turn(Guest& guest) {
    static unsigned vector;
    vector = (vector + 1) % kVectors;
    if (vector == kVectorHv)
        return;
    hostile_acted(guest);
    send_exception(guest, vector, 0);
}

// Behind each VMGEXIT its page tells something else, and there is an #HV.
void ring_at_random(Guest& guest) {
    static uint16_t pending = 0x5aa5;
    if (guest.doorbell == Guest::kNoDoorbell || exit_code_of(guest) != exit::kVmmcall)
        return;
    pending = static_cast<uint16_t>(pending * 0x6255 + 0x3619);
    memcpy(guest.memory.at(guest.doorbell, kPageBytes, Backing::shared), &pending, sizeof pending);
    hostile_acted(guest);
    hv(guest);
}

// Behind an exit that is one of the occasions: no other event is on its way then.
bool is_due;
template <void (*inject)(Guest&)>
void when_due(Guest& guest) {
    if (!is_due || (guest.vmcb->control.event_injection & kEventValid))
        return;
    is_due = false;
    hostile_acted(guest);
    inject(guest);
}

// The guest changes what its gates mean: CR0, or EFER.
bool mode_switch(Guest& guest) {
    const uint64_t code = exit_code_of(guest);
    const bool efer = code == exit::kMsr && (guest.vmcb->control.exit_info1 & 1) &&
                      static_cast<uint32_t>(guest.gprs[rcx]) == kMsrEfer;
    if (efer || code == exit::kCr0Selective)
        is_due |= is_occasion();
    return false;
}

bool vmgexit(Guest&) {
    is_due |= is_occasion();
    return false;
}

// The same #VC again, or another, as its handler is entered, or at the instruction behind it.
template <uint64_t (*which)(uint64_t code)>
void in_delivery(Guest& guest, uint64_t code) {
    if (!is_occasion())
        return;
    hostile_acted(guest);
    send_exception(guest, kVectorVc, static_cast<uint32_t>(which(code)));
}

uint64_t again_code;
uint64_t again_rip;
void note_vc(Guest& guest, uint64_t code) {
    if (!is_occasion())
        return;
    again_code = code;
    step(guest, true);
}
void note_interrupted(Guest& guest) {
    again_rip = guest.save().rip;
}
template <uint64_t (*which)(uint64_t code)>
void behind_it(Guest& guest) {
    const uint64_t passed = guest.save().rip - again_rip;
    if (passed == 0 || passed > kLongestInstruction)
        return;
    step(guest, false);
    hostile_acted(guest);
    send_exception(guest, kVectorVc, static_cast<uint32_t>(which(again_code)));
}
bool remember_place(Guest& guest) {
    if (!is_stepping(guest))
        note_interrupted(guest);
    return false;
}

uint64_t same(uint64_t code) {
    return code;
}
uint64_t another(uint64_t code) {
    return code == exit::kCpuid ? exit::kMsr : exit::kCpuid;
}

uint64_t wrong_code(Guest&, uint64_t code) {
    return another(code);
}
uint64_t unknown_code(Guest&, uint64_t) {
    return kUnknownCode;
}
uint64_t mmio_code(Guest&, uint64_t) {
    return exit::kNestedFault;
}
uint64_t not_validated_code(Guest&, uint64_t) {
    return exit::kNotValidated;
}

void withhold(Guest& guest) {
    guest.vmcb->control.virtual_interrupt |= kMasksInterrupts;
    hostile_acted(guest);
}

bool never_answer(Guest& guest) {
    if (!is_occasion())
        return false;
    hostile_acted(guest);
    if (at_end != nullptr) // who sweeps does not wait
        at_end(Outcome::denied);
    for (;;)
        asm volatile("pause");
}

// All but a termination, of which nothing would be seen.
bool ignore(Guest& guest) {
    if ((guest.ghcb_msr & ghcb_msr::kCodeMask) == ghcb_msr::kTerminate)
        return false;
    hostile_acted(guest);
    return true;
}

using enum HostileClass;
// A row an entry.
// clang-format off
constexpr Hostile kEntries[] = {
    {.name = "nmi-at-step", .kind = denial, .guests = kOnBoth,
     .right_guest = "ends where it has no gate for it yet; else goes on or terminates",
     .at_launch = from_first_instruction<nmi>, .after_step = at_instruction<nmi>},
    {.name = "interrupt-at-step", .kind = denial, .guests = kOnBoth,
     .right_guest = "ends: it has no gate for interrupts, which are off",
     .at_launch = from_first_instruction<interrupt>, .after_step = at_instruction<interrupt>},
    {.name = "vc-at-step", .kind = detected, .guests = kOnBoth,
     .right_guest = "terminates: the instruction there is no CPUID; before LIDT it shuts down",
     .at_launch = from_first_instruction<vc_of_cpuid>, .after_step = at_instruction<vc_of_cpuid>},
    {.name = "ud-at-step", .kind = denial, .guests = kOnBoth,
     .right_guest = "reports the exception, which its own code could have raised",
     .at_launch = from_first_instruction<ud>, .after_step = at_instruction<ud>},
    {.name = "gp-at-step", .kind = denial, .guests = kOnBoth,
     .right_guest = "reports the exception, which its own code could have raised",
     .at_launch = from_first_instruction<gp>, .after_step = at_instruction<gp>},
    {.name = "page-fault-at-step", .kind = denial, .guests = kOnBoth,
     .right_guest = "reports the exception, which its own code could have raised",
     .at_launch = from_first_instruction<page_fault>, .after_step = at_instruction<page_fault>},
    {.name = "hv-at-step", .kind = detected, .guests = kOnRestricted,
     .right_guest = "terminates: it has no page by which it could be told why",
     .at_launch = from_first_instruction<hv>, .after_step = at_instruction<hv>},
    {.name = "vectors-in-spite", .kind = harmless, .guests = kOnRestricted,
     .right_guest = "sees none: the processor runs no guest of this kind with another than #HV",
     .before_entry = each_in_turn},
    {.name = "doorbell-at-random", .kind = denial, .guests = kOnRestricted,
     .right_guest = "takes each for an interrupt of a device's, whose word is the host's",
     .before_entry = ring_at_random},
    {.name = "nmi-in-mode-switch", .kind = denial, .guests = kOnBoth,
     .right_guest = "ends: behind a write of CR0 or EFER its gates are of the other width",
     .at_exit = mode_switch, .before_entry = when_due<nmi>},
    {.name = "interrupt-in-mode-switch", .kind = denial, .guests = kOnBoth,
     .right_guest = "ends: it has no gate for interrupts, which are off",
     .at_exit = mode_switch, .before_entry = when_due<interrupt>},
    {.name = "nmi-behind-vmgexit", .kind = denial, .guests = kOnBoth,
     .right_guest = "goes on or ends, and does not touch the GHCB that is in use",
     .before_entry = when_due<nmi>, .at_vmgexit = vmgexit},
    {.name = "interrupt-behind-vmgexit", .kind = denial, .guests = kOnBoth,
     .right_guest = "ends: no interrupt comes while they are off",
     .before_entry = when_due<interrupt>, .at_vmgexit = vmgexit},
    {.name = "vc-behind-vmgexit", .kind = detected, .guests = kOnBoth,
     .right_guest = "terminates: its handler raises no #VC",
     .before_entry = when_due<vc_of_cpuid>, .at_vmgexit = vmgexit},
    {.name = "vc-during-delivery", .kind = detected, .guests = kOnBoth,
     .right_guest = "terminates: its handler's first instruction raises no #VC",
     .after_vc = in_delivery<same>},
    {.name = "vc-other-during-delivery", .kind = detected, .guests = kOnBoth,
     .right_guest = "terminates: its handler's first instruction raises no #VC",
     .after_vc = in_delivery<another>},
    {.name = "vc-twice", .kind = detected, .guests = kOnBoth,
     .right_guest = "terminates: the instruction behind is another",
     .at_exit = remember_place, .after_step = behind_it<same>, .after_vc = note_vc},
    {.name = "vc-without-cause", .kind = detected, .guests = kOnBoth,
     .right_guest = "terminates: no such instruction is there",
     .at_exit = remember_place, .after_step = behind_it<another>, .after_vc = note_vc},
    {.name = "vc-wrong-code", .kind = detected, .guests = kOnBoth,
     .right_guest = "terminates: the instruction is not that of the error code",
     .vc = wrong_code},
    {.name = "vc-unknown-code", .kind = detected, .guests = kOnBoth,
     .right_guest = "terminates: it knows no such error code", .vc = unknown_code},
    {.name = "vc-code-of-mmio", .kind = detected, .guests = kOnBoth,
     .right_guest = "terminates: the instruction reaches no device", .vc = mmio_code},
    {.name = "vc-code-of-not-validated", .kind = detected, .guests = kOnBoth,
     .right_guest = "terminates: nothing of its own is not validated", .vc = not_validated_code},
    {.name = "interrupts-withheld", .kind = denial, .guests = kOnBoth,
     .right_guest = "waits", .at_launch = withhold},
    {.name = "vmgexit-never-answers", .kind = denial, .guests = kOnBoth,
     .right_guest = "waits", .at_vmgexit = never_answer},
    {.name = "vmgexit-ignored", .kind = detected, .guests = kOnBoth,
     .right_guest = "terminates: nothing is answered", .at_vmgexit = ignore},
};
// clang-format on

} // namespace

const HostileTable kEventsUnasked = hostile_table(kEntries);

} // namespace sevhost
