#include "paging.h"

#include "ghcb.h"
#include "snp.h"

namespace {

constexpr unsigned kEntries = 512;
alignas(kPageBytes) uint64_t small_tables[4][kEntries];
unsigned small_tables_used;

#ifndef __x86_64__
constexpr unsigned kDirectories = 4;
constexpr uint64_t kGib = 1 << 30;
alignas(kPageBytes) uint64_t directories[kDirectories][kEntries];
alignas(32) uint64_t pdpt[kDirectories];

void fill(unsigned directory, uint64_t start, uint64_t bits) {
    for (unsigned i = 0; i != kEntries; ++i)
        directories[directory][i] = (start + i * kLargePageBytes) | bits | kEntryLarge |
                                    kEntryWritable | kEntryPresent;
}
#endif

} // namespace

#ifdef __x86_64__
extern "C" uint64_t directories[8][kEntries];

void turn_paging_on() {}
#else
void turn_paging_on() {
    constexpr uint32_t kCr4Pae = 1 << 5, kCr0Pg = 1u << 31;
    fill(0, 0, c_bit_mask());
    fill(1, 0, 0);
    fill(3, 3 * kGib, 0);
    for (unsigned i = 0; i != kDirectories; ++i)
        pdpt[i] = address_of(directories[i]) | c_bit_mask() | kEntryPresent;
    uint32_t value;
    asm volatile("mov %%cr4, %0; or %1, %0; mov %0, %%cr4" : "=&r"(value) : "i"(kCr4Pae));
    asm volatile("mov %0, %%cr3" : : "r"(pdpt));
    asm volatile("mov %%cr0, %0; or %1, %0; mov %0, %%cr0; jmp 1f; 1:"
                 : "=&r"(value)
                 : "i"(kCr0Pg)
                 : "memory");
}
#endif

uint64_t& entry_of(Word address) {
    return directories[address >> 30][address >> 21 & (kEntries - 1)];
}

void flush(Word address) {
    asm volatile("invlpg (%0)" : : "r"(address) : "memory");
}

uint64_t& small_entry_of(Word address) {
    uint64_t& large = entry_of(address);
    if (large & kEntryLarge) {
        uint64_t* table = small_tables[small_tables_used++];
        const uint64_t bits = large & ~kEntryLarge;
        for (unsigned i = 0; i != kEntries; ++i)
            table[i] = bits + i * kPageBytes;
        large = address_of(table) | c_bit_mask() | kEntryWritable | kEntryPresent | kEntryUser;
        flush(address);
    }
    const uint64_t at = large & kEntryAddress & ~c_bit_mask();
    auto* table = reinterpret_cast<uint64_t*>(static_cast<Word>(at));
    return table[address >> 12 & (kEntries - 1)];
}

void share_page(void* page) {
    if (snp()) {
        EXPECT_EQUAL(pvalidate(page, PageSize::small, false).code, 0);
        EXPECT_EQUAL(change_page_state(page, PageState::shared), kPageStateDone);
    }
}
