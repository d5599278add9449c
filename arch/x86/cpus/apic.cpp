#include "apic.h"

#include "ap_start.h"

namespace prologue {
namespace {

constexpr uint32_t kMsrApicBase = 0x1b, kMsrX2apicCommand = 0x830;
constexpr uint64_t kX2apic = 1 << 10, kEnabled = 1 << 11;
constexpr uint64_t kCommandLow = 0x300, kCommandHigh = 0x310;
constexpr uint32_t kPending = 1 << 12;
constexpr unsigned kMostTries = 100000; // a delivery takes microseconds

// A device's, by MOV and nothing else: in an SEV-ES guest each is a #VC.
uint32_t read_register(const volatile uint32_t& from) {
    uint32_t value;
    asm volatile("movl %1, %0" : "=r"(value) : "m"(from));
    return value;
}

void write_register(volatile uint32_t& to, uint32_t value) {
    asm volatile("movl %1, %0" : "=m"(to) : "r"(value));
}

} // namespace

bool apic_is_x2apic() {
    return (read_msr(kMsrApicBase) & kX2apic) != 0;
}

uint64_t apic_base() {
    const uint64_t base = read_msr(kMsrApicBase);
    return (base & kEnabled) != 0 ? base & kTableAddress : 0;
}

uint32_t apic_id_leaf() {
    if (cpuid_eax(0) < CPUID_TOPOLOGY)
        return 1;
    uint32_t eax = CPUID_TOPOLOGY, ebx, ecx = 0, edx;
    asm volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    return ebx != 0 ? CPUID_TOPOLOGY : 1;
}

uint32_t own_apic_id() {
    const uint32_t leaf = apic_id_leaf();
    uint32_t eax = leaf, ebx, ecx = 0, edx;
    asm volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    return leaf == 1 ? ebx >> 24 : edx;
}

void LocalApic::send(uint32_t apic_id, uint32_t command) {
    if (x2apic_) {
        // No store is seen after the message that it is for (SDM vol. 3, 11.12.3).
        asm volatile("mfence; lfence" : : : "memory");
        write_msr(kMsrX2apicCommand, uint64_t{apic_id} << 32 | command);
        return;
    }
    volatile uint32_t* const registers = peephole_.see_registers(phys_);
    write_register(registers[kCommandHigh / 4], apic_id << 24);
    write_register(registers[kCommandLow / 4], command);
    for (unsigned i = 0;
         i != kMostTries && (read_register(registers[kCommandLow / 4]) & kPending) != 0; ++i)
        asm volatile("pause");
}

} // namespace prologue
