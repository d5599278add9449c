// The guest's memory behind its back. On ES the host can change what it cannot read; on SNP a
// page that it has touched is not the one that the guest has validated (APM vol. 2, 15.36.10).
#include "ghcb_msr_protocol.h"
#include "hostile.h"
#include "page_walk.h"
#include "snp.h"
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

const uint8_t* seen(const Guest& guest, uint64_t linear, unsigned bytes) {
    const Translation t = look_up(guest, linear);
    return t.mapped ? guest.memory.at(t.gpa, bytes, Backing::private_) : nullptr;
}

// Where #VC's gate leads (APM vol. 2, 4.8.1 to 4.8.4); in 32-bit mode a segment may have a base.
uint64_t handler(const Guest& guest) {
    const VmcbSave& save = guest.save();
    const bool wide = guest.long_mode();
    const unsigned bytes = wide ? 16 : 8;
    const uint8_t* const gate = seen(guest, save.idtr.base + kVectorVc * bytes, bytes);
    if (gate == nullptr)
        return 0;
    const auto word = [](const uint8_t* at) { return at[0] | uint64_t{at[1]} << 8; };
    const uint64_t offset = word(gate) | word(gate + 6) << 16;
    if (wide)
        return offset | word(gate + 8) << 32 | word(gate + 10) << 48;
    const uint8_t* const code = seen(guest, save.gdtr.base + (word(gate + 2) & ~7u), 8);
    return code == nullptr
               ? offset
               : (word(code + 2) | uint64_t{code[4]} << 16 | uint64_t{code[7]} << 24) + offset;
}

uint64_t next_instruction(const Guest& guest) {
    const VmcbSave& save = guest.save();
    return (guest.in_64_bit_code() ? 0 : save.cs.base) + save.rip;
}

// Without it no handler is entered, and nothing shows but a shutdown.
bool is_for_delivery(const Guest& guest, GuestPhys page) {
    const VmcbSave& save = guest.save();
    return holds(guest, next_instruction(guest), page) || holds(guest, handler(guest), page) ||
           holds(guest, guest.gprs[rsp], page) || holds(guest, save.idtr.base, page) ||
           holds(guest, save.gdtr.base, page) || holds(guest, save.tr.base, page);
}

// Those that are not for delivery, the newest first.
struct Victims {
    GuestPhys pages[kMostPages];
    unsigned count = 0;
};
Victims find_victims(const Guest& guest) {
    Victims victims;
    for (unsigned i = touched_count; i-- != 0;)
        if (!is_for_delivery(guest, touched[i]))
            victims.pages[victims.count++] = touched[i];
    return victims;
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

// Of the newest page, or of all: of a single one nobody knows whether it is used again.
template <void (*attack)(Guest&, GuestPhys), unsigned most>
bool at_victims(Guest& guest) {
    const Victims victims = find_victims(guest);
    if (victims.count != 0 && is_occasion())
        for (unsigned i = 0; i != victims.count && i != most; ++i)
            attack(guest, victims.pages[i]);
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

void swap_pages(Guest& guest, GuestPhys one, GuestPhys other) {
    uint8_t* a = contents(guest, one);
    uint8_t* b = contents(guest, other);
    for (uint64_t i = 0; i != kPageBytes; ++i) {
        const uint8_t kept = a[i];
        a[i] = b[i];
        b[i] = kept;
    }
    replaced(guest, one);
    replaced(guest, other);
}

bool swap(Guest& guest) {
    const Victims victims = find_victims(guest);
    if (victims.count < 2 || !is_occasion())
        return false;
    for (unsigned i = 0; i + 1 < (guest.snp() ? victims.count : 2); i += 2)
        swap_pages(guest, victims.pages[i], victims.pages[i + 1]);
    return false;
}

// What was in the touched pages at the first VMGEXIT that found any.
struct Copy {
    GuestPhys page;
    uint8_t bytes[kPageBytes];
};
Copy copies[kMostPages];
unsigned copy_count;

void keep_copies(const Guest& guest) {
    for (copy_count = 0; copy_count != touched_count; ++copy_count) {
        copies[copy_count].page = touched[copy_count];
        memcpy(copies[copy_count].bytes, contents(guest, touched[copy_count]), kPageBytes);
    }
}

bool replay(Guest& guest) {
    if (copy_count == 0) {
        keep_copies(guest);
        return false;
    }
    for (unsigned i = 0; i != copy_count; ++i) {
        const Copy& old = copies[i];
        if (is_for_delivery(guest, old.page) ||
            memcmp(old.bytes, contents(guest, old.page), kPageBytes) == 0)
            continue;
        if (is_occasion()) {
            memcpy(contents(guest, old.page), old.bytes, kPageBytes);
            replaced(guest, old.page);
        }
        return false;
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

// Another frame in the page's place, or none that the guest may have.
bool take_doorbell(Guest& guest) {
    if (guest.doorbell != Guest::kNoDoorbell && is_occasion()) {
        guest.rmp.assign(guest.doorbell, kPageBytes);
        forget_page(guest, guest.doorbell);
        hostile_acted(guest);
    }
    return false;
}

using enum HostileClass;
constexpr const char kAtThePage[] = "terminates where it comes to the page: it is not validated";
// A row an entry.
// clang-format off
constexpr Hostile kEntries[] = {
    {.name = "memory-zeroed", .kind = not_detectable, .guests = kOnEs,
     .right_guest = "goes on with what it finds", .replaces_memory = true, .at_exit = note_access,
     .at_vmgexit = at_victims<zero, 1>},
    {.name = "memory-corrupted", .kind = not_detectable, .guests = kOnEs,
     .right_guest = "goes on with what it finds", .replaces_memory = true, .at_exit = note_access,
     .at_vmgexit = at_victims<corrupt, 1>},
    {.name = "memory-swapped", .kind = not_detectable, .guests = kOnEs,
     .right_guest = "goes on with what it finds", .replaces_memory = true, .at_exit = note_access,
     .at_vmgexit = swap},
    {.name = "memory-replayed", .kind = not_detectable, .guests = kOnEs,
     .right_guest = "goes on with what it finds", .replaces_memory = true, .at_exit = note_access,
     .at_vmgexit = replay},
    {.name = "page-zeroed", .kind = detected, .guests = kOnSnp,
     .right_guest = kAtThePage, .may_be_missed = true, .at_exit = note_access,
     .at_vmgexit = at_victims<zero, kMostPages>},
    {.name = "page-corrupted", .kind = detected, .guests = kOnSnp,
     .right_guest = kAtThePage, .may_be_missed = true, .at_exit = note_access,
     .at_vmgexit = at_victims<corrupt, kMostPages>},
    {.name = "pages-swapped", .kind = detected, .guests = kOnSnp,
     .right_guest = kAtThePage, .may_be_missed = true, .at_exit = note_access,
     .at_vmgexit = swap},
    {.name = "page-replayed", .kind = detected, .guests = kOnSnp,
     .right_guest = kAtThePage, .may_be_missed = true, .at_exit = note_access,
     .at_vmgexit = replay},
    {.name = "page-unvalidated", .kind = detected, .guests = kOnSnp,
     .right_guest = kAtThePage, .may_be_missed = true, .at_exit = note_access,
     .at_vmgexit = at_victims<unvalidate, kMostPages>},
    {.name = "code-unvalidated", .kind = denial, .guests = kOnSnp,
     .right_guest = "terminates; or shuts down, if the page is its #VC handler's",
     .at_vmgexit = unvalidate_code},
    {.name = "page-taken", .kind = denial, .guests = kOnSnp,
     .right_guest = "never goes on: its next access to the page faults to the host",
     .at_exit = note_access, .at_vmgexit = at_victims<take, kMostPages>},
    {.name = "ghcb-taken", .kind = denial, .guests = kOnSnp,
     .right_guest = "never goes on: its next access to the page faults to the host",
     .at_vmgexit = take_ghcb},
    {.name = "doorbell-taken", .kind = denial, .guests = kOnRestricted,
     .right_guest = "never goes on: its next access to the page faults to the host",
     .at_vmgexit = take_doorbell},
};
// clang-format on

} // namespace

const HostileTable kMemoryTaken = hostile_table(kEntries);

} // namespace sevhost
