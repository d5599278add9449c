// The walker: modes, addresses, and the 64-bit formats with their rights.

#include "hand_laid_tables.h"

namespace prologue::test {
namespace {

using namespace hand_laid;

// --- Mode ---------------------------------------------------------------------------------

TEST(PageWalkerMode, IsToldByCr0Cr4AndEfer) {
    EXPECT_EQ(paging_mode({.cr0 = 0}), Mode::Flat);
    EXPECT_EQ(paging_mode({.cr0 = kPe, .cr4 = kPae, .efer = kLme}), Mode::Flat);
    EXPECT_EQ(paging_mode({.cr0 = kPe | kPg}), Mode::Bits32);
    EXPECT_EQ(paging_mode({.cr0 = kPe | kPg, .cr4 = kPae}), Mode::Pae);
    EXPECT_EQ(paging_mode({.cr0 = kPe | kPg, .cr4 = kPae, .efer = kLme}), Mode::FourLevel);
    EXPECT_EQ(paging_mode({.cr0 = kPe | kPg, .cr4 = kPae | kLa57, .efer = kLme}), Mode::FiveLevel);
}

TEST(PageWalkerMode, La57DoesNothingOutsideLongMode) {
    EXPECT_EQ(paging_mode({.cr0 = kPe | kPg, .cr4 = kPae | kLa57}), Mode::Pae);
    EXPECT_EQ(paging_mode({.cr0 = kPe | kPg, .cr4 = kLa57}), Mode::Bits32);
}

TEST(PageWalkerMode, PagingWithoutProtectionIsImpossible) {
    EXPECT_EQ(paging_mode({.cr0 = kPg}), Mode::Impossible);
    EXPECT_EQ(paging_mode({.cr0 = kPg, .cr4 = kPae, .efer = kLme}), Mode::Impossible);
}

TEST(PageWalkerMode, LongModeWithoutPaeIsImpossible) {
    EXPECT_EQ(paging_mode({.cr0 = kPe | kPg, .efer = kLme}), Mode::Impossible);
}

TEST(PageWalkerMode, LmaWithoutLmeAndPagingIsImpossible) {
    EXPECT_EQ(paging_mode({.cr0 = kPe | kPg, .cr4 = kPae, .efer = kLma}), Mode::Impossible);
    EXPECT_EQ(paging_mode({.cr0 = kPe, .cr4 = kPae, .efer = kLme | kLma}), Mode::Impossible);
}

TEST(PageWalkerMode, PcideOutsideLongModeIsImpossible) {
    EXPECT_EQ(paging_mode({.cr0 = kPe | kPg, .cr4 = kPae | kPcide}), Mode::Impossible);
    EXPECT_EQ(paging_mode({.cr0 = kPe | kPg, .cr4 = kPae | kPcide, .efer = kLme}), Mode::FourLevel);
}

TEST(PageWalkerMode, StateOfNoCpuIsImpossible) {
    EXPECT_EQ(paging_mode({.phys_bits = 31}), Mode::Impossible);
    EXPECT_EQ(paging_mode({.phys_bits = 53}), Mode::Impossible);
    EXPECT_EQ(paging_mode({.c_bit = 51}), Mode::Impossible) << "a bit number, not a mask";
    EXPECT_EQ(paging_mode({.c_bit = 3ull << 50}), Mode::Impossible);
    EXPECT_EQ(paging_mode({.c_bit = 1ull << 31}), Mode::Impossible);
    EXPECT_EQ(paging_mode({.c_bit = 1ull << 52}), Mode::Impossible);
    EXPECT_EQ(paging_mode({.c_bit = 1ull << 51}), Mode::Flat);
}

TEST(PageWalkerMode, ImpossibleModeFaultsBeforeAnythingIsRead) {
    Machine m = four_level();
    m.state.cr0 &= ~kPe;
    expect_fault(m.go(kVa48), FaultKind::BadMode);
}

// --- Flat ---------------------------------------------------------------------------------

TEST(PageWalkerFlat, MapsEveryAddressToItselfWithAllRights) {
    const Machine m;
    const Translation page = page_of(m.go(0xfee00030, Access::Write, /*user=*/true));
    EXPECT_EQ(page, (Translation{.pa = 0xfee00030,
                                 .page_bytes = 1ull << 32,
                                 .writable = true,
                                 .user = true,
                                 .executable = true}));
}

TEST(PageWalkerFlat, IsPrivateWhenThereIsEncryption) {
    Machine m;
    m.state.c_bit = kCBit;
    EXPECT_TRUE(page_of(m.go(0x1000)).encrypted);
}

// --- Canonical addresses ------------------------------------------------------------------

TEST(PageWalkerCanonical, LinearAddressesHave32BitsOutsideLongMode) {
    for (const Machine& m : {Machine{}, bits32(), pae()}) {
        expect_fault(m.go(1ull << 32), FaultKind::NonCanonical);
    }
    expect_page(Machine{}.go(0xffffffff), 0xffffffff, 1ull << 32);
}

TEST(PageWalkerCanonical, FourLevelsExtendBit47) {
    Machine m = four_level();
    m.memory.put(kPml4 + 255 * 8, kPdpt | kPW);
    m.memory.put(kPml4 + 256 * 8, kPdpt | kPW);
    m.memory.put(kPdpt + 0 * 8, 0x40000000 | kPW | kPs);
    m.memory.put(kPdpt + 511 * 8, 0x80000000 | kPW | kPs);
    expect_page(m.go(0x00007fffffffffff), 0x80000000 + k1G - 1, k1G);
    expect_fault(m.go(0x0000800000000000), FaultKind::NonCanonical);
    expect_fault(m.go(0xffff7fffffffffff), FaultKind::NonCanonical);
    expect_page(m.go(0xffff800000000000), 0x40000000, k1G);
    expect_fault(m.go(kVa48 | 1ull << 63), FaultKind::NonCanonical);
}

TEST(PageWalkerCanonical, FiveLevelsExtendBit56) {
    Machine m = five_level();
    m.memory.put(kPml5 + 255 * 8, kPml4 | kPW);
    m.memory.put(kPml5 + 256 * 8, kPml4 | kPW);
    m.memory.put(kPml4 + 0 * 8, kPdpt | kPW);
    m.memory.put(kPml4 + 511 * 8, kPdpt | kPW);
    m.memory.put(kPdpt + 0 * 8, 0x40000000 | kPW | kPs);
    m.memory.put(kPdpt + 511 * 8, 0x80000000 | kPW | kPs);
    expect_page(m.go(0x00ffffffffffffff), 0x80000000 + k1G - 1, k1G);
    expect_fault(m.go(0x0100000000000000), FaultKind::NonCanonical);
    expect_fault(m.go(0xfeffffffffffffff), FaultKind::NonCanonical);
    expect_page(m.go(0xff00000000000000), 0x40000000, k1G);
}

// --- Translation in the 64-bit formats ----------------------------------------------------

TEST(PageWalkerLong, FourLevelsReachA4KPage) {
    expect_page(four_level().go(kVa48), kPage + 0xabc, k4K);
}

TEST(PageWalkerLong, FiveLevelsReachA4KPage) {
    expect_page(five_level().go(kVa), kPage + 0xabc, k4K);
    expect_fault(five_level().go(kVa48), FaultKind::NotPresent, Level::Pml5);
}

TEST(PageWalkerLong, PageSizeInPdeMapsTwoMegabytes) {
    Machine m = four_level();
    m.memory.put(kPde, 0x7fe00000 | kPW | kPs);
    expect_page(m.go(kVa48), 0x7fe00000 + kVa48 % k2M, k2M);
}

TEST(PageWalkerLong, PageSizeInPdpteMapsOneGigabyte) {
    Machine m = four_level();
    m.memory.put(kPdpte, 0x80000000 | kPW | kPs);
    expect_page(m.go(kVa48), 0x80000000 + kVa48 % k1G, k1G);
}

TEST(PageWalkerLong, IgnoresTheBitsLeftToSoftware) {
    Machine m = four_level();
    const uint64_t ignored = 0x7ff0000000000e00 | 1ull << 6 | 1ull << 5;
    m.memory.put(kPml4e, kPdpt | kPW | ignored);
    m.memory.put(kPdpte, kPd | kPW | ignored | kG);
    m.memory.put(kPde, kPt | kPW | ignored | kG);
    m.memory.put(kPte, kPage | kPW | ignored | kG);
    expect_page(m.go(kVa48), kPage + 0xabc, k4K);
}

TEST(PageWalkerLong, Cr3LowBitsAreNoPartOfTheAddress) {
    Machine m = four_level();
    m.state.cr4 |= kPcide;
    m.state.cr3 |= 0xfff;
    expect_page(m.go(kVa48), kPage + 0xabc, k4K);
}

TEST(PageWalkerLong, Cr3BitsAbovePhysBitsAreReserved) {
    Machine m = four_level();
    m.state.phys_bits = 40;
    m.state.cr3 |= 1ull << 40;
    expect_fault(m.go(kVa48), FaultKind::ReservedBit, Level::Cr3, m.state.cr3);
    m.state.cr3 = kPml4 | 1ull << 63;
    expect_fault(m.go(kVa48), FaultKind::ReservedBit, Level::Cr3, m.state.cr3);
}

TEST(PageWalkerLong, Bit51IsAnAddressBitWhenPhysBitsIs52) {
    Machine m = four_level();
    m.memory.put(kPte, 1ull << 51 | kPW);
    expect_page(m.go(kVa48), (1ull << 51) + 0xabc, k4K);
}

TEST(PageWalkerLong, ReportsTheCacheBitsOfTheLeafAlone) {
    Machine m = four_level();
    m.memory.put(kPde, kPt | kPW | kPwt | kPcd);
    m.memory.put(kPte, kPage | kPW);
    Translation page = page_of(m.go(kVa48));
    EXPECT_FALSE(page.pwt || page.pcd || page.pat) << page;
    m.memory.put(kPte, kPage | kPW | kPwt);
    EXPECT_TRUE(page_of(m.go(kVa48)).pwt);
    m.memory.put(kPte, kPage | kPW | kPcd);
    page = page_of(m.go(kVa48));
    EXPECT_TRUE(page.pcd && !page.pwt && !page.pat) << page;
}

TEST(PageWalkerLong, PatIsBit7OfAPteAndBit12OfALargePage) {
    Machine m = four_level();
    m.memory.put(kPte, kPage | kPW | 1ull << 7);
    EXPECT_TRUE(page_of(m.go(kVa48)).pat);

    m.memory.put(kPde, k2M | kPW | kPs);
    EXPECT_FALSE(page_of(m.go(kVa48)).pat);
    m.memory.put(kPde, k2M | kPW | kPs | 1ull << 12);
    EXPECT_TRUE(page_of(m.go(kVa48)).pat);
    const uint64_t bit_12_clear = kVa48 - k4K;
    expect_page(m.go(bit_12_clear), k2M + bit_12_clear % k2M, k2M);

    m.memory.put(kPdpte, k1G | kPW | kPs | 1ull << 12);
    EXPECT_TRUE(page_of(m.go(kVa48)).pat);
    expect_page(m.go(bit_12_clear), k1G + bit_12_clear % k1G, k1G);
}

// --- Present, and tables that are not there -----------------------------------------------

TEST(PageWalkerPresent, AHoleIsNamedByItsLevel) {
    const std::vector<std::pair<uint64_t, Level>> slots = {{kPml5e, Level::Pml5},
                                                           {kPml4e, Level::Pml4},
                                                           {kPdpte, Level::Pdpt},
                                                           {kPde, Level::Pd},
                                                           {kPte, Level::Pt}};
    for (const auto& [slot, level] : slots) {
        Machine m = five_level();
        const uint64_t junk = ~kP; // without P, no other bit means anything
        m.memory.put(slot, junk);
        const WalkResult result = m.go(kVa);
        expect_fault(result, FaultKind::NotPresent, level, junk);
        EXPECT_EQ(std::get<Fault>(result).entry_phys, slot);
        EXPECT_EQ(std::get<Fault>(result).va, kVa);
    }
}

TEST(PageWalkerPresent, ATableOutsideMemoryIsAFaultOfItsOwn) {
    Machine m = four_level();
    m.memory.put(kPde, 0xdead000 | kPW);
    const WalkResult result = m.go(kVa48);
    expect_fault(result, FaultKind::TableOutsideMemory, Level::Pt);
    EXPECT_EQ(std::get<Fault>(result).entry_phys, 0xdead008u);

    m.state.cr3 = 0xdead000;
    expect_fault(m.go(kVa48), FaultKind::TableOutsideMemory, Level::Pml4);
}

TEST(PageWalkerPresent, APageOutsideMemoryIsNoFault) {
    Machine m = four_level();
    m.memory.put(kPte, 0xfee00000 | kPW);
    expect_page(m.go(kVa48), 0xfee00abc, k4K);
}

// --- Rights -------------------------------------------------------------------------------

TEST(PageWalkerRights, AnyLevelMayDenyWrites) {
    for (const OnTheWay& at : kWay) {
        Machine m = five_level();
        m.memory.put(at.slot, at.target | kP | kU);
        for (bool user : {false, true}) {
            expect_fault(m.go(kVa, Access::Write, user), FaultKind::Write, at.level,
                         at.target | kP | kU);
            EXPECT_FALSE(page_of(m.go(kVa, Access::Read, user)).writable);
        }
    }
}

TEST(PageWalkerRights, AnyLevelMayDenyUser) {
    for (const OnTheWay& at : kWay) {
        Machine m = five_level();
        m.memory.put(at.slot, at.target | kPW);
        expect_fault(m.go(kVa, Access::Read, true), FaultKind::User, at.level, at.target | kPW);
        EXPECT_FALSE(page_of(m.go(kVa, Access::Read, false)).user);
    }
}

TEST(PageWalkerRights, AnyLevelMayDenyExecution) {
    for (const OnTheWay& at : kWay) {
        Machine m = five_level();
        m.memory.put(at.slot, at.target | kPWU | kNx);
        expect_fault(m.go(kVa, Access::Execute), FaultKind::Execute, at.level,
                     at.target | kPWU | kNx);
        const Translation page = page_of(m.go(kVa, Access::Write));
        EXPECT_FALSE(page.executable);
        EXPECT_EQ(page.pa, kPage + 0xabc) << "NX is no address bit";
    }
}

TEST(PageWalkerRights, AllAreGrantedWhenEveryLevelGrantsThem) {
    for (Access access : {Access::Read, Access::Write, Access::Execute}) {
        for (bool user : {false, true}) {
            const Translation page = page_of(five_level().go(kVa, access, user));
            EXPECT_TRUE(page.writable && page.user && page.executable) << page;
        }
    }
}

TEST(PageWalkerRights, SupervisorWritesReadOnlyPagesWhenWpIsClear) {
    Machine m = four_level();
    m.memory.put(kPte, kPage | kP | kU);
    m.state.cr0 &= ~kWp;
    EXPECT_TRUE(page_of(m.go(kVa48, Access::Write)).writable);
    EXPECT_FALSE(page_of(m.go(kVa48, Access::Read, /*user=*/true)).writable);
    expect_fault(m.go(kVa48, Access::Write, /*user=*/true), FaultKind::Write, Level::Pt,
                 kPage | kP | kU);
}

TEST(PageWalkerRights, TheHighestEntryThatDeniesIsToBlame) {
    Machine m = four_level();
    const uint64_t entry = kPd | kP | kNx;
    m.memory.put(kPdpte, entry);
    m.memory.put(kPte, kPage | kP | kNx);
    expect_fault(m.go(kVa48, Access::Write), FaultKind::Write, Level::Pdpt, entry);
    expect_fault(m.go(kVa48, Access::Execute), FaultKind::Execute, Level::Pdpt, entry);
    expect_fault(m.go(kVa48, Access::Write, /*user=*/true), FaultKind::User, Level::Pdpt, entry);
}

TEST(PageWalkerRights, AHoleBelowComesBeforeADenialAbove) {
    Machine m = four_level();
    m.memory.put(kPml4e, kPdpt | kP);
    m.memory.put(kPte, 0);
    expect_fault(m.go(kVa48, Access::Write), FaultKind::NotPresent, Level::Pt);
}

} // namespace
} // namespace prologue::test
