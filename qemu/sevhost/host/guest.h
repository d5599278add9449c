// One guest, its virtual processor, and what the host knows of it.
#pragma once

#include <stdint.h>

#include "arch.h"
#include "guest_memory.h"
#include "nested_tables.h"
#include "settings.h"
#include "vmcb.h"

namespace sevhost {

// General registers by their numbers in an instruction.
enum Gpr : unsigned { rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, kGprCount = 16 };

struct Hostile;

struct Guest {
    Guest(HostMemory& host_memory, const Settings& wanted)
        : settings(wanted), host(host_memory),
          memory(host_memory, wanted.sev != Sev::none) {}

    const Settings settings;
    HostMemory& host;
    GuestMemory memory;

    Vmcb* vmcb = nullptr;
    HostPhys vmcb_phys = 0;
    // RAX and RSP are the VMCB's while the guest runs, and here between exits.
    uint64_t gprs[kGprCount] = {};

    // EFER as the guest knows it: the VMCB's has SVME always, and LME and LMA
    // only while paging is on (see control_registers.cpp).
    uint64_t efer = 0;

    // Where the C-bit decides, and where all is private: paging off, or legacy
    // tables without room for it (APM vol. 2, 15.34.4).
    NestedTables by_c_bit;
    NestedTables all_private;

    uint64_t ghcb_msr = 0;
    GuestPhys ghcb_registered = kNotRegistered; // SNP: the only page that VMGEXIT may name
    uint64_t dr7 = 0x400; // as the guest told it; the processor's own is not the host's to see
    GuestPhys ap_jump_table = 0;

    const Hostile* hostile = nullptr;

    static constexpr GuestPhys kNotRegistered = ~uint64_t{0};

    bool encrypted() const { return settings.sev != Sev::none; }
    bool state_is_encrypted() const { return settings.sev >= Sev::es; }
    bool snp() const { return settings.sev == Sev::snp; }
    uint64_t c_bit_mask() const { return encrypted() ? uint64_t{1} << settings.c_bit : 0; }
};

} // namespace sevhost
