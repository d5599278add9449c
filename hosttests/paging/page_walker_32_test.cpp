// The walker: the formats of 32-bit mode, PAE's and the older one.

#include "hand_laid_tables.h"

namespace prologue::test {
namespace {

using namespace hand_laid;

// --- PAE ----------------------------------------------------------------------------------

TEST(PageWalkerPae, ReachesA4KPageThroughA32ByteAlignedPdpt) {
    expect_page(pae().go(kPaeVa), kPage + 0xabc, k4K);
}

TEST(PageWalkerPae, IgnoresTheUpperHalfAndTheLowBitsOfCr3) {
    Machine m = pae();
    m.state.cr3 |= 0xffffffff00000000 | 0x1f;
    expect_page(m.go(kPaeVa), kPage + 0xabc, k4K);
}

TEST(PageWalkerPae, PdeMapsTwoMegabytesWithoutRegardToPse) {
    Machine m = pae();
    m.memory.put(kPde, 0x87fe00000 | kPW | kPs);
    expect_page(m.go(kPaeVa), 0x87fe00000 + kPaeVa % k2M, k2M);
}

TEST(PageWalkerPae, PdpteHasNoRightsToWithhold) {
    const Machine m = pae(); // its PDPTE has neither R/W nor U/S
    expect_page(m.go(kPaeVa, Access::Write, /*user=*/true), kPage + 0xabc, k4K);
}

TEST(PageWalkerPae, PdeAndPteDoWithholdRights) {
    Machine m = pae();
    m.memory.put(kPde, kPt | kP | kNx);
    expect_fault(m.go(kPaeVa, Access::Write), FaultKind::Write, Level::Pd, kPt | kP | kNx);
    expect_fault(m.go(kPaeVa, Access::Execute), FaultKind::Execute, Level::Pd, kPt | kP | kNx);
    expect_fault(m.go(kPaeVa, Access::Read, true), FaultKind::User, Level::Pd, kPt | kP | kNx);
}

TEST(PageWalkerPae, PdpteReservesRightsPageSizeAndNx) {
    for (unsigned n : {1u, 2u, 5u, 6u, 7u, 8u, 52u, 62u, 63u}) {
        Machine m = pae();
        const uint64_t entry = kPd | kP | 1ull << n;
        m.memory.put(kPaePdpte, entry);
        expect_fault(m.go(kPaeVa), FaultKind::ReservedBit, Level::Pdpt, entry);
    }
}

TEST(PageWalkerPae, PdpteMayHaveCacheAndSoftwareBits) {
    Machine m = pae();
    m.memory.put(kPaePdpte, kPd | kP | kPwt | kPcd | 0xe00);
    expect_page(m.go(kPaeVa), kPage + 0xabc, k4K);
}

TEST(PageWalkerPae, ABadPdpteElsewhereFaultsToo) {
    constexpr uint64_t kLowVa = kPaeVa % k1G;
    for (uint64_t i = 1; i < 4; ++i) {
        Machine m = pae();
        m.memory.put(kPaePdpt, kPd | kP);
        m.memory.put(kPaePdpt + i * 8, kPd | kPW);
        expect_fault(m.go(kLowVa), FaultKind::ReservedBit, Level::Pdpt, kPd | kPW);
        m.memory.put(kPaePdpt + i * 8, kPd | kW); // not present: nothing to check
        expect_page(m.go(kLowVa), kPage + 0xabc, k4K);
    }
}

TEST(PageWalkerPae, WhatFollowsTheFourPdptesIsNoneOfThem) {
    Machine m = pae();
    m.memory.put(kPaePdpt + 4 * 8, kPd | kPW);
    m.memory.put(kPaePdpt - 8, kPd | kPW);
    expect_page(m.go(kPaeVa), kPage + 0xabc, k4K);
}

TEST(PageWalkerPae, AbsentPdpteAndPdptOutsideMemoryFault) {
    Machine m = pae();
    expect_fault(m.go(0x1000), FaultKind::NotPresent, Level::Pdpt);
    m.state.cr3 = 0xdead000;
    expect_fault(m.go(kPaeVa), FaultKind::TableOutsideMemory, Level::Pdpt);
}

TEST(PageWalkerPae, EntriesReserveEverythingFromPhysBitsTo62) {
    for (unsigned n : {40u, 51u, 52u, 62u}) {
        for (const OnTheWay& at : {kWay[3], kWay[4]}) {
            Machine m = pae();
            m.state.phys_bits = 40;
            const uint64_t entry = at.target | kPW | 1ull << n;
            m.memory.put(at.slot, entry);
            expect_fault(m.go(kPaeVa), FaultKind::ReservedBit, at.level, entry);
        }
    }
}

TEST(PageWalkerPae, NxIsReservedWithoutNxe) {
    Machine m = pae();
    m.state.efer = 0;
    m.memory.put(kPte, kPage | kPW | kNx);
    expect_fault(m.go(kPaeVa), FaultKind::ReservedBit, Level::Pt, kPage | kPW | kNx);
}

TEST(PageWalkerPae, TwoMegabytePagesReserveBits20To13) {
    for (unsigned low : {13u, 20u}) {
        Machine m = pae();
        const uint64_t entry = k4M | kPW | kPs | 1ull << low;
        m.memory.put(kPde, entry);
        expect_fault(m.go(kPaeVa), FaultKind::ReservedBit, Level::Pd, entry);
    }
}

// --- 32-bit paging ------------------------------------------------------------------------

TEST(PageWalker32, ReachesA4KPageThroughEitherHalfOfAQuadword) {
    Machine m = bits32();
    m.memory.put32(kPte32 + 4, 0x11111000 | kPW);
    m.memory.put32(kPte32 - 4, 0x22222000 | kPW);
    expect_page(m.go(kVa32), 0x89abcabc, k4K);
    expect_page(m.go(kVa32 + k4K), 0x11111abc, k4K);
    expect_page(m.go(kVa32 - k4K), 0x22222abc, k4K);
}

TEST(PageWalker32, IgnoresTheUpperHalfAndTheLowBitsOfCr3) {
    Machine m = bits32();
    m.state.cr3 |= 0xffffffff00000fff;
    expect_page(m.go(kVa32), 0x89abcabc, k4K);
}

TEST(PageWalker32, FourMegabytePagesNeedPse) {
    Machine m = bits32();
    m.memory.put32(kPde32, kPt | kPW | kPs);
    m.state.cr4 = 0;
    expect_page(m.go(kVa32), 0x89abcabc, k4K); // the bit is ignored, and it is a table
    m.memory.put32(kPde32, 0x40400000 | kPW | kPs);
    m.state.cr4 = kPse;
    expect_page(m.go(kVa32), 0x40400000 + kVa32 % k4M, k4M);
}

TEST(PageWalker32, Pse36PutsAddressBits39To32AtBits20To13) {
    Machine m = bits32();
    m.memory.put32(kPde32, 0x40400000 | kPW | kPs | 0xa5u << 13);
    expect_page(m.go(kVa32), 0xa540400000 + kVa32 % k4M, k4M);
}

TEST(PageWalker32, FourMegabytePagesReserveWhatTheCpuCannotReach) {
    struct Case {
        unsigned phys_bits, n;
        bool reserved;
    };
    for (const Case& c :
         {Case{52, 21, true}, Case{40, 21, true}, Case{40, 20, false}, Case{36, 17, true},
          Case{36, 16, false}, Case{32, 13, true}, Case{32, 12, false}}) {
        Machine m = bits32();
        m.state.phys_bits = c.phys_bits;
        const uint32_t entry = 0x40400000 | kPW | kPs | 1u << c.n;
        m.memory.put32(kPde32, entry);
        if (c.reserved) {
            expect_fault(m.go(kVa32), FaultKind::ReservedBit, Level::Pd, entry);
        } else {
            EXPECT_EQ(page_of(m.go(kVa32)).page_bytes, k4M) << c.phys_bits << " " << c.n;
        }
    }
}

TEST(PageWalker32, PatIsBit7OfAPteAndBit12OfALargePage) {
    Machine m = bits32();
    EXPECT_FALSE(page_of(m.go(kVa32)).pat);
    m.memory.put32(kPte32, 0x1000 | kPW | 1u << 7);
    EXPECT_TRUE(page_of(m.go(kVa32)).pat);
    m.memory.put32(kPde32, k4M | kPW | kPs | 1u << 12);
    EXPECT_TRUE(page_of(m.go(kVa32)).pat);
}

TEST(PageWalker32, BothLevelsWithholdRightsAndNothingWithholdsExecution) {
    Machine m = bits32();
    m.state.efer = kNxe;
    m.memory.put32(kPde32, kPt | kP);
    expect_fault(m.go(kVa32, Access::Write), FaultKind::Write, Level::Pd, kPt | kP);
    expect_fault(m.go(kVa32, Access::Read, true), FaultKind::User, Level::Pd, kPt | kP);
    EXPECT_TRUE(page_of(m.go(kVa32, Access::Execute)).executable);
}

TEST(PageWalker32, AHoleAndATableOutsideMemoryFault) {
    Machine m = bits32();
    expect_fault(m.go(0), FaultKind::NotPresent, Level::Pd);
    m.memory.put32(kPde32, 0xdead000 | kPW);
    expect_fault(m.go(kVa32), FaultKind::TableOutsideMemory, Level::Pt);
}

} // namespace
} // namespace prologue::test
