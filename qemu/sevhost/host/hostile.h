// A host that lies. HOSTILE= names one behaviour of the table in hostile.cpp: hooks
// into the places where a host can deceive its guest, and what a right guest does.
#pragma once

#include <stdint.h>

#include "guest.h"
#include "machine.h"
#include "page_state.h"
#include "reverse_map.h"

namespace sevhost {

enum class HostileClass : uint8_t {
    detected,       // the guest terminates, with a reason
    harmless,       // it boots: the lie decided nothing
    denial,         // a host can always stop its guest
    not_detectable, // on this generation of hardware
};

// Each hook may be null: the host is honest there.
struct Hostile {
    const char* name;
    HostileClass kind;
    const char* right_guest; // what a right guest does, in a few words

    // Before the first instruction: the GHCB MSR, memory, the CPUID page.
    void (*at_launch)(Guest& guest);
    // Before each entry: events, registers that are not protected, memory.
    void (*before_entry)(Guest& guest);
    // When the guest asks, before it is served; a call that does not return never answers.
    void (*at_vmgexit)(Guest& guest);
    // Answers, from the honest one.
    uint64_t (*msr_response)(Guest& guest, uint64_t request, uint64_t honest);
    void (*ghcb_response)(Guest& guest, uint64_t code, uint8_t* page);
    Cpuid (*cpuid)(Guest& guest, uint32_t leaf, uint32_t subleaf, Cpuid honest);
    // The error code of a #VC.
    uint64_t (*vc)(Guest& guest, uint64_t code);
    // True: the change of state is claimed, but not made.
    bool (*skip_page_state)(Guest& guest, GuestPhys gpa, PageOperation operation);
    // What PVALIDATE tells.
    Adjusted (*pvalidate)(Guest& guest, GuestPhys page, Adjusted honest);
};

// The behaviour of that name; nullptr for an honest host. Ends the run where there is none.
const Hostile* find_hostile(Text name);

void hostile_launch(Guest& guest);
void hostile_before_entry(Guest& guest);
void hostile_vmgexit(Guest& guest);
uint64_t hostile_msr_response(Guest& guest, uint64_t request, uint64_t honest);
void hostile_ghcb_response(Guest& guest, uint64_t code, uint8_t* page);
Cpuid hostile_cpuid(Guest& guest, uint32_t leaf, uint32_t subleaf, Cpuid honest);
uint64_t hostile_vc(Guest& guest, uint64_t code);
bool hostile_skips_page_state(Guest& guest, GuestPhys gpa, PageOperation operation);
Adjusted hostile_pvalidate(Guest& guest, GuestPhys page, Adjusted honest);

} // namespace sevhost
