// What a payload is told by Multiboot or PVH, below 4 GiB, where both have numbers for it.
#pragma once
#pragma GCC visibility push(hidden)

#include "way.h"

namespace prologue {

class Information {
public:
    // Takes room enough, for a handoff whose strings and modules are the payload's already; none
    // by contracts that tell in another way.
    Information(Way& way, Contract contract, const prologue_handoff& handoff);

    // Writes it, once the handoff has the memory map with which the payload runs. `departure`
    // gets what the contract has in RAX and RBX.
    void fill(const prologue_handoff& handoff, Departure& departure) const;

private:
    Way& way_;
    Contract contract_;
    uint64_t bytes_ = 0;
    uint8_t* at_ = nullptr;
};

// Refuses what a Multiboot header requires and this machine has not.
void check_wishes(const ElfPayload& elf, const prologue_handoff& handoff);

} // namespace prologue

#pragma GCC visibility pop
