// The walker: every leaf of a tree, and what it says of a fault.

#include "hand_laid_tables.h"

#include <sstream>

namespace prologue::test {
namespace {

using namespace hand_laid;

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
