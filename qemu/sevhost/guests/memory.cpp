// Private and shared memory: which of the two an access reaches, by C-bit and paging mode
// (APM vol. 2, 15.34.4 and 15.34.5).
#include "exceptions.h"
#include "ghcb.h"
#include "paging.h"

constexpr uint32_t kSecret = 0x5ec2e700, kPublic = 0x00b11c00;

alignas(kPageBytes) static volatile uint32_t page[kPageBytes / 4];

static void two_memories() {
    turn_paging_on();
    *page = kSecret;
    *shared(page) = kPublic;
    EXPECT_EQUAL(*page, kSecret);
    EXPECT_EQUAL(*shared(page), kPublic);
}

// The same linear address, once its mapping has lost the C-bit.
static void c_bit_decides() {
    turn_paging_on();
    uint64_t& entry = small_entry_of(address_of(page));
    *page = kSecret;
    *shared(page) = kPublic;
    entry &= ~c_bit_mask();
    flush(address_of(page));
    EXPECT_EQUAL(*page, kPublic);
    entry |= c_bit_mask();
    flush(address_of(page));
    EXPECT_EQUAL(*page, kSecret);
}

// A table that is pointed to without the C-bit is read from private memory all the same.
static void tables_are_private() {
    turn_paging_on();
    *page = kSecret;
    (void)small_entry_of(address_of(page));
    entry_of(address_of(page)) &= ~c_bit_mask();
    flush(address_of(page));
    EXPECT_EQUAL(*page, kSecret);
}

#ifndef __x86_64__
static void without_paging() {
    *page = kSecret;
    turn_paging_on();
    EXPECT_EQUAL(*page, kSecret);
    EXPECT(*shared(page) != kSecret);
}

// 32-bit paging has no C-bit in its entries.
static void legacy_paging() {
    constexpr uint32_t kLargeEntry = 0x83, kCr4Pse = 1 << 4, kCr0Pg = 1u << 31;
    alignas(kPageBytes) static uint32_t directory[1024];
    for (uint32_t i = 0; i != 1024; ++i)
        directory[i] = i << 22 | kLargeEntry;
    *page = kSecret;
    uint32_t value;
    asm volatile("mov %%cr4, %0; or %1, %0; mov %0, %%cr4" : "=&r"(value) : "i"(kCr4Pse));
    asm volatile("mov %0, %%cr3" : : "r"(directory));
    asm volatile("mov %%cr0, %0; or %1, %0; mov %0, %%cr0; jmp 1f; 1:"
                 : "=&r"(value)
                 : "i"(kCr0Pg)
                 : "memory");
    EXPECT_EQUAL(*page, kSecret);
    *page = kPublic;
    asm volatile("mov %%cr0, %0; and %1, %0; mov %0, %%cr0; jmp 1f; 1:"
                 : "=&r"(value)
                 : "i"(~kCr0Pg)
                 : "memory");
    EXPECT_EQUAL(*page, kPublic);
}
#endif

// These end with the host's word.
static void fetch_of_shared_memory() {
    turn_paging_on();
    *reinterpret_cast<volatile uint8_t*>(shared(page)) = 0xc3; // RET
    reinterpret_cast<void (*)()>(address_of(shared(page)))();
}

static void no_memory_at_all() {
    turn_paging_on();
    (void)*reinterpret_cast<volatile uint32_t*>(Word{100} << 20); // behind the guest's
}

const Scene scenes[] = {
    {"two-memories", two_memories},
    {"c-bit-decides", c_bit_decides},
    {"tables-are-private", tables_are_private},
#ifndef __x86_64__
    {"without-paging", without_paging},
    {"legacy-paging", legacy_paging},
#endif
    {"fetch-of-shared-memory", fetch_of_shared_memory},
    {"no-memory-at-all", no_memory_at_all},
};
const unsigned scene_count = sizeof scenes / sizeof scenes[0];
