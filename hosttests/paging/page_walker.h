// A software page walk, to hold the page-table builders against.
//
// Written from the manuals and from nothing else in this tree: it shares no
// constant with the code under test, so a wrong bit cannot agree with itself.
//
//   SDM: Intel SDM vol. 3A, chapter 4 "Paging" (chapter 5 since the 2024 editions;
//        only the chapter number moved).
//   APM: AMD APM vol. 2, chapter 5 "Page Translation", and 15.34 "SEV".
//
// Where the vendors differ, an entry must please both.
//
// Not modelled: SMEP, SMAP, protection keys, shadow stacks, LAM, HLAT, and the
// accessed and dirty bits. A supervisor may therefore touch and run user pages here,
// and bits 62:61 of CR3 (LAM) count as reserved.

#pragma once

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <optional>
#include <variant>

namespace prologue::test {

// What the CPU knows when it walks.
struct PagingState {
    uint64_t cr0 = 0;
    uint64_t cr3 = 0;
    uint64_t cr4 = 0;
    uint64_t efer = 0;        // LMA may be left out: it is LME once paging is on
    unsigned phys_bits = 52;  // MAXPHYADDR, 32 to 52; 32 also means no PSE-36
    bool has_1g_pages = true; // CPUID 80000001:EDX[26]
    uint64_t c_bit = 0;       // a mask of one bit of 51:32; 0 without encryption
};

enum class Mode {
    Flat,       // paging off
    Bits32,     // CR0.PG
    Pae,        // and CR4.PAE
    FourLevel,  // and EFER.LME
    FiveLevel,  // and CR4.LA57
    Impossible, // no CPU can be in this state
};

// A table, by the rank of its entries: a leaf at `Pd` is a 2 or 4 MiB page.
enum class Level : unsigned { None = 0, Pt, Pd, Pdpt, Pml4, Pml5, Cr3 };

enum class Access { Read, Write, Execute };

enum class FaultKind {
    NonCanonical, // also: above 4 GiB where linear addresses have 32 bits
    NotPresent,
    Write,
    User,
    Execute,
    ReservedBit, // in an entry, in CR3, or in any PAE PDPTE
    TableOutsideMemory,
    MissingCBit, // CR3 or a table pointer, when there is a C-bit
    BadMode,
};

// `level`, `entry` and `entry_phys` name the entry that is to blame; for a right, the
// highest entry that withholds it. NonCanonical and BadMode blame none. The `entry` of
// TableOutsideMemory is 0, for it could not be read; that of CR3 has no `entry_phys`.
struct Fault {
    FaultKind kind = FaultKind::BadMode;
    Level level = Level::None;
    uint64_t entry = 0;
    uint64_t entry_phys = 0;
    uint64_t va = 0; // from for_each_leaf: the lowest address that the entry covers
    bool operator==(const Fault&) const = default;
};

// Rights are those of the walker's `user` argument in this PagingState: with CR0.WP
// clear, everything is writable to the supervisor.
struct Translation {
    uint64_t pa = 0;
    uint64_t page_bytes = 0; // 4K, 2M, 4M or 1G; for Flat all 4G
    bool writable = false;
    bool user = false;
    bool executable = false;
    bool pwt = false;
    bool pcd = false;
    bool pat = false;
    bool encrypted = false; // C-bit in the leaf; always, under Flat and Bits32 (APM 15.34.5)
    bool operator==(const Translation&) const = default;
};

using WalkResult = std::variant<Translation, Fault>;

// Reads 8 bytes of physical memory at an 8-byte boundary; nullopt where there is none.
// The walker takes 4-byte entries out of such a read. Addresses come without C-bit.
using ReadPhys = std::function<std::optional<uint64_t>(uint64_t phys)>;

using LeafCallback = std::function<void(uint64_t va, uint64_t pa, uint64_t bytes, bool writable,
                                        bool executable, bool user)>;

Mode paging_mode(const PagingState& state);

WalkResult walk(const PagingState& state, const ReadPhys& memory, uint64_t va, Access access,
                bool user);

// Calls `callback` for every present leaf of a 4- or 5-level tree, in the order of unsigned
// `va`, with the supervisor's rights. Aliases show as leaves with equal `pa`. Stops at the
// first malformed entry and returns it: only nullopt means that the whole tree was seen.
// BadMode for any other mode.
[[nodiscard]] std::optional<Fault> for_each_leaf(const PagingState& state, const ReadPhys& memory,
                                                 const LeafCallback& callback);

// For gtest's messages, and for those of audits.
std::ostream& operator<<(std::ostream& out, Level level);
std::ostream& operator<<(std::ostream& out, const Fault& fault);
std::ostream& operator<<(std::ostream& out, const Translation& page);

} // namespace prologue::test
