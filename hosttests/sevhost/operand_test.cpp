// Where an instruction reaches into memory: what a processor would have put into CR2.
#include "guest_machine.h"
#include "operand.h"

#include <gtest/gtest.h>

#include <initializer_list>

namespace sevhost::test {
namespace {

constexpr uint64_t kCode = 0x400000, kData = 0x600000, kStack = 0x800000;
constexpr GuestPhys kCodePage = 0x9000, kDataPage = 0xa000, kNextPage = 0xb000, kStackPage = 0xc000;

class SevOperand : public testing::Test {
protected:
    void run_in(Paging mode, std::initializer_list<uint8_t> code) {
        guest.set_paging(mode);
        const uint64_t bits = kEntryAll | guest.c_bit();
        guest.map(kCode, kCodePage, bits);
        guest.map(kData, kDataPage, bits);
        guest.map(kData + kPageBytes, kNextPage, bits);
        guest.map(kStack, kStackPage, bits);
        guest.save().cs = {8, uint16_t(guest.long_mode() ? 0xa9b : 0xc9b), 0xffffffff, 0};
        guest.save().rip = kCode;
        guest.gprs[rsp] = kStack + 0x800;
        unsigned i = 0;
        for (const uint8_t byte : code)
            guest.put<uint8_t>(kCodePage + i++, byte);
    }
    // The linear address, or 1 where none of the operands is there.
    uint64_t access_to(GuestPhys gpa, bool fetch = false) const {
        uint64_t linear = 0;
        return find_access(guest, gpa, fetch, linear) ? linear : 1;
    }

    GuestMachine guest;
};

TEST_F(SevOperand, OfModRmIsFound) {
    run_in(Paging::four_levels, {0x8b, 0x44, 0xcb, 0x10}); // mov 0x10(%rbx,%rcx,8), %eax
    guest.gprs[rbx] = kData;
    guest.gprs[rcx] = 3;
    EXPECT_EQ(access_to(kDataPage), kData + 0x28);
}

TEST_F(SevOperand, BehindRipIsFound) {
    run_in(Paging::four_levels, {0x8b, 0x05, 0xfa, 0xff, 0x1f, 0}); // RIP of the next, and 6 less
    EXPECT_EQ(access_to(kDataPage), kData);
}

TEST_F(SevOperand, ThatCrossesIntoThePageIsFoundAtItsStart) {
    run_in(Paging::pae, {0x8b, 0x03}); // mov (%ebx), %eax
    guest.gprs[rbx] = kData + kPageBytes - 2;
    EXPECT_EQ(access_to(kDataPage), kData + kPageBytes - 2);
    EXPECT_EQ(access_to(kNextPage), kData + kPageBytes);
}

TEST_F(SevOperand, HasItsSegmentsBaseIn32BitMode) {
    run_in(Paging::bits32, {0x8b, 0x03});
    guest.gprs[rbx] = 0x10;
    guest.save().ds.base = kData;
    EXPECT_EQ(access_to(kDataPage), kData + 0x10);
}

TEST_F(SevOperand, HasTheBaseOfFsAndGsOnlyIn64BitMode) {
    run_in(Paging::four_levels, {0x65, 0x8b, 0x03}); // mov %gs:(%rbx), %eax
    guest.gprs[rbx] = 0x10;
    guest.save().gs.base = kData;
    EXPECT_EQ(access_to(kDataPage), kData + 0x10);
    run_in(Paging::four_levels, {0x36, 0x8b, 0x03}); // %ss: has none
    guest.save().ss.base = kData;
    EXPECT_EQ(access_to(kDataPage), 1u);
}

TEST_F(SevOperand, StringsAreFoundAtBothEnds) {
    run_in(Paging::four_levels, {0xf3, 0xa4});
    guest.gprs[rsi] = kData + 8;
    guest.gprs[rdi] = kData + kPageBytes + 16;
    EXPECT_EQ(access_to(kDataPage), kData + 8);
    EXPECT_EQ(access_to(kNextPage), kData + kPageBytes + 16);
}

TEST_F(SevOperand, FetchAndStackAreFound) {
    run_in(Paging::four_levels, {0x50}); // push %rax
    EXPECT_EQ(access_to(kCodePage, true), kCode);
    EXPECT_EQ(access_to(kStackPage), kStack + 0x7f8);
}

TEST_F(SevOperand, PageTableOnTheWayCountsAsItsAddress) {
    run_in(Paging::four_levels, {0x8b, 0x03});
    guest.gprs[rbx] = kData;
    EXPECT_EQ(access_to(guest.entry_of(kData, 1) & ~0xfffull), kData);
}

TEST_F(SevOperand, ElsewhereIsNotFound) {
    run_in(Paging::four_levels, {0x8b, 0x03});
    guest.gprs[rbx] = kData;
    EXPECT_EQ(access_to(kNextPage + 0x5000), 1u);
}

} // namespace
} // namespace sevhost::test
