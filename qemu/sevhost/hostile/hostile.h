// A host that lies. HOSTILE= names one behaviour: hooks into the places where a host can
// deceive its guest, and what a right guest does. The behaviours stand in tables, a file for
// each kind of lie; a new one is an entry there, and nothing else.
#pragma once

#include <stdint.h>

#include "ghcb.h"
#include "guest.h"
#include "machine.h"
#include "page_state.h"
#include "place.h"

namespace sevhost {

struct CcBlob; // snp_pages.h

enum class HostileClass : uint8_t {
    detected,       // the guest terminates, with a reason
    harmless,       // it boots: the lie decided nothing
    denial,         // it does not come up, which a host can always have
    not_detectable, // on this generation of hardware: the guest believes it
};

// For which guests a behaviour is one, and of that class. With restricted injection most of SNP's
// events are none.
enum HostileGuests : uint8_t { kOnEs = 1, kOnSnp = 2, kOnBoth = kOnEs | kOnSnp, kOnRestricted = 4 };

// Each hook may be null: the host is honest there.
struct Hostile {
    const char* name;
    HostileClass kind;
    HostileGuests guests;
    const char* right_guest; // what a right guest does, in a few words
    bool may_be_missed;      // by one that never comes to what it acts on, later than at first
    bool replaces_memory;    // and no guest can know: it may execute anything then

    // Before the first instruction: the GHCB MSR, memory, SNP's pages.
    void (*at_launch)(Guest& guest);
    void (*memory_map)(Guest& guest, MemoryMap& map);
    // The exit that has come, before it is handled. True: it has been.
    bool (*at_exit)(Guest& guest);
    // Before each entry: events, memory.
    void (*before_entry)(Guest& guest);
    // Behind each instruction of the guest: it goes step by step.
    void (*after_step)(Guest& guest);
    // The guest asks. True: it is not served.
    bool (*at_vmgexit)(Guest& guest);
    // A processor is about to be started, or to be destroyed, as another has asked. True: it is not.
    bool (*at_start)(Guest& sender, Guest& other);
    // Answers, from the honest one.
    uint64_t (*msr_response)(Guest& guest, uint64_t request, uint64_t honest);
    void (*ghcb_response)(Guest& guest, uint64_t code, GhcbPage& page);
    Cpuid (*cpuid)(Guest& guest, uint32_t leaf, uint32_t subleaf, Cpuid honest);
    // An MSR that the guest asks for by the page. True: it is answered so, and not touched.
    bool (*msr)(Guest& guest, uint32_t msr, bool write, uint64_t& value);
    // The error code of a #VC; and what follows its delivery.
    uint64_t (*vc)(Guest& guest, uint64_t code);
    void (*after_vc)(Guest& guest, uint64_t code);
    // True: the change of state is claimed, but not made.
    bool (*skip_page_state)(Guest& guest, GuestPhys gpa, PageOperation operation);
    // A list of page states that was worked off, and what SW_EXITINFO2 says of it.
    void (*page_state_list)(Guest& guest, uint8_t* list, uint64_t& result);
    void (*before_pvalidate)(Guest& guest, GuestPhys page);
};

struct HostileTable {
    const Hostile* entries;
    unsigned count;
};
template <unsigned count>
constexpr HostileTable hostile_table(const Hostile (&entries)[count]) {
    return {entries, count};
}
extern const HostileTable kLiesOfCpuid;      // cpuid_lies.cpp
extern const HostileTable kLiesByMsr;        // msr_lies.cpp
extern const HostileTable kLiesByPage;       // page_lies.cpp
extern const HostileTable kLiesOfStates;     // state_lies.cpp
extern const HostileTable kEventsUnasked;    // unasked_events.cpp
extern const HostileTable kMemoryTaken;      // memory_attacks.cpp
extern const HostileTable kPageThatChanges;  // changing_page.cpp
extern const HostileTable kLiesAtLaunch;     // launch_lies.cpp
extern const HostileTable kLiesOfTheKept;    // kept_lies.cpp
extern const HostileTable kSilentHosts;      // silent_hosts.cpp
extern const HostileTable kLiesOfPlaces;     // pointer_lies.cpp
extern const HostileTable kStorms;           // storms.cpp
extern const HostileTable kHiddenGuests;     // hidden_guests.cpp
extern const HostileTable kOldHosts;         // old_hosts.cpp
extern const HostileTable kLiesOfProcessors; // processor_lies.cpp

// The behaviour of that name; nullptr for an honest host. Ends the run where there is none.
// "name:3" acts at its third occasion, where it acts once only.
const Hostile* find_hostile(const Settings& settings);

// Has the guest's host behave so from its launch on, at that occasion, as if nothing had acted yet.
void set_hostile(Guest& guest, const Hostile& behaviour, uint64_t at_occasion);
bool hostile_has_acted();
uint64_t idt_at_hostile_act();   // the guest's, the first time
bool hostile_counts_occasions(); // it acts at one that was asked for

unsigned hostile_count();
const Hostile& hostile(unsigned number);
bool is_behaviour_of(const Hostile& behaviour, const Settings& settings);

const char* name(HostileClass kind);

// A line for each behaviour: name, class, guests, what a right guest does.
void say_hostile_behaviours();

// For the behaviours: whether this is the occasion that is asked for, the first if none is;
// and a line, the first time, that the behaviour has acted.
bool is_occasion();
uint64_t occasion();
// Behind each of the guest's instructions: whether this one is the occasion. A REP counts once.
bool is_occasions_instruction(const Guest& guest);
void hostile_acted(const Guest& guest);
// ... and what leads to SNP's pages, for one that changes it; null where nothing does.
CcBlob* changed_blob(Guest& guest); // launch_lies.cpp

void hostile_launch(Guest& guest);
void hostile_memory_map(Guest& guest, MemoryMap& map);
bool hostile_exit(Guest& guest);
void hostile_before_entry(Guest& guest);
void hostile_after_step(Guest& guest);
bool hostile_steps(const Guest& guest);
bool hostile_vmgexit(Guest& guest);
bool hostile_start(Guest& sender, Guest& other);
uint64_t hostile_msr_response(Guest& guest, uint64_t request, uint64_t honest);
void hostile_ghcb_response(Guest& guest, uint64_t code, GhcbPage& page);
Cpuid hostile_cpuid(Guest& guest, uint32_t leaf, uint32_t subleaf, Cpuid honest);
bool hostile_msr(Guest& guest, uint32_t msr, bool write, uint64_t& value);
uint64_t hostile_vc(Guest& guest, uint64_t code);
void hostile_after_vc(Guest& guest, uint64_t code);
bool hostile_skips_page_state(Guest& guest, GuestPhys gpa, PageOperation operation);
void hostile_page_state_list(Guest& guest, uint8_t* list, uint64_t& result);
void hostile_before_pvalidate(Guest& guest, GuestPhys page);

} // namespace sevhost
