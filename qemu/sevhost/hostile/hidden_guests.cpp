// By what a guest that does not know yet what it is shall believe that it is a plain one: then all
// its memory would be shared, and its reports be read.
#include <string.h>

#include "canary.h"
#include "diagnosis.h"
#include "guest_cpuid.h"
#include "hostile.h"
#include "launch.h"
#include "stepping.h"
#include "svm_exits.h"
#include "vc.h"
#include "vmcb.h"

namespace sevhost {
namespace {

constexpr uint32_t kInterceptCpuid = 1u << 18, kInterceptIoio = 1u << 27;

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
    send_exception(guest, kVectorUd, secret(guest));
}

// No #VC of them: a port shows what is printed, and CPUID is the CPU's own.
template <uint32_t intercepts>
void let_through(Guest& guest) {
    guest.vmcb->control.misc1 &= ~intercepts;
}

// Data of a guest that takes itself for a plain one are the host's, and its code its own: each
// page that is mapped without the C-bit has two frames, one for either.
void share_image(Guest& guest) {
    for_each_launched(guest, [&](GuestPhys page) { // but what it was not to know
        const uint8_t* own = guest.memory.at(page, kPageBytes, Backing::private_);
        if (!holds_canary(guest, own, kPageBytes))
            memcpy(guest.memory.at(page, kPageBytes, Backing::shared), own, kPageBytes);
    });
}
void share_image_in_silence(Guest& guest) {
    share_image(guest);
    let_through<kInterceptCpuid | kInterceptIoio>(guest);
    hostile_acted(guest);
}

void early_report(Guest& guest) {
    constexpr uint32_t kIdtOf32Bits = 0xff, kIdtOf64Bits = 0x1ff;
    const uint32_t limit = guest.save().idtr.limit;
    if (limit != kIdtOf32Bits && limit != kIdtOf64Bits)
        return;
    hostile_acted(guest);
    let_through<kInterceptIoio>(guest);
    step(guest, false);
    point_to_secret(guest);
}

// ... with an EIP that the occasion says: as if that code had been interrupted.
void forge_eip(Guest& guest) {
    constexpr uint32_t kIdtOf32Bits = 0xff;
    if (guest.save().idtr.limit != kIdtOf32Bits)
        return;
    hostile_acted(guest);
    step(guest, false);
    send_exception(guest, kVectorUd, static_cast<uint32_t>(occasion()));
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
    let_through<kInterceptIoio>(guest);
    hidden = true;
    send_exception(guest, kVectorGp, 0);
    if (occasion() == 1)
        step(guest, false);
}

// The guest that believes it finds all that was launched in memory that is shared, too.
void hide_sev_and_share(Guest& guest) {
    if (!hidden) {
        hide_sev(guest);
        if (hidden)
            share_image(guest);
    }
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

// CPUID raises a #VC all the same, whose handler asks by the protocol that a plain machine has not:
// it has no leaf that tells of SEV.
Cpuid no_leaf(Guest&, uint32_t, uint32_t, Cpuid) {
    return {};
}

void from_first_instruction(Guest& guest) {
    step(guest, true);
}

using enum HostileClass;
constexpr const char kPlain[] = "terminates, without a word: it does not know yet what it is";
// A row an entry.
// clang-format off
constexpr Hostile kEntries[] = {
    {.name = "two-frames-a-page", .kind = harmless, .guests = kOnBoth,
     .right_guest = "has the C-bit in all of its tables", .at_launch = share_image_in_silence},
    {.name = "early-report", .kind = detected, .guests = kOnBoth, .right_guest = kPlain,
     .at_launch = from_first_instruction, .after_step = early_report},
    {.name = "forged-eip", .kind = detected, .guests = kOnBoth,
     .right_guest = "terminates by a code of its own", .at_launch = from_first_instruction,
     .after_step = forge_eip},
    {.name = "gp-hides-sev", .kind = detected, .guests = kOnBoth, .right_guest = kPlain,
     .at_launch = from_first_instruction, .at_exit = cpuid_of_the_cpu, .after_step = hide_sev},
    {.name = "gp-hides-sev-and-shares", .kind = detected, .guests = kOnBoth,
     .right_guest = kPlain, .at_launch = from_first_instruction, .at_exit = cpuid_of_the_cpu,
     .after_step = hide_sev_and_share},
    {.name = "gp-hides-sev-and-answers", .kind = detected, .guests = kOnBoth,
     .right_guest = kPlain, .at_launch = from_first_instruction, .after_step = hide_sev,
     .cpuid = no_leaf},
};
// clang-format on

} // namespace

const HostileTable kHiddenGuests = hostile_table(kEntries);

} // namespace sevhost
