// Whose host it is: where real hosts differ in what they do with a guest. HOST= names a row of
// a table; docs/sev-hosts.md has the sources.
#pragma once

#include <stdint.h>

#include "settings.h"
#include "text.h"

namespace sevhost {

// The GHCB MSR at the first instruction.
enum class FirstGhcb : uint8_t {
    sev_info, // as the document has it (56421, 2.3.1)
    zero,
    old_page, // the GHCB of who ran before, a firmware
};

// The requests that a host serves.
struct Requests {
    const uint64_t* codes;
    unsigned count;

    template <unsigned n>
    constexpr Requests(const uint64_t (&list)[n]) : codes(list),
                                                    count(n) {}

    bool has(uint64_t code) const {
        for (unsigned i = 0; i != count; ++i)
            if (codes[i] == code)
                return true;
        return false;
    }
};

struct Profile {
    const char* name;
    Sev most; // what the host starts at most

    // The VMSA at the first instruction.
    uint64_t cr4; // bits that the host sets in it
    uint64_t pat;
    bool caches_at_reset; // CR0.CD and NW are clear where a processor has them set
    FirstGhcb first_ghcb;

    // What is a #VC besides CPUID, ports, MSRs, MONITOR, MWAIT and VMMCALL.
    bool intercepts_caches, intercepts_counters, intercepts_dr7; // INVD, WBINVD; RDPMC
    bool intercepts_rdtscp;
    bool intercepts_pat, intercepts_tsc_aux; // what is written there is the host's shadow of it

    // VMGEXIT. What is not served, or malformed, ends the VM; or the guest is told.
    Requests msr_requests, page_events;
    bool ends_on_wrong_requests;
    bool serves_port_strings;
    bool keeps_first_ghcb;      // and declines every other
    bool returns_all_registers; // valid in the page, whatever was asked
    bool clears_page;           // before it answers
    bool has_few_msrs;          // and an exception behind VMGEXIT for reading any other
    uint64_t features;
};

// Ends the run where there is no such host.
const Profile& find_profile(Text name);

} // namespace sevhost
