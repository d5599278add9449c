// The guest's linear addresses, through its own page tables: for the host where it
// stands in for the processor (fetching an instruction, delivering an exception).
#pragma once

#include <stdint.h>

#include "processor.h"

namespace sevhost {

enum class Access : uint8_t { read, write, fetch };

// An entry that a walk went through.
struct WalkStep {
    unsigned level; // 1 is the page table
    GuestPhys at;
    uint64_t entry;
};
constexpr unsigned kMaxWalkSteps = 5;

struct Translation {
    bool mapped = false;
    GuestPhys gpa = 0; // without the C-bit
    Backing backing = Backing::private_;
    uint32_t fault = 0; // not mapped: #PF's error code (APM vol. 2, 8.4.2)
    unsigned steps = 0;
    WalkStep step[kMaxWalkSteps] = {};
};

// Sets accessed and dirty bits, as the processor does.
Translation translate(const Processor& processor, uint64_t linear, Access access, bool user);

// The same without a trace in the tables: for a report, or for who only looks.
Translation look_up(const Processor& processor, uint64_t linear);

// Why a range could not be reached.
enum class Reach : uint8_t {
    whole,         // it could
    page_fault,    // #PF, with `linear` and `code`
    not_validated, // SNP: #VC
    no_memory,     // nothing is there
};
struct Reached {
    Reach how = Reach::whole;
    uint64_t linear = 0; // where it ended
    uint32_t code = 0;

    explicit operator bool() const { return how == Reach::whole; }
};
Reached read_linear(const Processor& processor, uint64_t linear, void* to, uint64_t bytes,
                    bool user = false);
Reached write_linear(const Processor& processor, uint64_t linear, const void* from, uint64_t bytes,
                     bool user = false);

constexpr unsigned kMaxInstructionBytes = 15;

struct Code {
    uint8_t bytes[kMaxInstructionBytes];
    unsigned count;
};
// What can be read of the instruction at RIP: fetches are private (15.34.5).
Code fetch_instruction(const Processor& processor);

} // namespace sevhost
