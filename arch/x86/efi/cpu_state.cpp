// What the CPU is, read from it.
#include "bits.h"
#include "cpu.h"
#include "machine.h"

namespace prologue::efi {
namespace {

// Where CPUs have the C-bit (47, 51): no memory reaches so far.
constexpr uint64_t kCBits = 0x000f800000000000;
constexpr uint64_t kAddress = 0x00007ffffffff000;

// The C-bit, as the firmware's tables have it for this very code: what its entry has besides
// the address. Not by CPUID, which is the host's word.
uint64_t c_bit_mask(unsigned levels) {
    const auto here = reinterpret_cast<uintptr_t>(&prologue_efi_end);
    uint64_t entry = read_cr3();
    for (unsigned level = levels; level != 0; --level) {
        const auto* const table = reinterpret_cast<const uint64_t*>(entry & kAddress);
        entry = table[here >> (3 + 9 * level) & (TABLE_ENTRIES - 1)];
        if ((entry & PTE_LARGE) != 0 && level != 1)
            break;
    }
    return entry & kCBits;
}

} // namespace

CpuState cpu_state() {
    const unsigned levels = (read_cr4() & CR4_LA57) != 0 ? 5 : 4;
    const uint32_t features = cpuid_edx(CPUID_EXTENDED_FEATURES);
    return {.levels = levels,
            .has_1g_pages = (features >> EXTENDED_EDX_1G_PAGES_BIT & 1) != 0,
            .c_bit_mask = c_bit_mask(levels),
            .stack = reinterpret_cast<uintptr_t>(__builtin_frame_address(0))};
}

} // namespace prologue::efi
