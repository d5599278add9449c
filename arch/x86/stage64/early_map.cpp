#include "early_map.h"

#include "bits.h"
#include "cpu.h"
#include "errors.h"
#include "page_tables.h"
#include "sev_state.h"
#include "stage32.h"

#pragma GCC visibility push(hidden)
extern "C" {
extern uint64_t prologue_early_pdpt[TABLE_ENTRIES];
extern uint64_t prologue_early_pd[EARLY_PDS][TABLE_ENTRIES];
}

namespace prologue {
namespace {

constexpr uint64_t kMost = TABLE_ENTRIES * kGiB;

bool has_1g_pages() {
    // One GiB may be in smaller pages, for an SEV guest's GHCB.
    return ((prologue_early_pdpt[0] | prologue_early_pdpt[1]) & PTE_LARGE) != 0;
}

bool is_mapped(uint64_t gib) {
    return prologue_early_pdpt[gib] != 0;
}

// The page directories that are still zero: the others map a GiB each. None where
// the CPU needs none.
TablePages free_directories(uint64_t window) {
    const uint64_t pds = reinterpret_cast<uintptr_t>(prologue_early_pd) - window;
    unsigned used = has_1g_pages() ? EARLY_PDS : 0;
    while (used != EARLY_PDS && prologue_early_pd[used][0] != 0)
        ++used;
    return {pds + used * kPage, pds + uint64_t{EARLY_PDS} * kPage};
}

// Without a C-bit there is none that addresses must lie below.
bool is_addressable(uint64_t last) {
    return last <= prologue_sev_state.c_bit_mask - 1 &&
           last >> (cpuid_eax(CPUID_ADDRESS_WIDTHS) & 0xff) == 0;
}

} // namespace

PhysMemory early_map(uint64_t window) {
    uint64_t gibs = 1;
    while (is_mapped(gibs) && ++gibs != TABLE_ENTRIES) {
    }
    return {window, gibs * kGiB};
}

// What is not seen yet comes in whole GiBs: so a structure far up takes no more
// than what it lies in.
bool PhysMemory::reach(uint64_t start, uint64_t bytes) {
    if (sees(start, bytes))
        return true;
    const uint64_t last = start + bytes - 1;
    bool seen = start <= last + 1 && last < kMost && is_addressable(last);
    TablePages pages = free_directories(window);
    const uint64_t c_bit_mask = prologue_sev_state.c_bit_mask;
    PageTables tables(window, read_cr3() & ~c_bit_mask,
                      {.levels = (read_cr4() & CR4_LA57) != 0 ? 5u : 4u,
                       .has_1g_pages = has_1g_pages(),
                       .c_bit_mask = c_bit_mask},
                      pages);
    for (uint64_t gib = start / kGiB; seen && gib <= last / kGiB; ++gib)
        seen = is_mapped(gib) ||
               tables.map(gib * kGiB, gib * kGiB, kGiB, PTE_WRITABLE) == MapResult::ok;
    *this = early_map(window);
    return seen;
}

void PhysMemory::extend(const char* what, uint64_t start, uint64_t bytes) {
    if (!reach(start, bytes))
        fail_in(what, Error::out_of_reach, bytes, start);
}

} // namespace prologue
