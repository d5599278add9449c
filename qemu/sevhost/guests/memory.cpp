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

// A function that returns a value: MOV to EAX, RET.
static void write_function(volatile void* to, uint32_t result) {
    auto* const code = static_cast<volatile uint8_t*>(to);
    code[0] = 0xb8;
    for (unsigned i = 0; i != 4; ++i)
        code[1 + i] = static_cast<uint8_t>(result >> 8 * i);
    code[5] = 0xc3;
}

static uint32_t call(volatile void* code) {
    return reinterpret_cast<uint32_t (*)()>(address_of(code))();
}

// Code is read from private memory all the same, and data are not.
static void fetches_are_private() {
    turn_paging_on();
    write_function(page, kSecret);
    write_function(shared(page), kPublic);
    EXPECT_EQUAL(call(shared(page)), kSecret);
    *shared(page + 64) = kPublic;
    EXPECT_EQUAL(*shared(page + 64), kPublic);
    EXPECT(*(page + 64) != kPublic);
    EXPECT_EQUAL(call(shared(page)), kSecret);
    EXPECT_EQUAL(call(page), kSecret);
}

// SNP: so a private page need not become shared for it.
static void fetch_without_c_bit() {
    turn_paging_on();
    write_function(page, kSecret);
    EXPECT_EQUAL(call(shared(page)), kSecret);
    EXPECT_EQUAL(call(page), kSecret);
}

// This ends with the host's word.
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
    {"fetches-are-private", fetches_are_private},
    {"fetch-without-c-bit", fetch_without_c_bit},
    {"no-memory-at-all", no_memory_at_all},
};
const unsigned scene_count = sizeof scenes / sizeof scenes[0];
