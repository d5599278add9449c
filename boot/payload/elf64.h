// A payload's ELF file, as the loader left it in memory. Source: System V ABI, "Object files"
// and its supplements for i386 and AMD64; Xen public/elfnote.h.
//
// The rule for where segments belong: at p_paddr, which is believed as it stands, but for a
// PIE: see slide().
#pragma once
#pragma GCC visibility push(hidden)

#include "contract.h"
#include "image.h"
#include "multiboot_header.h"
#include "prologue/wishes.h"

namespace prologue {

struct PayloadSegment {
    uint64_t file_offset, file_bytes;
    uint64_t virt, phys, bytes;
    bool writable, executable;
    uint8_t index; // of its program header

    constexpr Span pages() const { return {page_down(phys), page_up(phys + bytes)}; }
};

struct ElfPayload {
    uint64_t entry = 0;
    Contract contract = Contract::none;
    uint64_t pvh_entry = 0; // what PVH's note names; 0 where there is none
    MultibootHeader multiboot;
    uint32_t paging = PROLOGUE_PAGING_FOUR; // by the note of PROLOGUE_WISH_PAGING
    bool is_pie = false; // ET_DYN: it runs wherever its relocations are applied for
    Span dynamic;        // of the file: what a PIE's PT_DYNAMIC says
    unsigned count = 0;
    PayloadSegment segments[kMostSegments];

    const PayloadSegment* begin() const { return segments; }
    const PayloadSegment* end() const { return segments + count; }
    bool is_mapped() const { return is_mapped_by(contract); }
    Span virtual_span() const;       // in whole pages
    Span physical_span() const;      // of a PIE: all of it, in whole pages
    uint64_t physical_entry() const; // of 32-bit code: refused where it is in no segment

    // 64-bit code: refused where it is in no executable segment.
    void enter_at(uint64_t virt);

    // Above it the contract has no numbers for modules.
    uint64_t module_limit() const {
        return contract == Contract::multiboot1 || contract == Contract::multiboot2 ||
                       contract == Contract::multiboot2_64
                   ? 4 * kGiB - kPage
                   : kMostPhysical;
    }

    // It is elsewhere than it was linked to be, by these distances.
    void slide(uint64_t virt, uint64_t phys);
};

bool is_elf(const uint8_t* file, uint64_t bytes);

// Refuses, by name, what is not a static ELF for x86, in the class that its contract wants, or
// does not lie in the file. A PIE is taken only if it is mapped. One that is mapped has segments
// that are not writable and executable, ascend in pages of their own and are all at one distance
// from physical to virtual, and an entry that can be executed; with other contracts it lies in a
// segment. Of a Limine kernel p_paddr means nothing.
//
// The contract is the first of contract.h's that the image asks for, if none is wished for.
ElfPayload read_elf(const uint8_t* file, uint64_t bytes, Contract wished = Contract::none);

// The same of a file of any other format, by the address fields of a Multiboot header.
bool has_multiboot_header(const uint8_t* file, uint64_t bytes);
ElfPayload read_flat(const uint8_t* file, uint64_t bytes, Contract wished = Contract::none);

} // namespace prologue

#pragma GCC visibility pop
