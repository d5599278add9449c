// prologue_find_cpus: the list, and this processor's own word on its APIC.
#include "apic.h"
#include "low_pages.h"
#include "madt.h"

#pragma GCC visibility push(hidden)
namespace prologue {
namespace {

constexpr uint64_t kRsdpSignature = 0x2052545020445352; // "RSD PTR "
constexpr uint64_t kRsdpAlignment = 16;

bool find_rsdp_in(Peephole& peephole, uint64_t from, uint64_t to, uint64_t& rsdp) {
    for (rsdp = from; rsdp < to; rsdp += kRsdpAlignment)
        if (*static_cast<const uint64_t*>(peephole.see(rsdp)) == kRsdpSignature)
            return true;
    return false;
}

// Where a BIOS keeps it, for loaders that do not tell (ACPI 6.5, 5.2.5.1). An SEV guest has no
// BIOS's memory that it could read as its own.
uint64_t find_rsdp(Peephole& peephole, const prologue_handoff& handoff) {
    if (handoff.rsdp_phys != 0 || handoff.efi.system_table_phys != 0 || handoff.sev.status != 0)
        return handoff.rsdp_phys;
    uint16_t ebda_segment;
    peephole.read(kEbdaWord, &ebda_segment, sizeof ebda_segment);
    const uint64_t ebda = uint64_t{ebda_segment} * 16;
    uint64_t rsdp;
    return find_rsdp_in(peephole, ebda, ebda + 1024, rsdp) ||
                   find_rsdp_in(peephole, 0xe0000, 0x100000, rsdp)
               ? rsdp
               : 0;
}

} // namespace
} // namespace prologue
#pragma GCC visibility pop

using namespace prologue;

prologue_cpus_result prologue_find_cpus(prologue_cpus* cpus) {
    cpus->count = cpus->found = 1;
    cpus->x2apic = 0;
    cpus->apic_phys = cpus->mailbox_phys = cpus->refused_phys = 0;
    const KernelTables tables = tables_of(*cpus);
    cpus->x2apic = apic_is_x2apic();
    cpus->apic_phys = apic_base();
    cpus->cpu[0] = {.index = 0,
                    .apic_id = own_apic_id(),
                    .acpi_id = 0,
                    .state = PROLOGUE_CPU_BOOT,
                    .stack_bottom = 0,
                    .stack_top = 0,
                    .own = nullptr};
    Peephole peephole(tables);
    if (!peephole.is_there())
        return PROLOGUE_CPUS_NOT_SEEN;
    const PhysReader memory = {[](void* context, uint64_t phys, void* to, uint64_t bytes) {
                                   return static_cast<Peephole*>(context)->read(phys, to, bytes);
                               },
                               &peephole};
    const prologue_cpus_result result = read_madt(memory, find_rsdp(peephole, *cpus->handoff),
                                                  *cpus);
    if (result != PROLOGUE_CPUS_DONE) {
        cpus->count = cpus->found = 1;
        cpus->mailbox_phys = 0;
    }
    return result;
}
