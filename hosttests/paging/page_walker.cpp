#include "page_walker.h"

#include <algorithm>
#include <bit>
#include <ostream>

namespace prologue::test {
namespace {

constexpr uint64_t bit(unsigned n) {
    return uint64_t{1} << n;
}

// Bits high:low, both inclusive; none when high < low.
constexpr uint64_t bits(unsigned high, unsigned low) {
    return high < low ? 0 : (~uint64_t{0} >> (63 - high)) & (~uint64_t{0} << low);
}

// SDM 2.5 "Control Registers", 2.2.1 "Extended Feature Enable Register".
constexpr uint64_t kCr0Pe = bit(0);
constexpr uint64_t kCr0Wp = bit(16);
constexpr uint64_t kCr0Pg = bit(31);
constexpr uint64_t kCr4Pse = bit(4);
constexpr uint64_t kCr4Pae = bit(5);
constexpr uint64_t kCr4La57 = bit(12);
constexpr uint64_t kCr4Pcide = bit(17);
constexpr uint64_t kEferLme = bit(8);
constexpr uint64_t kEferLma = bit(10);
constexpr uint64_t kEferNxe = bit(11);

// SDM figures 4-4, 4-7 and 4-11: the same places in every format.
constexpr uint64_t kPresent = bit(0);
constexpr uint64_t kWritable = bit(1);
constexpr uint64_t kUser = bit(2);
constexpr uint64_t kPwt = bit(3);
constexpr uint64_t kPcd = bit(4);
constexpr uint64_t kPageSize = bit(7);
constexpr uint64_t kPatSmall = bit(7); // in a PTE, where there is no page size to tell
constexpr uint64_t kGlobal = bit(8);
constexpr uint64_t kPatLarge = bit(12);
constexpr uint64_t kNoExecute = bit(63);

constexpr uint64_t kAddress = bits(51, 12);
constexpr uint64_t kCr3Address32 = bits(31, 12);
constexpr uint64_t kPaeCr3Address = bits(31, 5); // SDM table 4-7: PDPTs are 32-byte aligned
constexpr uint64_t kPaePdptes = 4;

constexpr unsigned kPageShift = 12;
constexpr unsigned kIndexBits = 9;
constexpr unsigned kIndexBits32 = 10;
constexpr uint64_t kEntryBytes = 8;
constexpr uint64_t kEntryBytes32 = 4;
constexpr uint64_t k4GiB = bit(32);
constexpr unsigned kArchPhysBits = 52;
constexpr unsigned kPse36PhysBits = 40; // as far as a 4 MiB page reaches

// --- The tree: one state and its memory -------------------------------------------------

struct Tree {
    const PagingState& state;
    const ReadPhys& memory;
    Mode mode;
};

// One entry that the walk has come to.
struct Slot {
    Level level;
    uint64_t phys;
    uint64_t va;
    uint64_t entry = 0;
};

Fault blame(FaultKind kind, const Slot& slot) {
    return {kind, slot.level, slot.entry, slot.phys, slot.va};
}

bool is_long(Mode mode) {
    return mode == Mode::FourLevel || mode == Mode::FiveLevel;
}

Level below(Level level) {
    return static_cast<Level>(static_cast<unsigned>(level) - 1);
}

// The lowest bit of a linear address that this level's index takes: its entries' reach.
unsigned index_shift(Mode mode, Level level) {
    const unsigned width = mode == Mode::Bits32 ? kIndexBits32 : kIndexBits;
    return kPageShift + width * (static_cast<unsigned>(level) - 1);
}

uint64_t entry_reach(Mode mode, Level level) {
    return bit(index_shift(mode, level));
}

uint64_t entry_offset(Mode mode, Level level, uint64_t va) {
    const bool narrow = mode == Mode::Bits32;
    const uint64_t index_mask = bit(narrow ? kIndexBits32 : kIndexBits) - 1;
    return ((va >> index_shift(mode, level)) & index_mask) * (narrow ? kEntryBytes32 : kEntryBytes);
}

Level root_level(Mode mode) {
    switch (mode) {
    case Mode::Bits32:
        return Level::Pd;
    case Mode::Pae:
        return Level::Pdpt;
    case Mode::FourLevel:
        return Level::Pml4;
    case Mode::FiveLevel:
        return Level::Pml5;
    case Mode::Flat:
    case Mode::Impossible:
        break;
    }
    return Level::None;
}

uint64_t root_table(const Tree& tree) {
    switch (tree.mode) {
    case Mode::Bits32:
        return tree.state.cr3 & kCr3Address32; // SDM table 4-3
    case Mode::Pae:
        return tree.state.cr3 & kPaeCr3Address;
    default:
        return tree.state.cr3 & kAddress & ~tree.state.c_bit;
    }
}

// False when the entry lies outside known memory.
bool read_entry(const Tree& tree, Slot& slot) {
    const std::optional<uint64_t> word = tree.memory(slot.phys & ~(kEntryBytes - 1));
    if (!word)
        return false;
    const bool narrow = tree.mode == Mode::Bits32;
    const bool upper_half = slot.phys & kEntryBytes32;
    slot.entry = !narrow ? *word : upper_half ? *word >> 32 : *word & bits(31, 0);
    return true;
}

// The same mask serves 32-bit entries: they were read without an upper half.
uint64_t entry_address(const Tree& tree, const Slot& slot) {
    return slot.entry & kAddress & ~tree.state.c_bit;
}

bool is_leaf(const Tree& tree, const Slot& slot) {
    if (slot.level == Level::Pt)
        return true;
    if (!(slot.entry & kPageSize))
        return false;
    if (slot.level == Level::Pd) {
        // Without CR4.PSE the bit is ignored, but only in 32-bit paging (SDM 4.3).
        return tree.mode != Mode::Bits32 || (tree.state.cr4 & kCr4Pse);
    }
    return slot.level == Level::Pdpt && is_long(tree.mode);
}

// --- Reserved bits (SDM 4.7: a walk that meets one in a present entry faults) -------------

// In 32-bit paging only a 4 MiB page has any. PSE-36 puts address bits 39:32 at 20:13, as
// many of them as the CPU has; the rest up to 21 are reserved (SDM table 4-4).
uint64_t reserved_in_4m_page(const PagingState& state) {
    return bits(21, std::min(state.phys_bits, kPse36PhysBits) - 19);
}

// From MAXPHYADDR up there are no address bits, save the C-bit, which lies where it likes.
uint64_t reserved_address_bits(const PagingState& state, unsigned high) {
    return bits(high, state.phys_bits) & ~state.c_bit;
}

// A PAE PDPTE has neither rights, nor page size, nor NX (SDM table 4-8).
uint64_t reserved_in_pae_pdpte(const PagingState& state) {
    return bits(2, 1) | bits(8, 5) | reserved_address_bits(state, 63);
}

// What PAE, four-level and five-level entries have in common. PAE ignores no bit above the
// address (SDM tables 4-9 to 4-11: 62:M); the long formats ignore 62:52 (4-14 to 4-20).
uint64_t reserved_in_64bit_entry(const Tree& tree, const Slot& slot) {
    uint64_t reserved = reserved_address_bits(tree.state,
                                              is_long(tree.mode) ? kArchPhysBits - 1 : 62);
    if (!(tree.state.efer & kEferNxe))
        reserved |= kNoExecute;
    if (slot.level >= Level::Pml4) {
        // Page size is reserved for all; global (bit 8) Intel ignores, but AMD does not
        // (APM 5.3.3, PML4E and PML5E: 8:7 must be zero).
        reserved |= kPageSize | kGlobal;
    }
    if (slot.level == Level::Pdpt && !tree.state.has_1g_pages)
        reserved |= kPageSize;
    if (is_leaf(tree, slot)) {
        // Between PAT and the page's own address bits: none in a PTE.
        reserved |= bits(index_shift(tree.mode, slot.level) - 1, 13);
    }
    return reserved;
}

uint64_t reserved_bits(const Tree& tree, const Slot& slot) {
    if (tree.mode == Mode::Bits32) {
        const bool large = slot.level == Level::Pd && is_leaf(tree, slot);
        return large ? reserved_in_4m_page(tree.state) : 0;
    }
    if (tree.mode == Mode::Pae && slot.level == Level::Pdpt)
        return reserved_in_pae_pdpte(tree.state);
    return reserved_in_64bit_entry(tree, slot);
}

// --- Checks of what the walk meets --------------------------------------------------------

// SEV hardware walks every table as private, whatever the pointer says (APM 15.34.5). A
// pointer without the C-bit is a mistake all the same: the next one to follow it in
// software, or to clone it, reads ciphertext. 32-bit entries have no room for the bit.
bool lacks_c_bit(const Tree& tree, uint64_t pointer) {
    return tree.mode != Mode::Bits32 && tree.state.c_bit && !(pointer & tree.state.c_bit);
}

std::optional<Fault> check_format(const Tree& tree, const Slot& slot) {
    if (slot.entry & reserved_bits(tree, slot))
        return blame(FaultKind::ReservedBit, slot);
    if (!is_leaf(tree, slot) && lacks_c_bit(tree, slot.entry)) {
        return blame(FaultKind::MissingCBit, slot);
    }
    return std::nullopt;
}

// MOV to CR3 itself raises #GP for bits above MAXPHYADDR (SDM table 4-12).
std::optional<Fault> check_long_cr3(const Tree& tree, uint64_t va) {
    const uint64_t cr3 = tree.state.cr3;
    if (cr3 & reserved_address_bits(tree.state, 63)) {
        return Fault{FaultKind::ReservedBit, Level::Cr3, cr3, 0, va};
    }
    if (lacks_c_bit(tree, cr3))
        return Fault{FaultKind::MissingCBit, Level::Cr3, cr3, 0, va};
    return std::nullopt;
}

// Intel loads all four PDPTEs with CR3 and raises #GP for a bad one (SDM 4.4.1), so the one
// that the address does not use matters too.
std::optional<Fault> check_pae_pdptes(const Tree& tree, uint64_t va) {
    for (uint64_t i = 0; i < kPaePdptes; ++i) {
        Slot slot{Level::Pdpt, root_table(tree) + i * kEntryBytes, va};
        if (!read_entry(tree, slot))
            return blame(FaultKind::TableOutsideMemory, slot);
        if (!(slot.entry & kPresent))
            continue;
        if (slot.entry & reserved_bits(tree, slot))
            return blame(FaultKind::ReservedBit, slot);
    }
    return std::nullopt;
}

std::optional<Fault> check_root(const Tree& tree, uint64_t va) {
    if (is_long(tree.mode))
        return check_long_cr3(tree, va);
    if (tree.mode == Mode::Pae)
        return check_pae_pdptes(tree, va);
    return std::nullopt;
}

// SDM vol. 1, 3.3.7.1; and linear addresses have 32 bits outside of IA-32e mode.
bool is_canonical(Mode mode, uint64_t va) {
    if (!is_long(mode))
        return va < k4GiB;
    const uint64_t sign = mode == Mode::FiveLevel ? bits(63, 56) : bits(63, 47);
    return (va & sign) == 0 || (va & sign) == sign;
}

uint64_t canonical(Mode mode, uint64_t va) {
    const unsigned unused = mode == Mode::FiveLevel ? 7 : 16;
    return static_cast<uint64_t>(static_cast<int64_t>(va << unused) >> unused);
}

// --- Rights (SDM 4.6): what every entry on the way grants ---------------------------------

// For each right, the first entry that withholds it.
struct Denials {
    std::optional<Slot> write;
    std::optional<Slot> user;
    std::optional<Slot> execute;
};

void note_denials(const Tree& tree, const Slot& slot, Denials& denials) {
    // A PAE PDPTE has no rights to withhold.
    if (tree.mode == Mode::Pae && slot.level == Level::Pdpt)
        return;
    if (!denials.write && !(slot.entry & kWritable))
        denials.write = slot;
    if (!denials.user && !(slot.entry & kUser))
        denials.user = slot;
    // Without EFER.NXE the bit is reserved and check_format has refused it already.
    if (!denials.execute && (slot.entry & kNoExecute))
        denials.execute = slot;
}

// CR0.WP binds only the supervisor; user mode never writes to a read-only page.
bool may_write(const Tree& tree, const Denials& denials, bool user) {
    const bool overrides = !user && !(tree.state.cr0 & kCr0Wp);
    return overrides || !denials.write;
}

std::optional<Fault> check_access(const Tree& tree, const Denials& denials, Access access,
                                  bool user) {
    if (user && denials.user)
        return blame(FaultKind::User, *denials.user);
    if (access == Access::Write && !may_write(tree, denials, user)) {
        return blame(FaultKind::Write, *denials.write);
    }
    if (access == Access::Execute && denials.execute) {
        return blame(FaultKind::Execute, *denials.execute);
    }
    return std::nullopt;
}

// --- The leaf -----------------------------------------------------------------------------

uint64_t page_address(const Tree& tree, const Slot& leaf) {
    const uint64_t within = entry_reach(tree.mode, leaf.level) - 1;
    const uint64_t base = entry_address(tree, leaf) & ~within;
    const bool pse36 = tree.mode == Mode::Bits32 && leaf.level == Level::Pd;
    // Bits 20:13 of a 4 MiB page are address bits 39:32 (SDM table 4-4).
    return pse36 ? base | (leaf.entry & bits(20, 13)) >> 13 << 32 : base;
}

Translation translate(const Tree& tree, const Slot& leaf, const Denials& denials, bool user) {
    const uint64_t page_bytes = entry_reach(tree.mode, leaf.level);
    const uint64_t pat = leaf.level == Level::Pt ? kPatSmall : kPatLarge;
    const uint64_t c_bit = tree.state.c_bit;
    return {
        .pa = page_address(tree, leaf) | (leaf.va & (page_bytes - 1)),
        .page_bytes = page_bytes,
        .writable = may_write(tree, denials, user),
        .user = !denials.user,
        .executable = !denials.execute,
        .pwt = (leaf.entry & kPwt) != 0,
        .pcd = (leaf.entry & kPcd) != 0,
        .pat = (leaf.entry & pat) != 0,
        // An entry without room for the C-bit maps private memory.
        .encrypted = tree.mode == Mode::Bits32 ? c_bit != 0 : (leaf.entry & c_bit) != 0,
    };
}

Translation flat(const PagingState& state, uint64_t va) {
    return {.pa = va,
            .page_bytes = k4GiB,
            .writable = true,
            .user = true,
            .executable = true,
            .encrypted = state.c_bit != 0};
}

// --- Walking all of it --------------------------------------------------------------------

std::optional<Fault> visit_table(const Tree& tree, Level level, uint64_t table, uint64_t base_va,
                                 const Denials& inherited, const LeafCallback& callback);

std::optional<Fault> visit_entry(const Tree& tree, Slot slot, Denials denials,
                                 const LeafCallback& callback) {
    if (!read_entry(tree, slot))
        return blame(FaultKind::TableOutsideMemory, slot);
    if (!(slot.entry & kPresent))
        return std::nullopt;
    if (auto fault = check_format(tree, slot))
        return fault;
    note_denials(tree, slot, denials);
    if (!is_leaf(tree, slot)) {
        return visit_table(tree, below(slot.level), entry_address(tree, slot), slot.va, denials,
                           callback);
    }
    const Translation page = translate(tree, slot, denials, /*user=*/false);
    callback(slot.va, page.pa, page.page_bytes, page.writable, page.executable, page.user);
    return std::nullopt;
}

std::optional<Fault> visit_table(const Tree& tree, Level level, uint64_t table, uint64_t base_va,
                                 const Denials& inherited, const LeafCallback& callback) {
    for (uint64_t i = 0; i < bit(kIndexBits); ++i) {
        const uint64_t va = canonical(tree.mode, base_va + i * entry_reach(tree.mode, level));
        const Slot slot{level, table + i * kEntryBytes, va};
        if (auto fault = visit_entry(tree, slot, inherited, callback))
            return fault;
    }
    return std::nullopt;
}

// --- Sane states --------------------------------------------------------------------------

// The test's own mistakes: 51 for 1 << 51 would otherwise pass for six odd bits.
bool is_sane(const PagingState& state) {
    const bool c_bit_ok = state.c_bit == 0 ||
                          (std::has_single_bit(state.c_bit) && (state.c_bit & bits(51, 32)));
    return state.phys_bits >= 32 && state.phys_bits <= kArchPhysBits && c_bit_ok;
}

const char* sentence(FaultKind kind) {
    switch (kind) {
    case FaultKind::NonCanonical:
        return "the address is not canonical in this mode";
    case FaultKind::NotPresent:
        return "the entry is not present";
    case FaultKind::Write:
        return "the entry denies writes";
    case FaultKind::User:
        return "the entry denies user mode";
    case FaultKind::Execute:
        return "the entry denies execution";
    case FaultKind::ReservedBit:
        return "a reserved bit is set";
    case FaultKind::TableOutsideMemory:
        return "the table lies outside known memory";
    case FaultKind::MissingCBit:
        return "the pointer to a table lacks the C-bit";
    case FaultKind::BadMode:
        return "no walk in this mode";
    }
    return "?";
}

} // namespace

// SDM 4.1.1 and 4.1.2. LA57 does nothing outside of IA-32e mode; PCIDE cannot be set there.
Mode paging_mode(const PagingState& state) {
    const bool paging = state.cr0 & kCr0Pg;
    const bool lme = state.efer & kEferLme;
    const bool long_mode = paging && lme;
    if (!is_sane(state))
        return Mode::Impossible;
    if ((state.efer & kEferLma) && !long_mode)
        return Mode::Impossible;
    if ((state.cr4 & kCr4Pcide) && !long_mode)
        return Mode::Impossible;
    if (!paging)
        return Mode::Flat;
    if (!(state.cr0 & kCr0Pe))
        return Mode::Impossible;
    if (!(state.cr4 & kCr4Pae))
        return lme ? Mode::Impossible : Mode::Bits32;
    if (!lme)
        return Mode::Pae;
    return state.cr4 & kCr4La57 ? Mode::FiveLevel : Mode::FourLevel;
}

WalkResult walk(const PagingState& state, const ReadPhys& memory, uint64_t va, Access access,
                bool user) {
    const Tree tree{state, memory, paging_mode(state)};
    if (tree.mode == Mode::Impossible)
        return Fault{.kind = FaultKind::BadMode, .va = va};
    if (!is_canonical(tree.mode, va))
        return Fault{.kind = FaultKind::NonCanonical, .va = va};
    if (tree.mode == Mode::Flat)
        return flat(state, va);
    if (auto fault = check_root(tree, va))
        return *fault;

    Denials denials;
    uint64_t table = root_table(tree);
    for (Level level = root_level(tree.mode);; level = below(level)) {
        Slot slot{level, table + entry_offset(tree.mode, level, va), va};
        if (!read_entry(tree, slot))
            return blame(FaultKind::TableOutsideMemory, slot);
        if (!(slot.entry & kPresent))
            return blame(FaultKind::NotPresent, slot);
        if (auto fault = check_format(tree, slot))
            return *fault;
        note_denials(tree, slot, denials);
        if (is_leaf(tree, slot)) {
            // Rights are judged last: a hole or a bad bit further down comes first (SDM 4.7).
            if (auto fault = check_access(tree, denials, access, user))
                return *fault;
            return translate(tree, slot, denials, user);
        }
        table = entry_address(tree, slot);
    }
}

std::optional<Fault> for_each_leaf(const PagingState& state, const ReadPhys& memory,
                                   const LeafCallback& callback) {
    const Tree tree{state, memory, paging_mode(state)};
    if (!is_long(tree.mode))
        return Fault{.kind = FaultKind::BadMode};
    if (auto fault = check_root(tree, 0))
        return fault;
    return visit_table(tree, root_level(tree.mode), root_table(tree), 0, {}, callback);
}

std::ostream& operator<<(std::ostream& out, Level level) {
    constexpr const char* kNames[] = {"none", "pt", "pd", "pdpt", "pml4", "pml5", "cr3"};
    return out << kNames[static_cast<unsigned>(level)];
}

std::ostream& operator<<(std::ostream& out, const Fault& fault) {
    const std::ios_base::fmtflags flags = out.flags();
    out << std::hex << std::showbase << "va " << fault.va << ": " << sentence(fault.kind);
    if (fault.level != Level::None) {
        out << " (" << fault.level << " entry " << fault.entry << " at " << fault.entry_phys << ")";
    }
    out.flags(flags);
    return out;
}

std::ostream& operator<<(std::ostream& out, const Translation& page) {
    const std::ios_base::fmtflags flags = out.flags();
    out << std::hex << std::showbase << "pa " << page.pa << " in a page of " << page.page_bytes
        << ":" << (page.writable ? " writable" : "") << (page.executable ? " executable" : "")
        << (page.user ? " user" : "") << (page.pwt ? " pwt" : "") << (page.pcd ? " pcd" : "")
        << (page.pat ? " pat" : "") << (page.encrypted ? " encrypted" : "");
    out.flags(flags);
    return out;
}

} // namespace prologue::test
