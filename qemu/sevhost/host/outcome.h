// How a run ends: a status for QEMU's exit device, and a line that says why.
#pragma once

#include <stdint.h>

#include "arch.h"
#include "console.h"

namespace sevhost {

// Written to port 0xf4; QEMU's exit status is v << 1 | 1 (prologue/wishes.h has the first two).
enum class Outcome : uint8_t {
    success = 0x10,        // the guest powered the machine off
    host_fatal = 0x20,     // the host could not start, or gave up
    refused = 0x40,        // the guest did what hardware, or a document, forbids
    terminated = 0x50,     // the guest asked for its termination
    shutdown = 0x60,       // a fault that could not be delivered
    halted = 0x70,         // HLT with interrupts off: nothing can happen any more
    reset = 0x38,          // the guest reset the machine
    denied = 0x68,         // a hostile host keeps the guest from ever going on
    ran_hosts_code = 0x48, // a hostile host has led the guest to code that is not its own
};

[[noreturn]] void leave(Outcome outcome);

// The host's own end, before there is a guest to talk about.
template <typename... Parts>
[[noreturn]] void fail(Parts... parts) {
    muted = false;
    say("sevhost: fatal: ", parts..., "\n");
    leave(Outcome::host_fatal);
}

} // namespace sevhost
