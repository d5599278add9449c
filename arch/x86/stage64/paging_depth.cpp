// Four levels or five: the change of depth, for the 64-bit entry and for kernels.
#include "prologue/paging_depth.h"

#pragma GCC visibility push(hidden)
#include "bits.h"
#include "bytes.h"
#include "cpu.h"
#include "depth_switch.h"
#include "ranges.h"

namespace prologue {
namespace {

// With four levels an address is sign-extended from bit 47.
bool has_four_level_address(const void* thing) {
    const auto address = static_cast<int64_t>(reinterpret_cast<uintptr_t>(thing));
    return address << 16 >> 16 == address;
}

} // namespace

bool has_la57() {
    return cpuid_eax(0) >= CPUID_STRUCTURED_FEATURES &&
           (cpuid_ecx(CPUID_STRUCTURED_FEATURES) >> STRUCTURED_ECX_LA57_BIT & 1) != 0;
}

// The way back into long mode loads CR3 with 32 bits, so on the way the table is
// a copy: what it should be may lie anywhere.
void change_depth(const uint64_t* top, uint64_t top_phys, char* pages, uint64_t pages_phys) {
    copy_bytes(pages, prologue_depth_code,
               static_cast<uint64_t>(prologue_depth_code_end - prologue_depth_code));
    copy_bytes(pages + kPage, top, kPage);
    prologue_switch_depth(pages_phys, pages_phys + kPage, top_phys, pages);
}

} // namespace prologue

using namespace prologue;

prologue_depth_result prologue_change_paging_depth(const prologue_depth_change* change) {
    const bool down = (read_cr4() & CR4_LA57) != 0;
    if (!down && !has_la57())
        return PROLOGUE_DEPTH_NO_LA57;
    if (change->pages_phys % kPage != 0 ||
        change->pages_phys > 4 * kGiB - PROLOGUE_DEPTH_PAGES * kPage)
        return PROLOGUE_DEPTH_BAD_PAGES;
    if (!has_four_level_address(&down) || !has_four_level_address(__builtin_return_address(0)))
        return PROLOGUE_DEPTH_BAD_ADDRESS;
    change_depth(change->top, change->top_phys, static_cast<char*>(change->pages),
                 change->pages_phys);
    return PROLOGUE_DEPTH_CHANGED;
}
#pragma GCC visibility pop
