// What the host's command line asks for: words `key=value`.
#pragma once

#include <stdint.h>

#include "text.h"

namespace sevhost {

constexpr unsigned kMostProcessors = 32;

enum class Sev : uint8_t { none, sev, es, snp };

struct Trace {
    bool exits = false;    // each exit: kind, RIP, bytes
    bool protocol = false; // what was asked of the host, and what it answered
    bool memory = false;   // nested faults, page states
};

// SEV-ES and SNP: what a host may intercept besides, each a #VC in the guest.
struct Intercepted {
    bool tsc = false; // RDTSC, RDTSCP
    bool rdpru = false;
    bool xsetbv = false;
    bool control_registers = false; // reads and writes of CR0 to CR8, CLTS, LMSW, SMSW
    bool tables = false;            // LGDT, SGDT, LIDT, SIDT, LLDT, SLDT, LTR, STR
    bool sev_status = false;        // its read, so that the guest has to ask what it is
};

// SNP: which memory is validated at the guest's first instruction.
enum class Accepted : uint8_t {
    by_image, // all of it for a bzImage, which a firmware would start; else what was launched
    all,
    launched,
};

// SNP: which events the launch leaves to the host (SEV_FEATURES, APM vol. 2, table B-4).
enum class Injection : uint8_t {
    any,
    restricted, // #HV alone (15.36.16)
    alternate,  // those that another VMPL of the guest's decides on (15.36.15)
};

// Very many attacks in one run (sweep.h).
enum class Sweep : uint8_t {
    none,
    events,     // each event at each instruction, at two passes of a loop
    all_events, // at all of them
    behaviours, // each hostile behaviour at each of its occasions
};

struct Settings {
    Text host; // of profile.h; empty: the first
    Sev sev = Sev::none;
    unsigned c_bit = 51;
    uint64_t memory_bytes = 512 << 20;
    uint64_t high_bytes = 0;  // of memory from 4 GiB on
    Text hostile;             // empty: an honest host
    bool large_pages = false; // SNP: 2 MiB entries of the reverse map, where a guest asks so
    uint64_t seed = 0x5eed;   // of the noise in memory that nobody loaded
    uint64_t canary = 0;      // a secret that the guest must not show; 0: none
    // The guest's stacks, in its own memory: the secret is in them too, and a sweep looks whether
    // one is left.
    static constexpr unsigned kMaxStacks = 16;
    struct Stack {
        uint64_t start, end;
    } stacks[kMaxStacks] = {};
    unsigned stack_count = 0;
    Trace trace;
    Accepted accepted = Accepted::by_image;
    Intercepted intercepted;
    Injection injection = Injection::any;
    Sweep sweep = Sweep::none;
    bool sweeps_from_mark = false; // and what is before, a firmware's boot say, is not attacked
    uint64_t stride = 1;           // of a sweep's steps, or behaviours, each so manieth is tried
    unsigned processors = 1;
    uint64_t schedule = 0; // a seed of the order in which they go on; 0: one after the other
};

// Ends the run with a line where a word is not understood.
Settings parse_settings(const char* cmdline);

const char* name(Sev sev);

} // namespace sevhost
