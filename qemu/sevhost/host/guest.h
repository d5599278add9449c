// One guest: its virtual processor, its memory, and what the host knows of it.
#pragma once

#include <stdint.h>

#include "activity.h"
#include "host_memory.h"
#include "nested_tables.h"
#include "processor.h"
#include "profile.h"
#include "reverse_map.h"
#include "settings.h"

namespace sevhost {

struct Hostile;
struct Guest;

// SNP: where the launch has put what firmware gives a guest. 0: nowhere.
struct SnpPages {
    GuestPhys cpuid = 0, secrets = 0, blob = 0;
};

// What the processors of a guest have in common.
struct Vm {
    Vm(HostMemory& host_memory, const Settings& wanted);

    const Settings settings;
    const Profile& profile;
    HostMemory& host;
    GuestMemory memory;

    // Where the C-bit decides, and where all is private.
    NestedTables by_c_bit;
    NestedTables all_private;
    ReverseMap rmp;

    GuestPhys ap_jump_table = 0;
    SnpPages snp_pages;
    const Hostile* hostile = nullptr;

    // By their numbers; the first is the boot processor.
    Guest* processors[kMostProcessors] = {};
    unsigned count = 1;
    uint32_t ap_reset = 0; // where the others begin, as the firmware says; 0: it does not
    bool has_waiting_room = false;
};

// One processor of a guest, and by it all that the guest is: the one that has just left it.
struct Guest : Processor {
    explicit Guest(Vm& vm);

    Vm& vm;
    const Settings& settings;
    const Profile& profile;
    HostMemory& host;
    NestedTables& by_c_bit;
    NestedTables& all_private;
    ReverseMap& rmp;
    GuestPhys& ap_jump_table;
    SnpPages& snp_pages;
    const Hostile*& hostile;

    HostPhys vmcb_phys = 0;
    HostPhys host_vmcb_phys = 0; // what VMRUN does not save of the host's processor
    Standing standing;

    // EFER without SVME, which the VMCB's has always; LME and LMA it has only while paging
    // is on (see control_registers.cpp).
    uint64_t efer = 0;

    uint64_t ghcb_msr = 0;
    GuestPhys ghcb_registered = kNotRegistered; // SNP: the only page that VMGEXIT may name
    GuestPhys first_ghcb = 0;                   // the one that VMGEXIT named first; 0: none yet
    uint64_t shadow_pat = 0;                    // where the host intercepts PAT
    uint64_t dr7 = 0x400; // as the guest told it; the processor's own is not the host's to see
    GuestPhys doorbell = kNoDoorbell; // restricted injection: the page of #HV

    static constexpr GuestPhys kNotRegistered = ~uint64_t{0};
    static constexpr GuestPhys kNoDoorbell = ~uint64_t{0}; // which is what a host says, too

    bool alone() const { return settings.processors == 1; }
    bool encrypted() const { return settings.sev != Sev::none; }
    bool state_is_encrypted() const { return settings.sev >= Sev::es; }
    bool snp() const { return settings.sev == Sev::snp; }
    HostPhys phys(const Region& region, GuestPhys gpa, Backing backing) const {
        return host.phys_of_ram(region.at(gpa, backing));
    }
};

} // namespace sevhost
