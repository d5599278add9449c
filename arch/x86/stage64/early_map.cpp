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

// The page directories that are still zero: the others map a GiB each.
TablePages free_directories(uint64_t window) {
    const uint64_t pds = reinterpret_cast<uintptr_t>(prologue_early_pd) - window;
    const uint64_t end = pds + uint64_t{EARLY_PDS} * kPage;
    unsigned used = 0;
    while (used != EARLY_PDS && prologue_early_pd[used][0] != 0)
        ++used;
    return {has_1g_pages() ? end : pds + used * kPage, end};
}

}  // namespace

PhysMemory early_map(uint64_t window) {
    uint64_t gibs = 0;
    while (gibs != TABLE_ENTRIES && is_mapped(gibs))
        ++gibs;
    return {window, gibs * kGiB};
}

// What is not seen yet comes in whole GiBs: so a structure far up takes no more
// than what it lies in.
void PhysMemory::extend(const char* what, uint64_t start, uint64_t bytes) {
    if (start > kMost || bytes > kMost - start)
        fail_in(what, Error::out_of_reach, bytes, start);
    const uint64_t last = (start + bytes - 1) / kGiB;
    for (uint64_t gib = start / kGiB; gib <= last; ++gib) {
        if (is_mapped(gib))
            continue;
        const uint64_t first_byte = gib * kGiB;
        TablePages pages = free_directories(window);
        const uint64_t c_bit_mask = prologue_sev_state.c_bit_mask;
        PageTables tables(window, read_cr3() & ~c_bit_mask,
                          {.levels = (read_cr4() & CR4_LA57) != 0 ? 5u : 4u,
                           .has_1g_pages = has_1g_pages(),
                           .c_bit_mask = c_bit_mask},
                          pages);
        if ((first_byte + kGiB - 1) >> (cpuid_eax(CPUID_ADDRESS_WIDTHS) & 0xff) != 0 ||
            tables.map(first_byte, first_byte, kGiB, PTE_WRITABLE) != MapResult::ok)
            fail_in(what, Error::out_of_reach, bytes, start);
    }
    *this = early_map(window);
}

}  // namespace prologue
