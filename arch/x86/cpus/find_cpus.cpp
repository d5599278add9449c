// prologue_find_cpus: the list, and this processor's own word on its APIC.
#include "apic.h"
#include "madt.h"

using namespace prologue;

prologue_cpus_result prologue_find_cpus(prologue_cpus* cpus) {
    cpus->count = cpus->found = 1;
    cpus->x2apic = 0;
    cpus->apic_phys = cpus->mailbox_phys = cpus->refused_phys = 0;
    const KernelTables tables = tables_of(*cpus);
    cpus->x2apic = apic_is_x2apic();
    cpus->apic_phys = apic_base();
    cpus->cpu[0] = {.index = 0, .apic_id = own_apic_id(), .acpi_id = 0,
                    .state = PROLOGUE_CPU_BOOT, .stack_bottom = 0, .stack_top = 0,
                    .own = nullptr};
    Peephole peephole(tables);
    if (!peephole.is_there())
        return PROLOGUE_CPUS_NOT_SEEN;
    const PhysReader memory = {
        [](void* context, uint64_t phys, void* to, uint64_t bytes) {
            return static_cast<Peephole*>(context)->read(phys, to, bytes);
        },
        &peephole};
    const uint64_t own_base = cpus->apic_phys;
    const prologue_cpus_result result = read_madt(memory, cpus->handoff->rsdp_phys, *cpus);
    cpus->apic_phys = own_base; // the processor's word before the firmware's
    if (result != PROLOGUE_CPUS_DONE)
        cpus->count = cpus->found = 1;
    return result;
}
