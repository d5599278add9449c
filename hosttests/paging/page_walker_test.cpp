// The walker proved on tables laid by hand. The bits are spelt again here, from the manuals,
// so that a slip in the walker's own constants shows.

#include "page_walker.h"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace prologue::test {
namespace {

constexpr uint64_t kPe = 1ull << 0, kWp = 1ull << 16, kPg = 1ull << 31;
constexpr uint64_t kPse = 1ull << 4, kPae = 1ull << 5, kLa57 = 1ull << 12, kPcide = 1ull << 17;
constexpr uint64_t kLme = 1ull << 8, kLma = 1ull << 10, kNxe = 1ull << 11;

constexpr uint64_t kP = 1, kW = 2, kU = 4, kPwt = 8, kPcd = 16, kPs = 1ull << 7, kG = 1ull << 8;
constexpr uint64_t kNx = 1ull << 63;
constexpr uint64_t kPW = kP | kW, kPWU = kP | kW | kU;

constexpr uint64_t k4K = 0x1000, k2M = 0x200000, k4M = 0x400000, k1G = 0x40000000;
constexpr uint64_t kCBit = 1ull << 51;

// Physical memory that exists where something was put, a page at a time.
class Memory {
public:
    void put(uint64_t phys, uint64_t entry) { page(phys)[phys % k4K / 8] = entry; }

    void put32(uint64_t phys, uint32_t entry) {
        uint64_t& word = page(phys)[phys % k4K / 8];
        word = phys & 4 ? (word & 0xffffffff) | uint64_t{entry} << 32
                        : (word & ~uint64_t{0xffffffff}) | entry;
    }

    ReadPhys reader() const {
        return [this](uint64_t phys) -> std::optional<uint64_t> {
            EXPECT_EQ(phys % 8, 0u) << "the walker promises aligned reads";
            const auto found = pages_.find(phys / k4K);
            if (found == pages_.end())
                return std::nullopt;
            return found->second[phys % k4K / 8];
        };
    }

private:
    std::array<uint64_t, 512>& page(uint64_t phys) { return pages_[phys / k4K]; }
    std::map<uint64_t, std::array<uint64_t, 512>> pages_;
};

// A state, its memory, and one way to ask.
struct Machine {
    PagingState state;
    Memory memory;

    WalkResult go(uint64_t va, Access access = Access::Read, bool user = false) const {
        return walk(state, memory.reader(), va, access, user);
    }
};

void expect_page(const WalkResult& result, uint64_t pa, uint64_t page_bytes) {
    const Translation* page = std::get_if<Translation>(&result);
    ASSERT_NE(page, nullptr) << std::get<Fault>(result);
    EXPECT_EQ(page->pa, pa) << *page;
    EXPECT_EQ(page->page_bytes, page_bytes) << *page;
}

void expect_fault(const WalkResult& result, FaultKind kind, Level level = Level::None,
                  uint64_t entry = 0) {
    const Fault* fault = std::get_if<Fault>(&result);
    ASSERT_NE(fault, nullptr) << std::get<Translation>(result);
    EXPECT_EQ(fault->kind, kind) << *fault;
    EXPECT_EQ(fault->level, level) << *fault;
    EXPECT_EQ(fault->entry, entry) << *fault;
}

Translation page_of(const WalkResult& result) {
    const Translation* page = std::get_if<Translation>(&result);
    if (!page)
        ADD_FAILURE() << std::get<Fault>(result);
    return page ? *page : Translation{};
}

// --- Trees --------------------------------------------------------------------------------

// Where each table of the hand-laid trees lies, and the address that they all map. Its
// indices differ at every level, so that no two can be mistaken for one another.
constexpr uint64_t kPml5 = 0x9000, kPml4 = 0xa000, kPdpt = 0xb000, kPd = 0xc000, kPt = 0xd000;
constexpr uint64_t kVa = 5ull << 48 | 4ull << 39 | 3ull << 30 | 2ull << 21 | 1ull << 12 | 0xabc;
constexpr uint64_t kVa48 = kVa & ((1ull << 48) - 1);
constexpr uint64_t kPml5e = kPml5 + 5 * 8, kPml4e = kPml4 + 4 * 8, kPdpte = kPdpt + 3 * 8;
constexpr uint64_t kPde = kPd + 2 * 8, kPte = kPt + 1 * 8;
constexpr uint64_t kPage = 0x1234567000;

Machine four_level() {
    Machine m;
    m.state = {.cr0 = kPe | kPg | kWp, .cr3 = kPml4, .cr4 = kPae, .efer = kLme | kLma | kNxe};
    m.memory.put(kPml4e, kPdpt | kPWU);
    m.memory.put(kPdpte, kPd | kPWU);
    m.memory.put(kPde, kPt | kPWU);
    m.memory.put(kPte, kPage | kPWU);
    return m;
}

Machine five_level() {
    Machine m = four_level();
    m.state.cr4 |= kLa57;
    m.state.cr3 = kPml5;
    m.memory.put(kPml5e, kPml4 | kPWU);
    return m;
}

// PAE: the PDPT need only be 32-byte aligned.
constexpr uint64_t kPaeVa = 3u << 30 | 2u << 21 | 1u << 12 | 0xabc;
constexpr uint64_t kPaePdpt = 0xb0e0, kPaePdpte = kPaePdpt + 3 * 8;

Machine pae() {
    Machine m;
    m.state = {.cr0 = kPe | kPg | kWp, .cr3 = kPaePdpt, .cr4 = kPae, .efer = kNxe};
    m.memory.put(kPaePdpte, kPd | kP);
    m.memory.put(kPde, kPt | kPWU);
    m.memory.put(kPte, kPage | kPWU);
    return m;
}

constexpr uint64_t kVa32 = 0x201u << 22 | 0x103u << 12 | 0xabc;
constexpr uint64_t kPde32 = kPd + 0x201 * 4, kPte32 = kPt + 0x103 * 4;

Machine bits32() {
    Machine m;
    m.state = {.cr0 = kPe | kPg | kWp, .cr3 = kPd, .cr4 = kPse};
    m.memory.put32(kPde32, kPt | kPWU);
    m.memory.put32(kPte32, 0x89abc000 | kPWU);
    return m;
}

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

// Each level that holds an entry on the way to kVa, with what that entry points to.
struct OnTheWay {
    uint64_t slot;
    uint64_t target;
    Level level;
};
const OnTheWay kWay[] = {{kPml5e, kPml4, Level::Pml5},
                         {kPml4e, kPdpt, Level::Pml4},
                         {kPdpte, kPd, Level::Pdpt},
                         {kPde, kPt, Level::Pd},
                         {kPte, kPage, Level::Pt}};

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

Machine encrypted(Machine m) {
    m.state.c_bit = kCBit;
    m.state.phys_bits = 43;
    m.state.cr3 |= kCBit;
    for (const OnTheWay& at : kWay)
        m.memory.put(at.slot, at.target | kPWU | kCBit);
    return m;
}

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

// --- Every leaf ---------------------------------------------------------------------------

struct Leaf {
    uint64_t va, pa, bytes;
    bool writable, executable, user;
    bool operator==(const Leaf&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Leaf& leaf) {
    return out << std::hex << leaf.va << "->" << leaf.pa << "+" << leaf.bytes
               << (leaf.writable ? "w" : "") << (leaf.executable ? "x" : "")
               << (leaf.user ? "u" : "");
}

struct Leaves {
    std::vector<Leaf> seen;
    std::optional<Fault> fault;
};

Leaves leaves_of(const Machine& m) {
    Leaves leaves;
    leaves.fault = for_each_leaf(
        m.state, m.memory.reader(),
        [&](uint64_t va, uint64_t pa, uint64_t bytes, bool writable, bool executable, bool user) {
            leaves.seen.push_back({va, pa, bytes, writable, executable, user});
        });
    return leaves;
}

TEST(PageWalkerLeaves, AreAllSeenOnceInOrderWithTheirRights) {
    Machine m = four_level();
    m.memory.put(kPml4e, kPdpt | kPW);
    m.memory.put(kPde, kPt | kPW);
    m.memory.put(kPte, kPage | kP);
    m.memory.put(kPte + 8, kPage | kPWU | kNx); // an alias, writable where kPte is code
    m.memory.put(kPde + 8, k4M | kPW | kPs);
    m.memory.put(kPdpte + 8, k1G | kPWU | kPs | kNx);
    m.memory.put(kPml4 + 511 * 8, 0xe000 | kPWU);
    m.memory.put(0xe000 + 510 * 8, 0x80000000 | kPWU | kPs);

    const Leaves leaves = leaves_of(m);
    EXPECT_EQ(leaves.fault, std::nullopt);
    const uint64_t va = kVa48 & ~(k4K - 1), pd_va = va & ~(k2M - 1), pdpt_va = va & ~(k1G - 1);
    const std::vector<Leaf> expected = {
        {va, kPage, k4K, false, true, false},
        {va + k4K, kPage, k4K, true, false, false},
        {pd_va + k2M, k4M, k2M, true, true, false},
        {pdpt_va + k1G, k1G, k1G, true, false, false},
        {0xffffffff80000000, 0x80000000, k1G, true, true, true},
    };
    EXPECT_EQ(leaves.seen, expected);
}

TEST(PageWalkerLeaves, OfAFiveLevelTreeHaveCanonicalAddresses) {
    Machine m = five_level();
    m.memory.put(kPml5 + 256 * 8, 0xe000 | kPW);
    m.memory.put(0xe000, 0xf000 | kPW);
    m.memory.put(0xf000, k1G | kPW | kPs);
    const Leaves leaves = leaves_of(m);
    EXPECT_EQ(leaves.fault, std::nullopt);
    ASSERT_EQ(leaves.seen.size(), 2u);
    EXPECT_EQ(leaves.seen[0], (Leaf{kVa & ~(k4K - 1), kPage, k4K, true, true, true}));
    EXPECT_EQ(leaves.seen[1], (Leaf{0xff00000000000000, k1G, k1G, true, true, false}));
}

TEST(PageWalkerLeaves, AgreeWithTheWalk) {
    const Machine m = encrypted(five_level());
    const Leaves leaves = leaves_of(m);
    ASSERT_EQ(leaves.seen.size(), 1u);
    const Translation page = page_of(m.go(leaves.seen[0].va));
    EXPECT_EQ(leaves.seen[0], (Leaf{kVa - 0xabc, page.pa, page.page_bytes, page.writable,
                                    page.executable, page.user}));
}

TEST(PageWalkerLeaves, AreAllWritableWhenWpIsClear) {
    Machine m = four_level();
    m.memory.put(kPte, kPage | kP);
    m.state.cr0 &= ~kWp;
    const Leaves leaves = leaves_of(m);
    ASSERT_EQ(leaves.seen.size(), 1u);
    EXPECT_TRUE(leaves.seen[0].writable);
}

TEST(PageWalkerLeaves, StopAtTheFirstMalformedEntryAndNameIt) {
    Machine m = four_level();
    m.memory.put(kPde + 8, k4M | kPW | kPs | 1ull << 13);
    m.memory.put(kPde + 16, k4M | kPW | kPs);
    const Leaves leaves = leaves_of(m);
    EXPECT_EQ(leaves.seen.size(), 1u);
    const Fault expected = {FaultKind::ReservedBit, Level::Pd, k4M | kPW | kPs | 1ull << 13,
                            kPde + 8, (kVa48 & ~(k2M - 1)) + k2M};
    EXPECT_EQ(leaves.fault, expected);
}

TEST(PageWalkerLeaves, OfATreeThatIsNotAllThereEndInAFault) {
    Machine m = four_level();
    m.memory.put(kPde + 8, 0xdead000 | kPW);
    EXPECT_EQ(leaves_of(m).fault, (Fault{FaultKind::TableOutsideMemory, Level::Pt, 0, 0xdead000,
                                         (kVa48 & ~(k2M - 1)) + k2M}));
    Machine no_c_bit = encrypted(four_level());
    no_c_bit.state.cr3 = kPml4;
    EXPECT_EQ(leaves_of(no_c_bit).fault, (Fault{FaultKind::MissingCBit, Level::Cr3, kPml4, 0, 0}));
}

TEST(PageWalkerLeaves, AreOnlyToldOfLongModes) {
    for (const Machine& m : {Machine{}, bits32(), pae()}) {
        const Leaves leaves = leaves_of(m);
        ASSERT_TRUE(leaves.fault.has_value());
        EXPECT_EQ(leaves.fault->kind, FaultKind::BadMode);
        EXPECT_TRUE(leaves.seen.empty());
    }
}

// --- Messages -----------------------------------------------------------------------------

TEST(PageWalkerMessages, NameTheEntryAndTheNumbers) {
    std::ostringstream out;
    out << Fault{FaultKind::ReservedBit, Level::Pd, 0x401083, 0xc010, 0x200000} << " " << 10;
    EXPECT_EQ(out.str(), "va 0x200000: a reserved bit is set (pd entry 0x401083 at 0xc010) 10");
}

} // namespace
} // namespace prologue::test
