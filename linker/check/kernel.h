// A kernel's file and what it means: its headers for loaders, its wishes, and
// whether Prologue is in it. What the rules are applied to.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "elf_file.h"
#include "findings.h"
#include "prologue/wishes.h"

namespace check {

// Where Multiboot headers of one version are in the file. A valid one's words add
// up to zero.
struct HeaderPlaces {
    std::vector<uint64_t> valid;      // anywhere, aligned or not
    std::vector<uint64_t> unbalanced; // aligned, but not valid

    // What a loader takes that looks at this many bytes in steps of `alignment`, for
    // a header of so many bytes.
    std::optional<uint64_t> taken(uint64_t reach, uint64_t alignment, uint64_t bytes) const;
    // How many it could have taken.
    unsigned candidates(uint64_t reach, uint64_t alignment, uint64_t bytes) const;
};

// How far loaders look, and for how many bytes at least.
inline constexpr uint64_t kMultiboot1Reach = 8192, kMultiboot1Alignment = 4;
inline constexpr uint64_t kMultiboot2Reach = 32768, kMultiboot2Alignment = 8;
inline constexpr uint64_t kGrubHeaderBytes = 12, kQemuHeaderBytes = 48;

// What vmd and FreeBSD's loaders leave of e_entry.
inline constexpr uint64_t kVmdEntryMask = 0xfffffff, kFreebsdEntryMask = 0xffffff;

// Where Linux's protocol has the entry of 64-bit mode.
inline constexpr uint64_t kLinux64Entry = 0x200;

struct Window {
    uint64_t virt, phys, bytes, rights;
};

// What the notes say; where they say nothing, Prologue's defaults.
struct Wishes {
    uint64_t paging = PROLOGUE_PAGING_FOUR;
    uint64_t stack = PROLOGUE_STACK_DEFAULT;
    std::optional<uint64_t> direct_map;
    std::optional<std::pair<uint64_t, uint64_t>> identity_map; // end, start
    std::vector<Window> windows;
    bool relocatable = false;
    bool writable_text = false;
    bool qemu_exit = false;
    bool boot_services = false;
    uint64_t headers = PROLOGUE_HEADER_pvh | PROLOGUE_HEADER_multiboot2;

    std::vector<std::pair<Rule, std::string>> mistakes; // of the notes themselves

    bool for_mappings() const {
        return direct_map || identity_map || !windows.empty() || writable_text;
    }
};

// One of Prologue's types of note.
struct WishKind {
    uint32_t type;
    std::string_view name;
    std::vector<unsigned> fields; // bytes of each
};
const WishKind* wish_kind(uint32_t type);

struct Kernel : Candidate {
    explicit Kernel(ElfFile file);

    ElfFile file;
    Wishes wishes;
    bool has_prologue;
    std::vector<Note> pvh_notes; // Prologue's own first, if symbols tell
    HeaderPlaces multiboot1, multiboot2;

    // Is what stands there in the file the header of that symbol, as far as symbols tell?
    bool is_own_header(uint64_t offset, std::string_view symbol) const;

    std::optional<uint64_t> multiboot1_header(LoaderId loader) const;
    std::optional<uint64_t> multiboot2_header() const;

    bool carries(Contract contract) const override;
    Loaders carried_loaders() const;
    std::optional<uint64_t> entry(LoaderId loader) const override;
};

std::vector<Note> find_pvh_notes(const ElfFile& file);
HeaderPlaces find_multiboot1(const ElfFile& file);
HeaderPlaces find_multiboot2(const ElfFile& file);
Wishes read_wishes(const ElfFile& file);

inline constexpr uint32_t kPvhNote = 18; // Xen public/elfnote.h: PHYS32_ENTRY

// The header's fields (Multiboot Specification 0.6.96, section 3.1).
struct Multiboot1Header {
    uint32_t flags, header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr;
    bool has_addresses() const { return (flags & 1 << 16) != 0; }
};
Multiboot1Header multiboot1_fields(const ElfFile& file, uint64_t offset);

// What matters of the header's tags (Multiboot2 Specification 2.0, section 3.1).
struct Multiboot2Header {
    struct Range {
        uint32_t lowest, highest, alignment, preference;
    };
    std::optional<Range> range;
    std::optional<uint32_t> entry;
    bool has_address_tag = false;
    std::string mistake;              // the first tag that makes no sense
    std::vector<std::string> unknown; // what is demanded that GRUB does not know
};
Multiboot2Header multiboot2_fields(const ElfFile& file, uint64_t offset);

} // namespace check
