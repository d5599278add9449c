#include "trial.h"

#include <string.h>

#include "canary.h"
#include "code_pages.h"
#include "diagnosis.h"
#include "exits.h"
#include "intercepts.h"
#include "launch.h"
#include "snp.h"
#include "until_end.h"
#include "watchdog.h"

namespace sevhost {
namespace {

constexpr unsigned kMostPages = 16896; // that a try may write: 66 MiB, as guest.py has it
constexpr unsigned kMostMappings = 2 * kMostPages;
constexpr unsigned kTicksOfHang = 30; // without an exit

struct DirtyPage {
    uint8_t* at;
    uint8_t* was;
};
struct Mapping {
    NestedTables* tables;
    uint64_t address;
};

DirtyPage dirty[kMostPages];
unsigned dirty_count;
uint8_t* copies; // of kMostPages
Mapping writable[kMostMappings];
unsigned writable_count;

// What is kept besides memory.
Vmcb kept_vmcb;
alignas(Guest) uint8_t kept_guest[sizeof(Guest)];
alignas(Vm) uint8_t kept_vm[sizeof(Vm)];
alignas(16) uint8_t kept_sse[512];
uint8_t* kept_states[GuestMemory::kMaxRegions];
uint8_t* kept_seen[GuestMemory::kMaxRegions]; // which pages hold something

bool learns;

void copy(uint8_t* to, const uint8_t* from, uint64_t bytes) {
    uint64_t words = bytes / 8;
    asm volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
}

void keep_page(uint8_t* at) {
    for (unsigned i = dirty_count; i-- != 0;)
        if (dirty[i].at == at)
            return;
    if (dirty_count == kMostPages)
        fail("a try writes to more than ", decimal(kMostPages), " pages");
    DirtyPage& page = dirty[dirty_count];
    page = {at, copies + dirty_count * kPageBytes};
    copy(page.was, at, kPageBytes);
    ++dirty_count;
}

// The host's own hands: it may write there.
void note_access(uint8_t* at, uint64_t bytes) {
    auto page = reinterpret_cast<uint64_t>(at) & ~(kPageBytes - 1);
    for (; page < reinterpret_cast<uint64_t>(at) + bytes; page += kPageBytes)
        keep_page(reinterpret_cast<uint8_t*>(page));
}

const Region& region_of(const Guest& guest, const uint8_t* at, Backing& backing) {
    for (unsigned i = 0;; ++i) {
        const Region& region = guest.memory[i];
        backing = Backing::private_;
        if (at >= region.private_ && at < region.private_ + region.bytes)
            return region;
        backing = Backing::shared;
        if (at >= region.shared && at < region.shared + region.bytes)
            return region;
    }
}

void look_at_pages(const Guest& guest, TrialResult& result) {
    for (unsigned i = 0; i != dirty_count; ++i) {
        Backing backing;
        const Region& region = region_of(guest, dirty[i].at, backing);
        if (backing == Backing::shared) {
            result.shows_canary |= holds_canary(guest, dirty[i].at, kPageBytes);
            continue;
        }
        const GuestPhys page = region.start + static_cast<uint64_t>(dirty[i].at - region.private_);
        if (learns)
            learn_code_page(page, dirty[i].at);
        else
            result.writes_code |= code_page_differs(page, dirty[i].at);
    }
}

void protect_again() {
    for (unsigned i = 0; i != writable_count; ++i)
        writable[i].tables->unmap(writable[i].address);
    writable_count = 0;
}

// A page that has changed hands is mapped as what it is not.
void take_back_reverse_map(Guest& guest) {
    for (unsigned i = 0; i != guest.memory.count(); ++i) {
        const Region& region = guest.memory[i];
        uint8_t* states = guest.rmp.states(i);
        const uint64_t count = ReverseMap::bytes_for(region);
        if (states == nullptr || memcmp(states, kept_states[i], count) == 0)
            continue;
        for (uint64_t page = 0; page != count; ++page) {
            if (states[page] == kept_states[i][page])
                continue;
            states[page] = kept_states[i][page];
            forget_page(guest, region.start + page * kPageBytes);
        }
    }
}

void keep_maps(const Guest& guest, unsigned region) {
    const uint64_t pages = ReverseMap::bytes_for(guest.memory[region]);
    if (guest.rmp.states(region) != nullptr)
        copy(kept_states[region], guest.rmp.states(region), pages);
    if (guest.memory[region].seen != nullptr)
        copy(kept_seen[region], guest.memory[region].seen, pages);
}

void take_back(Guest& guest) {
    for (unsigned i = 0; i != dirty_count; ++i)
        copy(dirty[i].at, dirty[i].was, kPageBytes);
    dirty_count = 0;
    protect_again();
    *guest.vmcb = kept_vmcb;
    memcpy(static_cast<void*>(&guest), kept_guest, sizeof guest);
    memcpy(static_cast<void*>(&guest.vm), kept_vm, sizeof guest.vm);
    take_back_intercepts();
    take_back_reverse_map(guest);
    for (unsigned i = 0; i != guest.memory.count(); ++i)
        if (guest.memory[i].seen != nullptr)
            copy(guest.memory[i].seen, kept_seen[i], ReverseMap::bytes_for(guest.memory[i]));
    asm volatile("fxrstor %0" : : "m"(kept_sse));
}

struct Attempt {
    Guest& guest;
    void (*act)(Guest&);
    unsigned exits;
    TrialResult result;
};
Attempt* current;

void note_end(Outcome outcome) {
    current->result.how = TrialEnd::ended;
    current->result.outcome = outcome;
    end_now();
}

void run_attempt(void* argument) {
    auto& attempt = *static_cast<Attempt*>(argument);
    attempt.act(attempt.guest);
    watchdog_ticks();
    unsigned without_exit = 0;
    for (unsigned exits = 0; exits < attempt.exits;) {
        run_to_next_exit(attempt.guest);
        const unsigned ticks = watchdog_ticks();
        without_exit = ticks == 0 ? 0 : without_exit + ticks;
        if (without_exit >= kTicksOfHang) {
            attempt.result.how = TrialEnd::hangs;
            return;
        }
        exits += ticks == 0;
    }
}

void run_until_end(void (*body)(void*), Attempt& attempt) {
    const unsigned seen = canaries_seen();
    current = &attempt;
    at_end = note_end;
    until_end(body, &attempt);
    at_end = nullptr;
    attempt.result.rip = attempt.guest.save().rip;
    attempt.result.ghcb_msr = attempt.guest.ghcb_msr;
    attempt.result.shows_canary = canaries_seen() != seen;
}

} // namespace

bool tracks_writes() {
    return copies != nullptr;
}

void note_writable(NestedTables& tables, uint64_t address, uint8_t* page) {
    keep_page(page);
    for (unsigned i = writable_count; i-- != 0;)
        if (writable[i].tables == &tables && writable[i].address == address)
            return;
    if (writable_count == kMostMappings)
        fail("a try maps more than ", decimal(kMostMappings), " pages to write to them");
    writable[writable_count++] = {&tables, address};
}

void prepare_trials(Guest& guest) {
    copies = guest.host.at(guest.host.take(kMostPages * kPageBytes, kPageBytes, "kept pages"));
    for (unsigned i = 0; i != guest.memory.count(); ++i) {
        const uint64_t pages = ReverseMap::bytes_for(guest.memory[i]);
        kept_states[i] = guest.host.at(guest.host.take(pages, kPageBytes, "a kept reverse map"));
        kept_seen[i] = guest.host.at(guest.host.take(pages, kPageBytes, "what pages hold"));
    }
    guest.memory.on_access = note_access;
    guest.by_c_bit.clear(); // what is mapped to be written to
    guest.all_private.clear();
    guest.vmcb->control.tlb_control = kTlbFlushAll;
    start_watchdog(guest);
}

void keep_state(Guest& guest) {
    dirty_count = 0;
    protect_again();
    kept_vmcb = *guest.vmcb;
    memcpy(kept_guest, static_cast<const void*>(&guest), sizeof guest);
    memcpy(kept_vm, static_cast<const void*>(&guest.vm), sizeof guest.vm);
    for (unsigned i = 0; i != guest.memory.count(); ++i)
        keep_maps(guest, i);
    keep_intercepts();
    asm volatile("fxsave %0" : "=m"(kept_sse));
}

TrialResult attempt(Guest& guest, void (*act)(Guest&), unsigned exits) {
    Attempt attempt = {guest, act, exits, {}};
    run_until_end(run_attempt, attempt);
    look_at_pages(guest, attempt.result);
    take_back(guest);
    return attempt.result;
}

bool go_on(Guest& guest, void (*act)(Guest&)) {
    Attempt attempt = {guest, act, 0, {}};
    run_until_end([](void* a) { static_cast<Attempt*>(a)->act(static_cast<Attempt*>(a)->guest); },
                  attempt);
    return attempt.result.how != TrialEnd::ended;
}

void learn_what_boot_writes(Guest& guest, unsigned exits) {
    learns = true;
    const auto nothing = [](Guest&) {};
    attempt(guest, nothing, exits);
    learns = false;
}

} // namespace sevhost
