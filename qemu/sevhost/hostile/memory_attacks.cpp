// The guest's memory behind its back. On ES the host can change what it cannot read; on SNP a
// page that it has touched is not the one that the guest has validated (APM vol. 2, 15.36.10).
#include "ghcb_msr_protocol.h"
#include "hostile.h"
#include "page_walk.h"
#include "snp.h"
#include "stepping.h"
#include "svm_exits.h"
#include "vc.h"
#include "vmcb.h"

#include <string.h>

namespace sevhost {
namespace {

// Private pages of data that the guest has touched, the newest last.
constexpr unsigned kMostPages = 16;
GuestPhys touched[kMostPages];
unsigned touched_count;

GuestPhys page_of(GuestPhys address) {
    return address & ~(kPageBytes - 1);
}

// Or one of the tables on the way there.
bool holds(const Guest& guest, uint64_t linear, GuestPhys page) {
    const Translation t = look_up(guest, linear);
    for (unsigned i = 0; i != t.steps; ++i)
        if (page_of(t.step[i].at) == page)
            return true;
    return t.mapped && page_of(t.gpa) == page;
}

bool note_access(Guest& guest) {
    const VmcbControl& control = guest.vmcb->control;
    const uint64_t not_data = kNestedFaultFetch | kNestedFaultOnTables;
    const GuestPhys page = page_of(control.exit_info2 & ~guest.c_bit_mask);
    const bool is_private = !guest.paging_has_c_bit() || (control.exit_info2 & guest.c_bit_mask);
    if (exit_code_of(guest) != exit::kNestedFault || (control.exit_info1 & not_data) ||
        !is_private || guest.memory.find(page, kPageBytes) == nullptr)
        return false;
    for (unsigned i = 0; i != touched_count; ++i)
        if (touched[i] == page)
            return false;
    if (touched_count == kMostPages) {
        memmove(touched, touched + 1, sizeof touched - sizeof touched[0]);
        --touched_count;
    }
    touched[touched_count++] = page;
    return false;
}

// Without it no handler is entered, and nothing shows but a shutdown.
bool is_for_delivery(const Guest& guest, GuestPhys page) {
    const VmcbSave& save = guest.save();
    return holds(guest, save.rip, page) || holds(guest, guest.gprs[rsp], page) ||
           holds(guest, save.idtr.base, page) || holds(guest, save.gdtr.base, page) ||
           holds(guest, save.tr.base, page);
}

// The newest page that is not for delivery; false where there is none.
bool find_victim(const Guest& guest, GuestPhys& page, unsigned skip = 0) {
    for (unsigned i = touched_count; i-- != 0;) {
        page = touched[i];
        if (is_for_delivery(guest, page))
            continue;
        if (skip-- == 0)
            return true;
    }
    return false;
}

uint8_t* contents(const Guest& guest, GuestPhys page) {
    return guest.memory.at(page, kPageBytes, Backing::private_);
}

// What the reverse map makes of a frame that the host has put in a page's place.
void replaced(Guest& guest, GuestPhys page) {
    hostile_acted(guest);
    if (guest.snp())
        guest.rmp.set_validated(page, false);
    forget_page(guest, page);
}

template <void (*attack)(Guest&, GuestPhys)>
bool at_victim(Guest& guest) {
    GuestPhys page = 0;
    if (find_victim(guest, page) && is_occasion())
        attack(guest, page);
    return false;
}

void zero(Guest& guest, GuestPhys page) {
    memset(contents(guest, page), 0, kPageBytes);
    replaced(guest, page);
}

void corrupt(Guest& guest, GuestPhys page) {
    constexpr uint8_t kNoise = 0x5a; // as ciphertext that was changed: all of it is noise
    uint8_t* bytes = contents(guest, page);
    for (uint64_t i = 0; i != kPageBytes; ++i)
        bytes[i] ^= static_cast<uint8_t>(kNoise + i);
    replaced(guest, page);
}

bool swap(Guest& guest) {
    GuestPhys one = 0, other = 0;
    if (!find_victim(guest, one) || !find_victim(guest, other, 1) || !is_occasion())
        return false;
    uint8_t* a = contents(guest, one);
    uint8_t* b = contents(guest, other);
    for (uint64_t i = 0; i != kPageBytes; ++i) {
        const uint8_t kept = a[i];
        a[i] = b[i];
        b[i] = kept;
    }
    replaced(guest, one);
    replaced(guest, other);
    return false;
}

bool replay(Guest& guest) {
    static GuestPhys page;
    static uint8_t old[kPageBytes];
    static bool kept;
    if (!kept) {
        kept = find_victim(guest, page);
        if (kept)
            memcpy(old, contents(guest, page), sizeof old);
        return false;
    }
    if (memcmp(old, contents(guest, page), sizeof old) != 0 && is_occasion()) {
        memcpy(contents(guest, page), old, sizeof old);
        replaced(guest, page);
    }
    return false;
}

void unvalidate(Guest& guest, GuestPhys page) {
    replaced(guest, page);
}

void take(Guest& guest, GuestPhys page) {
    guest.rmp.share(page, kPageBytes);
    forget_page(guest, page);
    hostile_acted(guest);
}

bool unvalidate_code(Guest& guest) {
    const Translation t = look_up(guest, guest.save().rip);
    if (t.mapped && is_occasion())
        replaced(guest, page_of(t.gpa));
    return false;
}

bool take_ghcb(Guest& guest) {
    if ((guest.ghcb_msr & ghcb_msr::kCodeMask) == 0 && is_occasion()) {
        guest.rmp.assign(guest.ghcb_msr, kPageBytes);
        forget_page(guest, guest.ghcb_msr);
        hostile_acted(guest);
    }
    return false;
}

// The GHCB page's words change as soon as they have been read: the page is not mapped, so that
// each access to it faults, and is stepped over.
struct Watch {
    bool armed = false;
    bool accessed = false;
    bool read = false;
    uint64_t offset = 0;
    uint64_t changed[kPageBytes / 8 / 64] = {}; // a bit a word
} watch;

void watch_reads(Guest& guest, uint64_t, GhcbPage&) {
    watch = {};
    watch.armed = true;
    forget_page(guest, guest.ghcb_msr);
}

bool note_ghcb_access(Guest& guest) {
    const VmcbControl& control = guest.vmcb->control;
    if (!watch.armed || exit_code_of(guest) != exit::kNestedFault ||
        page_of(control.exit_info2) != guest.ghcb_msr)
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
constexpr Hostile kEntries[] = {
    {.name = "memory-zeroed", .kind = not_detectable, .guests = kOnEs,
     .right_guest = "goes on with what it finds", .at_exit = note_access,
     .at_vmgexit = at_victim<zero>},
    {.name = "memory-corrupted", .kind = not_detectable, .guests = kOnEs,
     .right_guest = "goes on with what it finds", .at_exit = note_access,
     .at_vmgexit = at_victim<corrupt>},
    {.name = "memory-swapped", .kind = not_detectable, .guests = kOnEs,
     .right_guest = "goes on with what it finds", .at_exit = note_access, .at_vmgexit = swap},
    {.name = "memory-replayed", .kind = not_detectable, .guests = kOnEs,
     .right_guest = "goes on with what it finds", .at_exit = note_access, .at_vmgexit = replay},
    {.name = "page-zeroed", .kind = detected, .guests = kOnSnp,
     .right_guest = "terminates: a page of its own is not validated", .at_exit = note_access,
     .at_vmgexit = at_victim<zero>},
    {.name = "page-corrupted", .kind = detected, .guests = kOnSnp,
     .right_guest = "terminates: a page of its own is not validated", .at_exit = note_access,
     .at_vmgexit = at_victim<corrupt>},
    {.name = "pages-swapped", .kind = detected, .guests = kOnSnp,
     .right_guest = "terminates: a page of its own is not validated", .at_exit = note_access,
     .at_vmgexit = swap},
    {.name = "page-replayed", .kind = detected, .guests = kOnSnp,
     .right_guest = "terminates: a page of its own is not validated", .at_exit = note_access,
     .at_vmgexit = replay},
    {.name = "page-unvalidated", .kind = detected, .guests = kOnSnp,
     .right_guest = "terminates: a page of its own is not validated", .at_exit = note_access,
     .at_vmgexit = at_victim<unvalidate>},
    {.name = "code-unvalidated", .kind = denial, .guests = kOnSnp,
     .right_guest = "terminates; or shuts down, if the page is its #VC handler's",
     .at_vmgexit = unvalidate_code},
    {.name = "page-taken", .kind = denial, .guests = kOnSnp,
     .right_guest = "never goes on: its next access to the page faults to the host",
     .at_exit = note_access, .at_vmgexit = at_victim<take>},
    {.name = "ghcb-taken", .kind = denial, .guests = kOnSnp,
     .right_guest = "never goes on: its next access to the page faults to the host",
     .at_vmgexit = take_ghcb},
    {.name = "ghcb-changes-between-reads", .kind = harmless, .guests = kOnBoth,
     .right_guest = "reads each word once, into memory of its own", .at_exit = note_ghcb_access,
     .after_step = change_what_was_read, .ghcb_response = watch_reads},
};

} // namespace

const HostileTable kMemoryTaken = hostile_table(kEntries);

} // namespace sevhost
