// Another processor of the guest's: how it is commanded, and what it begins with.
#pragma once

#include "ghcb_page.h"
#include "snp.h"

constexpr uint32_t kOther = 1; // APIC id

inline void pause() {
    asm volatile("pause" : : : "memory");
}

#define EXPECT_SOON(condition)                                                                     \
    do {                                                                                           \
        constexpr unsigned kPatience_ = 5000000;                                                   \
        for (unsigned i_ = 0; i_ != kPatience_ && !(condition); ++i_)                              \
            pause();                                                                               \
        EXPECT(condition);                                                                         \
    } while (false)

void stay_a_while();

// The APIC's commands (APM vol. 2, 16.5)
constexpr uint32_t kInit = 0x4500, kStartup = 0x4600, kNmi = 0x4400;
void command(uint32_t apic_id, uint32_t word);

// SNP: a processor that begins in 64-bit mode, in these tables, by AP creation.
constexpr uint64_t kAtInit = 0, kNow = 1, kDestroy = 2;
constexpr uint64_t kFeatures = 1; // SNP, and no other

struct [[gnu::aligned(kPageBytes)]] Vmsa {
    uint8_t bytes[kPageBytes];

    template <typename T>
    void put(unsigned offset, T value) {
        *reinterpret_cast<volatile T*>(bytes + offset) = value;
    }
    void put_segment(unsigned offset, uint16_t selector, uint16_t attributes, uint32_t limit,
                     uint64_t base) {
        put(offset, selector);
        put(offset + 2, attributes);
        put(offset + 4, limit);
        put(offset + 8, base);
    }
};
// `main` is called with `own`.
void fill(Vmsa& page, void (*main)(uint64_t own), uint8_t* stack_end, uint64_t own);
uint32_t make_vmsa(const Vmsa& page, bool vmsa);

// SEV-ES: one that begins in real mode, where the jump table says.
constexpr Word kRealModeCode = 0x8000;
void put_real_mode_code(const uint8_t* start, const uint8_t* end);
void set_jump_table(); // to it
