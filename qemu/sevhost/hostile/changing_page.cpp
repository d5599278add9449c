// The GHCB page's words change as soon as they have been read: the page is not mapped, so that
// each access to it faults, and is stepped over.
#include "hostile.h"
#include "snp.h"
#include "stepping.h"
#include "svm_exits.h"
#include "vc.h"
#include "vmcb.h"

namespace sevhost {
namespace {

struct Watch {
    bool armed = false;
    bool accessed = false;
    bool read = false;
    uint64_t offset = 0;
    uint64_t changed[kPageBytes / 8 / 64] = {}; // a bit a word
} watch;

// So many answers: each access costs two exits.
constexpr unsigned kMostAnswers = 32;

void watch_reads(Guest& guest, uint64_t, GhcbPage&) {
    static unsigned answers;
    watch = {};
    if (++answers > kMostAnswers)
        return;
    watch.armed = true;
    forget_page(guest, guest.ghcb_msr);
}

bool note_ghcb_access(Guest& guest) {
    const VmcbControl& control = guest.vmcb->control;
    if (!watch.armed || exit_code_of(guest) != exit::kNestedFault ||
        (control.exit_info2 & ~(kPageBytes - 1)) != guest.ghcb_msr)
        return false;
    watch.accessed = true;
    watch.read = !(control.exit_info1 & kNestedFaultWrite);
    watch.offset = control.exit_info2 % kPageBytes & ~uint64_t{7};
    step(guest, true);
    return false;
}

void change_what_was_read(Guest& guest) {
    if (!watch.accessed)
        return;
    watch.accessed = false;
    step(guest, false);
    const uint64_t word = watch.offset / 8;
    uint64_t& changed = watch.changed[word / 64];
    if (watch.read && !(changed >> word % 64 & 1)) {
        changed |= uint64_t{1} << word % 64;
        uint8_t* at = guest.memory.at(guest.ghcb_msr, kPageBytes, Backing::shared) + watch.offset;
        for (unsigned i = 0; i != 8; ++i)
            at[i] ^= 0xff;
        hostile_acted(guest);
    }
    forget_page(guest, guest.ghcb_msr);
}

using enum HostileClass;
// A row an entry.
// clang-format off
constexpr Hostile kEntries[] = {
    {.name = "ghcb-changes-between-reads", .kind = harmless, .guests = kOnBoth,
     .right_guest = "reads each word once, into memory of its own", .at_exit = note_ghcb_access,
     .after_step = change_what_was_read, .ghcb_response = watch_reads},
};
// clang-format on

} // namespace

const HostileTable kPageThatChanges = hostile_table(kEntries);

} // namespace sevhost
