// The walker: bits that are reserved, and the C-bit, which is not.

#include "hand_laid_tables.h"

namespace prologue::test {
namespace {

using namespace hand_laid;

// --- Reserved bits ------------------------------------------------------------------------

TEST(PageWalkerReserved, NxIsReservedWithoutNxe) {
    for (const OnTheWay& at : kWay) {
        Machine m = five_level();
        m.state.efer &= ~kNxe;
        expect_page(m.go(kVa), kPage + 0xabc, k4K);
        m.memory.put(at.slot, at.target | kPWU | kNx);
        expect_fault(m.go(kVa), FaultKind::ReservedBit, at.level, at.target | kPWU | kNx);
    }
}

TEST(PageWalkerReserved, AddressBitsFromPhysBitsTo51AreReserved) {
    for (const OnTheWay& at : kWay) {
        for (unsigned high : {40u, 51u}) {
            Machine m = five_level();
            m.state.phys_bits = 40;
            const uint64_t entry = at.target | kPWU | 1ull << high;
            m.memory.put(at.slot, entry);
            expect_fault(m.go(kVa), FaultKind::ReservedBit, at.level, entry);
        }
    }
}

TEST(PageWalkerReserved, TheLastBitBelowPhysBitsIsAnAddress) {
    Machine m = four_level();
    m.state.phys_bits = 40;
    m.memory.put(kPte, 1ull << 39 | kPW);
    expect_page(m.go(kVa48), (1ull << 39) + 0xabc, k4K);
}

TEST(PageWalkerReserved, PageSizeIsReservedAboveThePdpt) {
    for (const OnTheWay& at : {kWay[0], kWay[1]}) {
        Machine m = five_level();
        m.memory.put(at.slot, at.target | kPW | kPs);
        expect_fault(m.go(kVa), FaultKind::ReservedBit, at.level, at.target | kPW | kPs);
    }
}

TEST(PageWalkerReserved, GlobalIsReservedAboveThePdptForAmd) {
    for (const OnTheWay& at : {kWay[0], kWay[1]}) {
        Machine m = five_level();
        m.memory.put(at.slot, at.target | kPW | kG);
        expect_fault(m.go(kVa), FaultKind::ReservedBit, at.level, at.target | kPW | kG);
    }
}

TEST(PageWalkerReserved, PageSizeInPdpteIsReservedWithout1GPages) {
    Machine m = four_level();
    m.memory.put(kPdpte, k1G | kPW | kPs);
    m.state.has_1g_pages = false;
    expect_fault(m.go(kVa48), FaultKind::ReservedBit, Level::Pdpt, k1G | kPW | kPs);
}

TEST(PageWalkerReserved, TwoMegabytePagesReserveBits20To13) {
    for (unsigned low = 13; low <= 20; ++low) {
        Machine m = four_level();
        const uint64_t entry = k4M | kPW | kPs | 1ull << low;
        m.memory.put(kPde, entry);
        expect_fault(m.go(kVa48), FaultKind::ReservedBit, Level::Pd, entry);
    }
}

TEST(PageWalkerReserved, OneGigabytePagesReserveBits29To13) {
    for (unsigned low = 13; low <= 29; ++low) {
        Machine m = four_level();
        const uint64_t entry = k1G | kPW | kPs | 1ull << low;
        m.memory.put(kPdpte, entry);
        expect_fault(m.go(kVa48), FaultKind::ReservedBit, Level::Pdpt, entry);
    }
}

// --- The C-bit ----------------------------------------------------------------------------

TEST(PageWalkerCBit, IsNeitherAddressNorReserved) {
    const Machine m = encrypted(five_level());
    expect_page(m.go(kVa), kPage + 0xabc, k4K);
    EXPECT_TRUE(page_of(m.go(kVa)).encrypted);
}

TEST(PageWalkerCBit, IsLeftOutOfLargePageAddressesToo) {
    Machine m = encrypted(four_level());
    m.memory.put(kPde, k4M | kPW | kPs | kCBit);
    expect_page(m.go(kVa48), k4M + kVa48 % k2M, k2M);
}

TEST(PageWalkerCBit, ALeafWithoutItIsShared) {
    Machine m = encrypted(four_level());
    m.memory.put(kPte, kPage | kPW);
    EXPECT_FALSE(page_of(m.go(kVa48)).encrypted);
    m.memory.put(kPde, k2M | kPW | kPs);
    EXPECT_FALSE(page_of(m.go(kVa48)).encrypted);
}

TEST(PageWalkerCBit, EveryTablePointerMustHaveIt) {
    for (const OnTheWay& at : {kWay[0], kWay[1], kWay[2], kWay[3]}) {
        Machine m = encrypted(five_level());
        m.memory.put(at.slot, at.target | kPWU);
        expect_fault(m.go(kVa), FaultKind::MissingCBit, at.level, at.target | kPWU);
    }
}

TEST(PageWalkerCBit, Cr3MustHaveIt) {
    Machine m = encrypted(four_level());
    m.state.cr3 = kPml4;
    expect_fault(m.go(kVa48), FaultKind::MissingCBit, Level::Cr3, kPml4);
}

TEST(PageWalkerCBit, OtherHighBitsStayReserved) {
    Machine m = encrypted(four_level());
    const uint64_t entry = kPage | kPW | kCBit | 1ull << 50;
    m.memory.put(kPte, entry);
    expect_fault(m.go(kVa48), FaultKind::ReservedBit, Level::Pt, entry);
    m.state.cr3 |= 1ull << 50;
    expect_fault(m.go(kVa48), FaultKind::ReservedBit, Level::Cr3, m.state.cr3);
}

TEST(PageWalkerCBit, IsReservedOrAddressWhereThereIsNoEncryption) {
    Machine m = encrypted(four_level());
    m.state.c_bit = 0;
    m.state.cr3 = kPml4;
    expect_fault(m.go(kVa48), FaultKind::ReservedBit, Level::Pml4, kPdpt | kPWU | kCBit);
}

TEST(PageWalkerCBit, PaePointersNeedItButCr3HasNoRoomForIt) {
    Machine m = pae();
    m.state.c_bit = kCBit;
    m.state.phys_bits = 43;
    m.memory.put(kPaePdpte, kPd | kP | kCBit);
    m.memory.put(kPde, kPt | kPW | kCBit);
    m.memory.put(kPte, kPage | kPW | kCBit);
    expect_page(m.go(kPaeVa), kPage + 0xabc, k4K);
    EXPECT_TRUE(page_of(m.go(kPaeVa)).encrypted);
    m.memory.put(kPte, kPage | kPW);
    EXPECT_FALSE(page_of(m.go(kPaeVa)).encrypted);
    m.memory.put(kPaePdpte, kPd | kP);
    expect_fault(m.go(kPaeVa), FaultKind::MissingCBit, Level::Pdpt, kPd | kP);
}

TEST(PageWalkerCBit, ThirtyTwoBitPagingIsAlwaysPrivate) {
    Machine m = bits32();
    EXPECT_FALSE(page_of(m.go(kVa32)).encrypted);
    m.state.c_bit = kCBit;
    EXPECT_TRUE(page_of(m.go(kVa32)).encrypted);
}

} // namespace
} // namespace prologue::test
