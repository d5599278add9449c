// A host that does nothing where its guest counts on #VC, and one that gives its guest memory that
// nobody measured.
#include <string.h>

#include "canary.h"
#include "hostile.h"
#include "intercepts.h"
#include "launch.h"
#include "snp.h"
#include "vmcb.h"

namespace sevhost {
namespace {

constexpr uint32_t kInterceptCpuid = 1u << 18, kInterceptIoio = 1u << 27;
constexpr uint8_t kChosen = 0x5a;
constexpr unsigned kMostChosen = 1024; // pages

// The processor answers itself then, with what the host's own CPUID is.
template <uint32_t intercepts>
void do_not_intercept(Guest& guest) {
    guest.vmcb->control.misc1 &= ~intercepts;
    hostile_acted(guest);
}

bool is_zero(const uint8_t* bytes) {
    for (uint64_t i = 0; i != kPageBytes; ++i)
        if (bytes[i] != 0)
            return false;
    return true;
}

// Pages of the image that it wants zeroed, launched with another content: the page's type is part
// of the launch's digest, and so the owner sees it, but not the guest (56860, 8.17.2).
void choose_bss(Guest& guest) {
    for_each_launched(guest, [&](GuestPhys page) {
        uint8_t* bytes = guest.memory.at(page, kPageBytes, Backing::private_);
        if (page < layout::kHighMemory || !is_zero(bytes))
            return;
        memset(bytes, kChosen, kPageBytes);
        hostile_acted(guest);
    });
}

// All memory that was not launched: validated, and the first of it as the host wants it.
void choose_memory(Guest& guest) {
    unsigned chosen = 0;
    for (unsigned i = 0; i != guest.memory.count(); ++i)
        for (GuestPhys at = 0; at != guest.memory[i].bytes; at += kPageBytes) {
            const GuestPhys page = guest.memory[i].start + at;
            if (was_launched(page))
                continue;
            guest.rmp.set_validated(page, true);
            if (chosen++ < kMostChosen)
                memset(guest.memory.at(page, kPageBytes, Backing::private_), kChosen, kPageBytes);
        }
    hostile_acted(guest);
}

using enum HostileClass;
// A row an entry.
// clang-format off
constexpr Hostile kEntries[] = {
    {.name = "cpuid-not-intercepted", .kind = harmless, .guests = kOnBoth,
     .right_guest = "does not count on a #VC", .at_launch = do_not_intercept<kInterceptCpuid>},
    {.name = "ports-not-intercepted", .kind = harmless, .guests = kOnBoth,
     .right_guest = "does not count on a #VC", .at_launch = do_not_intercept<kInterceptIoio>},
    {.name = "launch-bss-chosen", .kind = not_detectable, .guests = kOnSnp,
     .right_guest = "believes it: its owner sees another measurement", .at_launch = choose_bss},
    {.name = "launch-memory-chosen", .kind = detected, .guests = kOnSnp,
     .right_guest = "terminates: PVALIDATE's carry says that the page was validated already",
     .at_launch = choose_memory},
};
// clang-format on

} // namespace

const HostileTable kSilentHosts = hostile_table(kEntries);

} // namespace sevhost
