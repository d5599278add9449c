#include "early_map.h"

#include "bits.h"
#include "cpu.h"
#include "errors.h"
#include "page_tables.h"
#include "stage32.h"

#pragma GCC visibility push(hidden)
extern "C" {
extern uint64_t prologue_early_pdpt[TABLE_ENTRIES];
extern uint64_t prologue_early_pd[EARLY_PDS][TABLE_ENTRIES];
}

namespace prologue {
namespace {

constexpr uint64_t kMappedByEntry = 4 * kGiB; // with 1 GiB pages
constexpr uint64_t kMost = TABLE_ENTRIES * kGiB;

constexpr uint64_t whole_gibs(uint64_t bytes) {
    return (bytes + kGiB - 1) & ~(kGiB - 1);
}

}  // namespace

PhysMemory early_map(uint64_t window, bool has_1g_pages, Span image) {
    return {window, has_1g_pages ? kMappedByEntry : whole_gibs(image.end)};
}

void PhysMemory::extend(const char* what, uint64_t start, uint64_t bytes) {
    if (start > kMost || bytes > kMost - start)
        fail_in(what, Error::out_of_reach, bytes, start);
    const uint64_t end = whole_gibs(start + bytes);
    if ((end - 1) >> (cpuid_eax(CPUID_ADDRESS_WIDTHS) & 0xff) != 0)
        fail_in(what, Error::out_of_reach, bytes, start);
    const PagingMode mode = {
        .levels = (read_cr4() & CR4_LA57) != 0 ? 5u : 4u,
        .has_1g_pages = (prologue_early_pdpt[0] & PTE_LARGE) != 0,
    };
    // The entry filled one page directory a GiB, from the first on.
    const uint64_t pds = reinterpret_cast<uintptr_t>(prologue_early_pd) - window;
    TablePages pages = {pds + mapped / kGiB * kPage, pds + uint64_t{EARLY_PDS} * kPage};
    if (mode.has_1g_pages)
        pages.next = pages.end;
    PageTables tables(window, read_cr3(), mode, pages);
    if (tables.map(mapped, mapped, end - mapped, PTE_WRITABLE) != MapResult::ok)
        fail_in(what, Error::out_of_reach, bytes, start);
    mapped = end;
}

}  // namespace prologue
