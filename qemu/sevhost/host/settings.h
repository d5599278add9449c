// What the host's command line asks for: words `key=value`.
#pragma once

#include <stdint.h>

#include "text.h"

namespace sevhost {

enum class Sev : uint8_t { none, sev, es, snp };

struct Trace {
    bool exits = false;    // each exit: kind, RIP, bytes
    bool protocol = false; // what was asked of the host, and what it answered
    bool memory = false;   // nested faults, page states
};

// SNP: which memory is validated at the guest's first instruction.
enum class Accepted : uint8_t {
    by_image, // all of it for a bzImage, which a firmware would start; else what was launched
    all,
    launched,
};

struct Settings {
    Sev sev = Sev::none;
    unsigned c_bit = 51;
    uint64_t memory_bytes = 512 << 20;
    Text hostile; // empty: an honest host
    Trace trace;
    Accepted accepted = Accepted::by_image;
};

// Ends the run with a line where a word is not understood.
Settings parse_settings(const char* cmdline);

const char* name(Sev sev);

} // namespace sevhost
