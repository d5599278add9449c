#include "peephole.h"

#include "bits.h"
#include "bytes.h"

namespace prologue {
namespace {

alignas(kPage) char page[kPage];

// Where the kernel maps the image in large pages, the peephole's, and those of guard pages, become
// small.
constexpr unsigned kSplits = 4;
alignas(kPage) char split_tables[kSplits][kPage];
constinit uint64_t splits_taken = 0;

uint64_t addressable() {
    return uint64_t{1} << (cpuid_eax(CPUID_ADDRESS_WIDTHS) & 0xff);
}

} // namespace

unsigned levels_now() {
    return (read_cr4() & CR4_LA57) != 0 ? 5 : 4;
}

KernelTables tables_of(const prologue_cpus& cpus) {
    const prologue_handoff& handoff = *cpus.handoff;
    uint64_t window = cpus.physical_memory;
    if (window == 0 && handoff.direct_map_bytes != 0)
        window = handoff.direct_map;
    return {window, handoff.kernel_offset, handoff.sev.c_bit_mask};
}

uint64_t* KernelTables::page_entry(uint64_t root, uint64_t virt) const {
    const uint64_t start = phys_of(split_tables);
    TablePages pages = {start + splits_taken * kPage, start + sizeof split_tables};
    PageTables tables(window, root, {.levels = levels_now(), .c_bit_mask = c_bit_mask}, pages);
    MapResult result = MapResult::ok;
    uint64_t* const entry = tables.small_page(virt, result);
    splits_taken = (pages.next - start) / kPage;
    return entry;
}

Peephole::Peephole(const KernelTables& tables)
    : c_bit_mask_(tables.c_bit_mask),
      entry_(tables.page_entry(tables.root_of(read_cr3()), reinterpret_cast<uintptr_t>(page))),
      most_(c_bit_mask_ != 0 ? c_bit_mask_ : addressable()) {
    if (entry_ != nullptr)
        before_ = *entry_;
}

Peephole::~Peephole() {
    if (entry_ == nullptr)
        return;
    *entry_ = before_;
    invalidate_page(reinterpret_cast<uintptr_t>(page));
}

void* Peephole::show(uint64_t phys, uint64_t bits) {
    *entry_ = page_down(phys) | PTE_PRESENT | PTE_WRITABLE | kNoExecute | bits;
    invalidate_page(reinterpret_cast<uintptr_t>(page));
    return page + phys % kPage;
}

bool Peephole::read(uint64_t phys, void* to, uint64_t bytes) {
    if (phys >= most_ || bytes > most_ - phys)
        return false;
    for (auto* next = static_cast<char*>(to); bytes != 0;) {
        const uint64_t in_page = kPage - phys % kPage;
        const uint64_t now = bytes < in_page ? bytes : in_page;
        copy_bytes(next, see(phys), now);
        next += now, phys += now, bytes -= now;
    }
    return true;
}

} // namespace prologue
