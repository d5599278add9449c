// Events that nothing caused, one in the handler of the other, as many as the host likes; and
// those by which a guest that does not know yet what it is shall believe that it is a plain one.
#include "deliver.h"
#include "diagnosis.h"
#include "guest_cpuid.h"
#include "hostile.h"
#include "intercepts.h"
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
    static uint64_t last = ~uint64_t{0};
    if (guest.save().rip == last)
        return; // REP
    last = guest.save().rip;
    if (!is_occasion())
        return;
    step(guest, false);
    hostile_acted(guest);
    const uint64_t from = guest.gprs[rsp];
    uint64_t first = from, lowest = ~uint64_t{0};
    for (unsigned i = 0; i != kStormEvents; ++i) {
        const Event e = event(i);
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
    raise_exception(guest, static_cast<unsigned>(occasion()), 0);
}

// ---- A guest that shall not know that it is one ----

// Where the canary is: free memory; on SNP the secrets page, if there is one.
uint32_t secret(const Guest& guest) {
    constexpr uint32_t kFreeMemory = 0x200000, kFirstKey = 0x20;
    return guest.snp() && guest.snp_pages.secrets != 0
               ? static_cast<uint32_t>(guest.snp_pages.secrets) + kFirstKey
               : kFreeMemory;
}

// An exception without an error code that gets one: EIP is what the host says, of which a report
// would print the bytes.
void point_to_secret(Guest& guest) {
    raise_exception(guest, kVectorUd, secret(guest));
}

// No port is a #VC: what is printed is seen.
void let_ports_through(Guest& guest) {
    constexpr uint32_t kIoio = 1u << 27;
    guest.vmcb->control.misc1 &= ~kIoio;
}

void early_report(Guest& guest) {
    constexpr uint32_t kIdtOf32Bits = 0xff, kIdtOf64Bits = 0x1ff;
    const uint32_t limit = guest.save().idtr.limit;
    if (limit != kIdtOf32Bits && limit != kIdtOf64Bits)
        return;
    hostile_acted(guest);
    let_ports_through(guest);
    step(guest, false);
    point_to_secret(guest);
}

// #GP at the read of SEV_STATUS, as a CPU has it that lacks it. The occasion says what comes
// then: at 1 nothing, at n behind n - 1 instructions more an exception whose report would tell.
// CPUID is not intercepted either: it is the CPU's own.
bool hidden;
uint64_t behind;
void hide_sev(Guest& guest) {
    const VmcbSave& save = guest.save();
    if (hidden) {
        if (++behind != occasion() - 1)
            return;
        step(guest, false);
        point_to_secret(guest);
        return;
    }
    uint8_t code[2] = {};
    constexpr uint8_t kRdmsr[] = {0x0f, 0x32};
    const uint64_t at = (guest.in_64_bit_code() ? 0 : save.cs.base) + save.rip;
    const uint8_t* bytes = guest.memory.at(at, sizeof code, Backing::private_);
    if (bytes == nullptr || bytes[0] != kRdmsr[0] || bytes[1] != kRdmsr[1] ||
        static_cast<uint32_t>(guest.gprs[rcx]) != kMsrSevStatus)
        return;
    hostile_acted(guest);
    let_ports_through(guest);
    hidden = true;
    raise_exception(guest, kVectorGp, 0);
    if (occasion() == 1)
        step(guest, false);
}
bool cpuid_of_the_cpu(Guest& guest) {
    if (!hidden || exit_code_of(guest) != exit::kCpuid)
        return false;
    const Cpuid r = guest_cpuid(guest, static_cast<uint32_t>(guest.gprs[rax]),
                                static_cast<uint32_t>(guest.gprs[rcx]));
    guest.gprs[rax] = r.eax;
    guest.gprs[rbx] = r.ebx;
    guest.gprs[rcx] = r.ecx;
    guest.gprs[rdx] = r.edx;
    skip_instruction(guest, Op::cpuid);
    return true;
}

void from_first_instruction(Guest& guest) {
    step(guest, true);
}

using enum HostileClass;
constexpr const char kEnds[] = "terminates; or shuts down, where it has no gate or its stack ends";
constexpr const char kPlain[] = "terminates, without a word: it does not know yet what it is";
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
    {.name = "storm", .kind = detected, .guests = kOnBoth, .right_guest = kEnds,
     .at_launch = storm_from_first_instruction<of_everything>,
     .after_step = storm<of_everything>},
    {.name = "gate-of-both-widths", .kind = detected, .guests = kOnBoth, .right_guest = kEnds,
     .at_launch = from_first_instruction, .after_step = in_both_widths},
    {.name = "early-report", .kind = detected, .guests = kOnBoth, .right_guest = kPlain,
     .at_launch = from_first_instruction, .after_step = early_report},
    {.name = "gp-hides-sev", .kind = detected, .guests = kOnBoth, .right_guest = kPlain,
     .at_launch = from_first_instruction, .at_exit = cpuid_of_the_cpu, .after_step = hide_sev},
};

} // namespace

const HostileTable kStorms = hostile_table(kEntries);

} // namespace sevhost
