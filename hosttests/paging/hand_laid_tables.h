// Page tables laid by hand, in each format, for what proves the walker. The bits are spelt again here,
// from the manuals, so that a slip in the walker's own constants shows.
#pragma once

#include "page_walker.h"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <string>
#include <vector>

namespace prologue::test::hand_laid {

inline constexpr uint64_t kPe = 1ull << 0, kWp = 1ull << 16, kPg = 1ull << 31;
inline constexpr uint64_t kPse = 1ull << 4, kPae = 1ull << 5, kLa57 = 1ull << 12,
                          kPcide = 1ull << 17;
inline constexpr uint64_t kLme = 1ull << 8, kLma = 1ull << 10, kNxe = 1ull << 11;

inline constexpr uint64_t kP = 1, kW = 2, kU = 4, kPwt = 8, kPcd = 16, kPs = 1ull << 7,
                          kG = 1ull << 8;
inline constexpr uint64_t kNx = 1ull << 63;
inline constexpr uint64_t kPW = kP | kW, kPWU = kP | kW | kU;

inline constexpr uint64_t k4K = 0x1000, k2M = 0x200000, k4M = 0x400000, k1G = 0x40000000;
inline constexpr uint64_t kCBit = 1ull << 51;

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

inline void expect_page(const WalkResult& result, uint64_t pa, uint64_t page_bytes) {
    const Translation* page = std::get_if<Translation>(&result);
    ASSERT_NE(page, nullptr) << std::get<Fault>(result);
    EXPECT_EQ(page->pa, pa) << *page;
    EXPECT_EQ(page->page_bytes, page_bytes) << *page;
}

inline void expect_fault(const WalkResult& result, FaultKind kind, Level level = Level::None,
                         uint64_t entry = 0) {
    const Fault* fault = std::get_if<Fault>(&result);
    ASSERT_NE(fault, nullptr) << std::get<Translation>(result);
    EXPECT_EQ(fault->kind, kind) << *fault;
    EXPECT_EQ(fault->level, level) << *fault;
    EXPECT_EQ(fault->entry, entry) << *fault;
}

inline Translation page_of(const WalkResult& result) {
    const Translation* page = std::get_if<Translation>(&result);
    if (!page)
        ADD_FAILURE() << std::get<Fault>(result);
    return page ? *page : Translation{};
}

// Where each table of the hand-laid trees lies, and the address that they all map. Its
// indices differ at every level, so that no two can be mistaken for one another.
inline constexpr uint64_t kPml5 = 0x9000, kPml4 = 0xa000, kPdpt = 0xb000, kPd = 0xc000,
                          kPt = 0xd000;
inline constexpr uint64_t kVa = 5ull << 48 | 4ull << 39 | 3ull << 30 | 2ull << 21 | 1ull << 12 |
                                0xabc;
inline constexpr uint64_t kVa48 = kVa & ((1ull << 48) - 1);
inline constexpr uint64_t kPml5e = kPml5 + 5 * 8, kPml4e = kPml4 + 4 * 8, kPdpte = kPdpt + 3 * 8;
inline constexpr uint64_t kPde = kPd + 2 * 8, kPte = kPt + 1 * 8;
inline constexpr uint64_t kPage = 0x1234567000;

inline Machine four_level() {
    Machine m;
    m.state = {.cr0 = kPe | kPg | kWp, .cr3 = kPml4, .cr4 = kPae, .efer = kLme | kLma | kNxe};
    m.memory.put(kPml4e, kPdpt | kPWU);
    m.memory.put(kPdpte, kPd | kPWU);
    m.memory.put(kPde, kPt | kPWU);
    m.memory.put(kPte, kPage | kPWU);
    return m;
}

inline Machine five_level() {
    Machine m = four_level();
    m.state.cr4 |= kLa57;
    m.state.cr3 = kPml5;
    m.memory.put(kPml5e, kPml4 | kPWU);
    return m;
}

// PAE: the PDPT need only be 32-byte aligned.
inline constexpr uint64_t kPaeVa = 3u << 30 | 2u << 21 | 1u << 12 | 0xabc;
inline constexpr uint64_t kPaePdpt = 0xb0e0, kPaePdpte = kPaePdpt + 3 * 8;

inline Machine pae() {
    Machine m;
    m.state = {.cr0 = kPe | kPg | kWp, .cr3 = kPaePdpt, .cr4 = kPae, .efer = kNxe};
    m.memory.put(kPaePdpte, kPd | kP);
    m.memory.put(kPde, kPt | kPWU);
    m.memory.put(kPte, kPage | kPWU);
    return m;
}

inline constexpr uint64_t kVa32 = 0x201u << 22 | 0x103u << 12 | 0xabc;
inline constexpr uint64_t kPde32 = kPd + 0x201 * 4, kPte32 = kPt + 0x103 * 4;

inline Machine bits32() {
    Machine m;
    m.state = {.cr0 = kPe | kPg | kWp, .cr3 = kPd, .cr4 = kPse};
    m.memory.put32(kPde32, kPt | kPWU);
    m.memory.put32(kPte32, 0x89abc000 | kPWU);
    return m;
}

// Each level that holds an entry on the way to kVa, with what that entry points to.
struct OnTheWay {
    uint64_t slot;
    uint64_t target;
    Level level;
};
inline const OnTheWay kWay[] = {{kPml5e, kPml4, Level::Pml5},
                                {kPml4e, kPdpt, Level::Pml4},
                                {kPdpte, kPd, Level::Pdpt},
                                {kPde, kPt, Level::Pd},
                                {kPte, kPage, Level::Pt}};

// With a C-bit, in every entry on that way.
inline Machine encrypted(Machine m) {
    m.state.c_bit = kCBit;
    m.state.phys_bits = 43;
    m.state.cr3 |= kCBit;
    for (const OnTheWay& at : kWay)
        m.memory.put(at.slot, at.target | kPWU | kCBit);
    return m;
}

} // namespace prologue::test::hand_laid
