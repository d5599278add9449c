// The GHCB page (AMD 56421, 2.6): the one that the host can read and write. It is
// held by one user at a time. A request is filled in, and what comes back is copied
// out once; only the copy is looked at. Between uses the page holds nothing.
#pragma once
#pragma GCC visibility push(hidden)

#include "sev_state.h"

#include <stdint.h>

namespace prologue {

// Offsets.
inline constexpr unsigned kGhcbCpl = 0x0cb, kGhcbRax = 0x1f8, kGhcbRcx = 0x308, kGhcbRdx = 0x310,
                          kGhcbRbx = 0x318, kGhcbExitCode = 0x390, kGhcbExitInfo1 = 0x398,
                          kGhcbExitInfo2 = 0x3a0, kGhcbScratch = 0x3a8, kGhcbXcr0 = 0x3e8,
                          kGhcbValid = 0x3f0, kGhcbSaveEnd = 0x400, kGhcbBuffer = 0x800,
                          kGhcbVersion = 0xffa, kGhcbUsage = 0xffc;
inline constexpr unsigned kGhcbBufferBytes = 0x7f0;

// Events that are no exit of the CPU (4.1)
inline constexpr uint64_t kGhcbMmioRead = 0x80000001, kGhcbMmioWrite = 0x80000002,
                          kGhcbResetHold = 0x80000004, kGhcbJumpTable = 0x80000005,
                          kGhcbPageStates = 0x80000010, kGhcbApCreation = 0x80000013;

// The registers that a request and an answer may have.
enum GhcbRegister : unsigned { kRax, kRbx, kRcx, kRdx, kGhcbRegisters };

// Fields of a request, and of an answer.
enum GhcbField : unsigned {
    kFieldRax = 1 << kRax,
    kFieldRbx = 1 << kRbx,
    kFieldRcx = 1 << kRcx,
    kFieldRdx = 1 << kRdx,
    kFieldXcr0 = 16,
    kFieldCpl = 32,
    kFieldScratch = 64, // the page's own buffer
};

struct GhcbRequest {
    uint64_t code = 0, info1 = 0, info2 = 0;
    unsigned fields = 0; // those that are told
    uint64_t registers[kGhcbRegisters] = {};
    uint64_t xcr0 = 0;
    bool may_be_refused = false; // SW_EXITINFO1 of 2 does not end the guest
};

struct GhcbAnswer {
    unsigned vector = 0; // an exception in place of an answer: #UD or #GP
    bool refused = false;
    uint64_t info2 = 0;
    uint64_t registers[kGhcbRegisters] = {}; // 0 where it was not wanted
};

// This processor's page, for as long as this lives. A second one at a time ends the guest.
class Ghcb {
public:
    Ghcb();
    ~Ghcb();
    Ghcb(const Ghcb&) = delete;
    Ghcb& operator=(const Ghcb&) = delete;

    // For data of a request, and of its answer.
    void write_buffer(const void* from, unsigned bytes, unsigned at = 0);
    void read_buffer(void* to, unsigned bytes, unsigned at = 0);

    // `wanted` are the fields that an answer must have: an exception, or these.
    GhcbAnswer call(const GhcbRequest& request, unsigned wanted = 0);
    // The same, of a request that tells RAX at most.
    GhcbAnswer call(uint64_t code, uint64_t info1, uint64_t info2, unsigned fields,
                    uint64_t rax = 0, unsigned wanted = 0);

private:
    SevCpu& cpu_;
    unsigned buffer_used_ = 0;
};

// What each environment brings: whose code this is, its page, and a VMGEXIT with the page's
// address in the GHCB MSR.
SevCpu& this_sev_cpu();
volatile uint8_t* ghcb_page(const SevCpu& cpu);
void exit_by_ghcb(const SevCpu& cpu);

} // namespace prologue

#pragma GCC visibility pop
