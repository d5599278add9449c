// The way from the loader image to a payload: what belongs where, what must give way to it,
// and the memory that nothing of both touches, where all that is made for the payload lies.
//
// First all places of the payload's are claimed, then rooms are taken, then it goes.
#pragma once
#pragma GCC visibility push(hidden)

#include "bytes.h"
#include "departure.h"
#include "memory_map.h"
#include "page_tables.h"
#include "payload/elf64.h"
#include "payload/mover.h"

namespace prologue {

class Way {
public:
    explicit Way(prologue_handoff& handoff)
        : handoff_(handoff),
          rooms_(handoff.memory, handoff.memory_count) {}

    const prologue_handoff& handoff() const { return handoff_; }
    template <class T = uint8_t>
    T* seen(uint64_t phys) const {
        return reinterpret_cast<T*>(handoff_.direct_map + phys);
    }
    uint64_t phys_of(const void* seen) const {
        return reinterpret_cast<uint64_t>(seen) - handoff_.direct_map;
    }

    // Pages that will be the payload's: refuses what is no RAM.
    void claim(Span pages);
    bool is_claimed(Span span) const;
    bool can_claim(Span pages) const { return rooms_.obstacle(pages).bytes() == 0; }
    const Rooms& rooms() const { return rooms_; }
    void keep(Span span) { rooms_.keep(span); }
    void move(Move move) { mover_.add(move); }
    void clear(Span span);

    // Zeroed pages; and of objects, that the payload sees where this image does.
    Span room(uint64_t bytes, uint64_t limit = 4 * kGiB);
    template <class T>
    T* objects(uint64_t count = 1) {
        return seen<T>(room(count * sizeof(T)).start);
    }
    template <class T>
    T* copy(const T* from, uint64_t bytes);

    // All modules but the payload, those that lie on claimed pages or above the limit where they
    // will be. Their strings are copies.
    prologue_module* place_modules(bool page_aligned = false, uint64_t limit = kMostPhysical);
    uint64_t module_count() const { return handoff_.module_count - 1; }

    // What a handoff's copy points to in memory that is given back, or may be written over, is
    // copied; but for its lists.
    void copy_what_is_pointed_to(prologue_handoff& handoff);

    // The memory map when the payload runs, all rooms that are taken till then marked.
    MemoryMap memory(const prologue_module* modules);

    // Tables in a room of their own, enough for what the payload sees.
    PageTables payload_tables(TablePages& pages);

    // Makes this image's own pages small in its direct map.
    void make_small(Span span);

    // This image goes on with five levels, at the same addresses; false where the CPU has four,
    // and in an SEV guest, which stays as it was entered.
    bool deepen();

    // Those on which it all moves, for CR3: RAM and the first MiB at their own addresses, and
    // this image where it runs, in a copy that nothing moves over: exceptions are reported still.
    uint64_t moving_tables();
    uint64_t cr3_of(const PageTables& tables) const {
        return tables.root() | handoff_.sev.c_bit_mask;
    }

    // ---- In an SEV guest (sev_way.cpp); elsewhere they change nothing. ----

    // Refuses a contract that has no word for the C-bit.
    void check_contract(Contract contract) const;
    // What a payload gets that knows of SEV by its handoff: the page that it shares with its host,
    // which is another if it is to lie there itself, shared in its tables too; SNP's pages.
    void keep_sev_pages(prologue_handoff& handoff);
    void show_ghcb(PageTables& tables, uint64_t direct_map, uint64_t bytes) const;
    // No page is shared any more when the payload runs.
    void give_back_ghcb() { gives_back_ghcb_ = handoff_.sev.ghcb_phys != 0; }
    // A page of SNP's own is copied, and a secret cleared, if its memory is given back.
    void keep_snp_page(uint64_t& phys, bool is_secret);

    Departure& departure();
    Span code_page() const { return {departure_.start, departure_.start + kPage}; }
    [[noreturn]] void go(uint64_t moving_tables);

    void accept_bios_memory();

private:
    PageTables tables(TablePages& pages, uint64_t count);
    uint64_t* own_entry(uint64_t virt, TablePages& pages);
    PagingMode mode() const {
        return {handoff_.paging_levels, handoff_.page_size == kGiB, handoff_.sev.c_bit_mask};
    }
    void copy_image();
    uint64_t another_ghcb();
    void leave_ghcb();

    prologue_handoff& handoff_;
    Rooms rooms_;
    Mover mover_;
    static constexpr unsigned kMostRooms = Rooms::kMost;
    Span claimed_[kMostSegments];
    unsigned claimed_count_ = 0;
    Span taken_[kMostRooms];
    unsigned taken_count_ = 0;
    Span departure_;               // a page of code, then a Departure
    Span image_;                   // where its copy belongs
    uint64_t ghcb_ = 0;            // that the payload gets
    bool gives_back_ghcb_ = false; // the image's
    unsigned clears_ = 0;
};

uint32_t type_at(const prologue_handoff& handoff, uint64_t phys);

template <class T>
T* Way::copy(const T* from, uint64_t bytes) {
    auto* const to = seen<T>(room(bytes).start);
    copy_bytes(to, from, bytes);
    return to;
}

// A payload that is compressed is another module then, in an image that has decoders.
void unpack_payload(Way& way, prologue_module& file);

// Each starts the payload, or refuses it.
[[noreturn]] void start_mapped(Way& way, const prologue_module& file, ElfPayload& elf);
[[noreturn]] void start_32(Way& way, const prologue_module& file, ElfPayload& elf);
[[noreturn]] void start_linux(Way& way, const prologue_module& file, Contract wished);

} // namespace prologue

#pragma GCC visibility pop
