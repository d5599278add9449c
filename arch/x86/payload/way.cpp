#include "way.h"

#include "bits.h"
#include "errors.h"
#include "payload/refusals.h"
#include "prologue/paging_depth.h"

extern "C" [[gnu::visibility("hidden")]] const char prologue_segments_end[]; // as linked

namespace prologue {
namespace {

constexpr uint64_t kLarge = 2 * kMiB; // a page that is split

enum Level : unsigned { kOf4K, kOf2M, kOf1G, kLevels }; // of a table, by its entries

// Pages for tables of one map of RAM below `limit`, with the smallest entries `least`: one of each
// level where a range begins or ends, unless its neighbour has it already; one for each 512 GiB; and
// one of 2 MiB pages for each GiB where the CPU has none of 1 GiB.
uint64_t table_pages(const prologue_handoff& handoff, uint64_t limit, Level least) {
    constexpr unsigned kShifts[] = {21, 30, 39};
    uint64_t pages = 24, last[] = {~uint64_t{0}, ~uint64_t{0}, ~uint64_t{0}};
    for (uint64_t i = 0; i != handoff.memory_count && handoff.memory[i].start < limit; ++i) {
        const prologue_range& range = handoff.memory[i];
        const uint64_t edges[] = {range.start, range.end < limit ? range.end : limit};
        pages += (edges[1] - edges[0]) >> 39;
        if (handoff.page_size < kGiB && is_mapped(range.type))
            pages += (edges[1] - edges[0]) / kGiB;
        for (const uint64_t edge : edges)
            for (unsigned level = least; level != kLevels; ++level) {
                pages += edge >> kShifts[level] != last[level];
                last[level] = edge >> kShifts[level];
            }
    }
    return pages;
}

void map_or_fail(PageTables& tables, uint64_t virt, Span span, uint64_t bits) {
    if (span.bytes() != 0 && tables.map(virt, span.start, span.bytes(), bits) != MapResult::ok)
        fail(Error::no_table_memory, virt, span.start, span.bytes());
}

} // namespace

uint32_t type_at(const prologue_handoff& handoff, uint64_t phys) {
    for (uint64_t i = 0; i != handoff.memory_count; ++i)
        if (phys >= handoff.memory[i].start && phys < handoff.memory[i].end)
            return handoff.memory[i].type;
    return PROLOGUE_MEMORY_RESERVED;
}

void Way::claim(Span pages) {
    rooms_.check_destination(pages);
    if (claimed_count_ == kMostSegments)
        refuse(Refusal::too_many_moves, kMostSegments);
    rooms_.keep(pages);
    claimed_[claimed_count_++] = pages;
}

bool Way::is_claimed(Span span) const {
    for (const Span* claimed = claimed_; claimed != claimed_ + claimed_count_; ++claimed)
        if (claimed->overlaps(span))
            return true;
    return false;
}

void Way::clear(Span span) {
    if (span.bytes() != 0)
        departure().clears[clears_++] = span;
}

Span Way::room(uint64_t bytes, uint64_t limit) {
    const Span room = rooms_.take(bytes, limit);
    clear_bytes(seen(room.start), room.bytes());
    taken_[taken_count_++] = room;
    return room;
}

prologue_module* Way::place_modules(bool page_aligned, uint64_t most) {
    auto* const placed = objects<prologue_module>(module_count() + 1);
    uint64_t text_bytes = 1;
    for (uint64_t i = 0; i != module_count(); ++i)
        text_bytes += handoff_.modules[i + 1].cmdline_bytes + 1;
    auto* text = objects<char>(text_bytes);
    for (uint64_t i = 0; i != module_count(); ++i) {
        prologue_module& module = placed[i];
        module = handoff_.modules[i + 1];
        copy_bytes(text, module.cmdline, module.cmdline_bytes);
        module.cmdline = text;
        text += module.cmdline_bytes + 1;
        const Span span = {module.start, module.start + module.bytes};
        const bool is_odd = page_aligned && module.start % kPage != 0;
        if (module.bytes == 0 || !(is_odd || is_claimed(span) || span.end > most))
            continue;
        // Where 32 bits could say where it is, they still can.
        const uint64_t limit = span.end <= 4 * kGiB ? 4 * kGiB : most;
        module.start = rooms_.take(module.bytes, limit).start;
        mover_.add({span.start, module.start, module.bytes});
    }
    return placed;
}

void Way::copy_what_is_pointed_to(prologue_handoff& handoff) {
    constexpr uint64_t kRsdpBytes = 36;
    handoff.cmdline = copy(handoff.cmdline, handoff.cmdline_bytes + 1);
    if (handoff.boot.environment)
        handoff.boot.environment = copy(handoff.boot.environment,
                                        handoff.boot.environment_bytes + 1);
    if (handoff.efi.memory_map)
        handoff.efi.memory_map = copy(static_cast<const char*>(handoff.efi.memory_map),
                                      handoff.efi.memory_map_bytes);
    const uint32_t type = type_at(handoff_, handoff.rsdp_phys);
    if (handoff.rsdp_phys != 0 &&
        (type == PROLOGUE_MEMORY_LOADER || type == PROLOGUE_MEMORY_PROLOGUE))
        handoff.rsdp_phys = phys_of(copy(seen(handoff.rsdp_phys), kRsdpBytes));
}

MemoryMap Way::memory(const prologue_module* modules) {
    const uint64_t most = handoff_.memory_count + kMostRooms + module_count() + kMostSegments;
    const uint64_t capacity = MemoryMap::storage_for(most);
    MemoryMap memory(objects<prologue_range>(capacity), capacity);
    for (uint64_t i = 0; i != handoff_.memory_count; ++i) {
        const prologue_range& range = handoff_.memory[i];
        const bool is_ours = range.type == PROLOGUE_MEMORY_PROLOGUE ||
                             range.type == PROLOGUE_MEMORY_KERNEL ||
                             range.type == PROLOGUE_MEMORY_MODULE;
        memory.overlay({range.start, range.end}, is_ours ? PROLOGUE_MEMORY_USABLE : range.type);
    }
    for (unsigned i = 0; i != taken_count_; ++i)
        memory.overlay(taken_[i], PROLOGUE_MEMORY_PROLOGUE);
    for (uint64_t i = 0; i != module_count(); ++i)
        if (modules[i].bytes != 0)
            memory.overlay(
                {page_down(modules[i].start), page_up(modules[i].start + modules[i].bytes)},
                PROLOGUE_MEMORY_MODULE);
    for (unsigned i = 0; i != claimed_count_; ++i)
        memory.overlay(claimed_[i], PROLOGUE_MEMORY_KERNEL);
    return memory;
}

PageTables Way::payload_tables(TablePages& pages) {
    // The direct map; and the identity map, where it has tables of its own.
    return tables(pages, table_pages(handoff_, kMostPhysical, kOf4K) +
                             table_pages(handoff_, 4 * kGiB, kOf4K));
}

PageTables Way::tables(TablePages& pages, uint64_t count) {
    const Span span = room(count * kPage);
    pages = {span.start, span.end};
    return PageTables(handoff_.direct_map, pages.take(handoff_.direct_map), mode(), pages);
}

uint64_t* Way::own_entry(uint64_t virt, TablePages& pages) {
    PageTables tables(handoff_.direct_map, handoff_.page_tables_phys, mode(), pages);
    MapResult result = MapResult::ok;
    uint64_t* const entry = tables.small_page(virt, result);
    if (!entry)
        fail(Error::no_table_memory, virt, kPage);
    return entry;
}

void Way::make_small(Span span) {
    const Span room = this->room((span.bytes() / kLarge + 4) * kPage);
    TablePages pages = {room.start, room.end};
    for (uint64_t phys = span.start; phys < span.end; phys = (phys & ~(kLarge - 1)) + kLarge)
        own_entry(handoff_.direct_map + phys, pages);
}

// The code that changes the depth runs in a page that must be executable at its own address.
bool Way::deepen() {
    if (handoff_.sev.status != 0)
        return false;
    const Span way = room(PROLOGUE_DEPTH_PAGES * kPage), top = room(kPage),
               room = this->room(4 * kPage);
    TablePages pages = {room.start, room.end};
    uint64_t* const entry = own_entry(way.start, pages);
    const uint64_t before = *entry;
    *entry = before & ~kNoExecute;
    prologue_other_depth(&handoff_, 4, handoff_.page_tables_phys, seen<uint64_t>(top.start));
    const prologue_depth_change change = {top.start, seen<uint64_t>(top.start), way.start,
                                          seen<void>(way.start)};
    const bool is_done = prologue_change_paging_depth(&change) == PROLOGUE_DEPTH_CHANGED;
    *entry = before;
    if (is_done) {
        handoff_.paging_levels = 5;
        handoff_.page_tables_phys = top.start;
    }
    return is_done;
}

uint64_t Way::moving_tables() {
    TablePages pages;
    PageTables tables = this->tables(pages, table_pages(handoff_, kMostPhysical, kOf2M));
    // In whole large pages: what they show besides is not touched. The first MiB is there, too: Linux
    // asks the BIOS's data area, in page 0, before it has tables of its own.
    Span run = {0, kLarge};
    for (uint64_t i = 0; i != handoff_.memory_count; ++i) {
        const prologue_range& range = handoff_.memory[i];
        if (!is_mapped(range.type) || range.end <= run.end)
            continue;
        if (range.start > run.end) {
            map_or_fail(tables, run.start, run, PTE_WRITABLE);
            run.start = range.start & ~(kLarge - 1);
        }
        run.end = (range.end + kLarge - 1) & ~(kLarge - 1);
    }
    map_or_fail(tables, run.start, run, PTE_WRITABLE);
    // What is packed behind the image is not of it.
    const uint64_t image = handoff_.load_base + handoff_.kernel_offset;
    image_ = rooms_.take(reinterpret_cast<uint64_t>(prologue_segments_end) - image, 4 * kGiB);
    map_or_fail(tables, image, image_, PTE_WRITABLE);
    copy_image();
    show_ghcb(tables, 0, kMostPhysical);
    return cr3_of(tables);
}

// But for the page below the stack, which is mapped nowhere.
void Way::copy_image() {
    const uint64_t image = handoff_.load_base + handoff_.kernel_offset;
    const auto copy = [&](uint64_t from, uint64_t end) {
        copy_bytes(seen(image_.start + (from - image)), reinterpret_cast<const void*>(from),
                   end - from);
    };
    copy(image, handoff_.stack_bottom - kPage);
    copy(handoff_.stack_bottom, image + image_.bytes());
}

Departure& Way::departure() {
    if (departure_.bytes() == 0) {
        departure_ = room(2 * kPage);
        copy_bytes(seen(departure_.start), prologue_depart,
                   static_cast<uintptr_t>(prologue_depart_end - prologue_depart));
    }
    return *seen<Departure>(departure_.start + kPage);
}

void Way::go(uint64_t moving_tables) {
    Departure& departure = this->departure();
    mover_.order(rooms_.largest());
    Move* to = departure.moves;
    for (const Move& move : mover_)
        *to++ = move;
    if (handoff_.sev.ghcb_phys != 0)
        leave_ghcb();
    prologue_leave_image(phys_of(&departure), departure_.start, moving_tables);
}

} // namespace prologue
