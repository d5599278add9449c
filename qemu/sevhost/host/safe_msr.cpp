#include "safe_msr.h"

#include <string.h>

#include "arch.h"

extern "C" {
bool sevhost_rdmsr(uint32_t msr, uint64_t* value);
bool sevhost_wrmsr(uint32_t msr, uint64_t value);
void sevhost_gp();
void sevhost_nmi();
uint64_t sevhost_prologue_gp;
}

namespace sevhost {
namespace {

constexpr unsigned kVectors = 32;

struct Gate { // APM vol. 2, 4.8.4
    uint16_t offset_low, selector, attributes, offset_middle;
    uint32_t offset_high, reserved;

    uint64_t offset() const {
        return uint64_t{offset_high} << 32 | uint64_t{offset_middle} << 16 | offset_low;
    }
    void set_offset(uint64_t to) {
        offset_low = static_cast<uint16_t>(to);
        offset_middle = static_cast<uint16_t>(to >> 16);
        offset_high = static_cast<uint32_t>(to >> 32);
    }
};
static_assert(sizeof(Gate) == 16);

struct [[gnu::packed]] TablePointer {
    uint16_t limit;
    uint64_t base;
};

Gate idt[kVectors];

} // namespace

void catch_general_protection() {
    TablePointer pointer;
    asm volatile("sidt %0" : "=m"(pointer));
    memcpy(idt, reinterpret_cast<const void*>(pointer.base), sizeof idt);
    sevhost_prologue_gp = idt[kVectorGp].offset();
    idt[kVectorGp].set_offset(reinterpret_cast<uint64_t>(&sevhost_gp));
    idt[kVectorNmi].set_offset(reinterpret_cast<uint64_t>(&sevhost_nmi));
    use_hosts_idt();
}

void use_hosts_idt() {
    const TablePointer pointer = {sizeof idt - 1, reinterpret_cast<uint64_t>(idt)};
    asm volatile("lidt %0" : : "m"(pointer));
}

bool read_msr_safely(uint32_t msr, uint64_t& value) {
    return sevhost_rdmsr(msr, &value);
}

bool write_msr_safely(uint32_t msr, uint64_t value) {
    return sevhost_wrmsr(msr, value);
}

} // namespace sevhost
