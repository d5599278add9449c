// The local APIC of the processor that this runs on, as far as starting others needs it.
// Source: SDM vol. 3, 11.4, 11.6.1 and 11.12.
#pragma once
#pragma GCC visibility push(hidden)

#include "peephole.h"

namespace prologue {

class LocalApic {
public:
    // `phys` is where its registers are, if they are in memory.
    LocalApic(Peephole& peephole, bool x2apic, uint64_t phys)
        : peephole_(peephole),
          x2apic_(x2apic),
          phys_(phys) {}

    void send_init(uint32_t apic_id) { send(apic_id, kInit); }
    void send_startup(uint32_t apic_id, uint64_t page) {
        send(apic_id, kStartup | static_cast<uint32_t>(page >> 12));
    }

private:
    static constexpr uint32_t kInit = 0x4500, kStartup = 0x4600; // level: assert

    void send(uint32_t apic_id, uint32_t command);

    Peephole& peephole_;
    bool x2apic_;
    uint64_t phys_;
};

// Are the local APICs in x2APIC mode? Where do the registers lie, by this processor's own word? 0:
// the APIC is off.
bool apic_is_x2apic();
uint64_t apic_base();
uint32_t own_apic_id();
// The CPUID leaf whose answer has the id: 0xb, or 1 on CPUs without it.
uint32_t apic_id_leaf();

} // namespace prologue

#pragma GCC visibility pop
