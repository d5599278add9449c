// An ELF64 that asks for Prologue's handoff by a note: entered as kernel_main is.
#include "bits.h"
#include "errors.h"
#include "kernel_map.h"
#include "payload/relocate.h"
#include "way.h"

namespace prologue {
namespace {

constexpr uint64_t kStackBytes = 16384;
constexpr uint64_t kNoGuard = kLastPageStart; // nothing of an image is there
constexpr uint64_t kLastGiBs = 0xffffffff80000000; // where -mcmodel=kernel lies
constexpr uint64_t kTss = 0x0000890000000000; // available: LTR makes it busy

Image image_of(const ElfPayload& elf) {
    Segment segments[kMostSegments];
    for (unsigned i = 0; i != elf.count; ++i) {
        const PayloadSegment& from = elf.segments[i];
        const Span pages = from.pages();
        segments[i] = {page_down(from.virt), pages.start, pages.bytes(), from.writable,
                       from.executable, from.index};
    }
    return Image(segments, elf.count);
}

// The first address from `start` on that lies as `linked` does to what a PIE slides by.
uint64_t slid_to(uint64_t start, uint64_t linked) {
    return start + (linked - start) % kPieAlignment;
}

// A PIE stays where it was linked to be, as far as it can: in the last 2 GiB, and in free RAM
// from 1 MiB on.
void place_pie(Way& way, ElfPayload& elf, const prologue_module& file) {
    const uint64_t virt = elf.virtual_span().start;
    const uint64_t slide =
        virt >= kLastGiBs ? 0 : slid_to(kLastGiBs + kPieAlignment, virt) - virt;
    const Span pages = elf.physical_span();
    uint64_t phys = 0;
    if (pages.start < kMiB || !way.can_claim(pages))
        phys = slid_to(way.room(pages.bytes() + kPieAlignment).start, pages.start) - pages.start;
    relocate(way.seen(file.start), elf, slide);
    elf.slide(slide, phys);
}

void claim_places(Way& way, const ElfPayload& elf) {
    for (const PayloadSegment& segment : elf)
        way.claim(segment.pages());
    // The way leads over pages at their own addresses, where the payload must not be.
    const Span low = elf.virtual_span().shared(Span{0, 4 * kGiB});
    if (low.bytes() != 0)
        way.keep(low);
}

void move_segments(Way& way, const ElfPayload& elf, const prologue_module& file) {
    for (const PayloadSegment& segment : elf) {
        way.move({file.start + segment.file_offset, segment.phys, segment.file_bytes});
        way.clear({segment.phys + segment.file_bytes, segment.pages().end});
    }
}

// Has something of the loader's been written over?
bool loses_loader_info(const Way& way, const ElfPayload& elf) {
    for (uint64_t i = 0; i != way.handoff().memory_count; ++i) {
        const prologue_range& range = way.handoff().memory[i];
        if (range.type == PROLOGUE_MEMORY_LOADER)
            for (const PayloadSegment& segment : elf)
                if (segment.pages().shared(range).bytes() != 0)
                    return true;
    }
    return false;
}

uint64_t* small_page(PageTables& tables, uint64_t virt) {
    MapResult result = MapResult::ok;
    uint64_t* const entry = tables.small_page(virt, result);
    if (result != MapResult::ok)
        fail(Error::no_table_memory, virt, kPage);
    return entry;
}

// The page below a stack, by all its addresses.
void leave_out(PageTables& tables, const prologue_handoff& handoff, uint64_t phys) {
    const uint64_t addresses[] = {handoff.direct_map + phys, phys};
    for (const uint64_t virt : addresses)
        if (uint64_t* const entry = small_page(tables, virt))
            *entry = 0;
}

// The page of depart.S is executable at its own address, where the tables change, and
// writable nowhere.
void show_code_page(PageTables& tables, const prologue_handoff& handoff, uint64_t phys) {
    if (uint64_t* const entry = small_page(tables, handoff.direct_map + phys))
        *entry &= ~uint64_t{PTE_WRITABLE};
    uint64_t* const entry = small_page(tables, phys);
    if (!entry)
        fail(Error::map_conflict, phys, phys, kPage);
    *entry &= ~(uint64_t{PTE_WRITABLE} | kNoExecute);
}

void fill_descriptors(Departure& departure) {
    const auto task = reinterpret_cast<uint64_t>(departure.task);
    uint64_t* const gdt = departure.descriptors;
    gdt[PROLOGUE_SELECTOR_CODE64 / 8] = kCode64;
    gdt[PROLOGUE_SELECTOR_DATA / 8] = kData;
    // A limit, and the base in three pieces (SDM vol. 3, 8.2.3).
    gdt[PROLOGUE_SELECTOR_TSS / 8] = (sizeof departure.task - 1) | (task & 0xffffff) << 16 |
                                     kTss | (task >> 24 & 0xff) << 56;
    gdt[PROLOGUE_SELECTOR_TSS / 8 + 1] = task >> 32;
    departure.task[102] = sizeof departure.task; // no map of ports
    departure.gdt = {sizeof departure.descriptors - 1, reinterpret_cast<uint64_t>(gdt), {}};
    departure.code = PROLOGUE_SELECTOR_CODE64;
    departure.data = PROLOGUE_SELECTOR_DATA;
    departure.tss = PROLOGUE_SELECTOR_TSS;
}

}  // namespace

void start_handoff(Way& way, const prologue_module& file, ElfPayload& elf) {
    const prologue_handoff& from = way.handoff();
    if (elf.is_pie)
        place_pie(way, elf, file);
    const Image image = image_of(elf);
    image.check({from.direct_map, from.direct_map + direct_map_room(from.paging_levels)},
                from.paging_levels);
    claim_places(way, elf);
    move_segments(way, elf, file);

    prologue_handoff& handoff = *way.copy(&from, sizeof from);
    handoff.modules = way.place_modules();
    handoff.module_count = way.module_count();
    way.copy_what_is_pointed_to(handoff);
    if (loses_loader_info(way, elf))
        handoff.loader_info_phys = 0;
    handoff.load_base = image.span().start;
    handoff.load_end = image.span().end;
    handoff.kernel_offset = image.virtual_offset();
    handoff.spare_start = handoff.spare_end = 0;

    const Span stack = way.room(kPage + kStackBytes);
    handoff.stack_bottom = handoff.direct_map + stack.start + kPage;
    handoff.stack_top = handoff.direct_map + stack.end;

    Departure& departure = way.departure();
    const uint64_t moving = way.moving_tables();
    TablePages pages;
    PageTables tables = way.tables(pages, 2);
    const MemoryMap memory = way.memory(handoff.modules);
    handoff.memory = memory.begin();
    handoff.memory_count = memory.size();

    KernelMap map = {from.direct_map, from.direct_map_bytes};
    map.addressable = kMostPhysical;
    map_kernel(tables, image, kNoGuard, memory, map);
    leave_out(tables, handoff, stack.start);
    show_code_page(tables, handoff, way.code_page().start);
    handoff.identity_bytes = map.identity.end;
    handoff.page_tables_phys = tables.root();

    fill_descriptors(departure);
    departure.cr3 = tables.root();
    departure.entry = elf.entry;
    departure.rsp = handoff.stack_top - 8; // as if called from nowhere
    departure.rdi = reinterpret_cast<uint64_t>(&handoff);
    way.go(moving);
}

}  // namespace prologue
