#include "vc_memory.h"

#include "bits.h"
#include "sev_state.h"

#include <stddef.h>

namespace prologue {

uint64_t& register_of(Frame64& frame, uint8_t number) {
    // In the order of their numbers, the frame has RAX, RCX, RDX, RBX, (RSP), RBP, RSI, RDI
    // from its end, then R8 to R15 before them.
    constexpr uint8_t kSp = 4;
    if (number == kSp)
        return frame.rsp;
    const unsigned above_sp = number > kSp ? 1 : 0;
    return (&frame.rax)[-static_cast<ptrdiff_t>(number - above_sp)];
}

uint64_t segment_base(SegmentBase segment) {
    return segment == SegmentBase::flat ? 0 : vc_segment_base(segment == SegmentBase::gs);
}

uint64_t address_of(Frame64& frame, const Instruction& instruction) {
    const MemoryOperand& memory = instruction.memory;
    uint64_t address = static_cast<uint64_t>(memory.displacement);
    if (memory.base == kRipRegister)
        address += frame.rip + instruction.length;
    else if (memory.base != kNoRegister)
        address += register_of(frame, memory.base);
    if (memory.index != kNoRegister)
        address += register_of(frame, memory.index) << memory.shift;
    if (instruction.address_bytes == 4)
        address &= 0xffffffff;
    return address + segment_base(instruction.segment);
}

// Addresses in entries lie below the C-bit, which is the highest bit that they can have.
Mapping walk(uint64_t virt) {
    const uint64_t c_bit = prologue_sev_state.c_bit_mask;
    const uint64_t address = (c_bit - 1) & ~uint64_t{PAGE_BYTES - 1};
    unsigned level = (vc_cr4() & CR4_LA57) != 0 ? 5 : 4;
    uint64_t table = vc_cr3() & address;
    for (;; --level) {
        const unsigned shift = 3 + 9 * level;
        const uint64_t entry = vc_table(table)[virt >> shift & (TABLE_ENTRIES - 1)];
        if ((entry & PTE_PRESENT) == 0)
            return {};
        if (level == 1 || (level <= 3 && (entry & PTE_LARGE) != 0)) {
            const uint64_t inside = (uint64_t{1} << shift) - 1;
            return {true, (entry & c_bit) != 0, (entry & address & ~inside) | (virt & inside)};
        }
        table = entry & address;
    }
}

} // namespace prologue
