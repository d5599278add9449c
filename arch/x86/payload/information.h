// What a payload is told by Multiboot or PVH, below 4 GiB, where both have numbers for it.
#pragma once
#pragma GCC visibility push(hidden)

#include "payload/multiboot_more.h"
#include "way.h"

namespace prologue {

class Information {
public:
    // Takes room enough, for a handoff whose strings and modules are the payload's already; none
    // by contracts that tell in another way.
    Information(Way& way, const ElfPayload& elf, const prologue_module& file,
                const prologue_handoff& handoff);

    // Writes it, once the handoff has the memory map with which the payload runs. `departure`
    // gets what the contract has in RAX and RBX.
    void fill(const prologue_handoff& handoff, Departure& departure) const;

private:
    void add_sections() const;
    void add_smbios() const;

    Way& way_;
    const prologue_module& file_;
    SectionTable sections_;
    Span unloaded_; // sections that no segment loads
    Contract contract_;
    uint64_t bytes_ = 0;
    uint8_t* at_ = nullptr;
};

// What lies in the firmware's memory, which need not be mapped; false where it is nowhere.
bool read_firmware(const prologue_handoff& handoff, uint64_t phys, void* to, uint64_t bytes);

// Refuses what a Multiboot header requires and this machine has not.
void check_wishes(const ElfPayload& elf, const prologue_handoff& handoff);

} // namespace prologue

#pragma GCC visibility pop
