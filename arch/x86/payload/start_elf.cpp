// An ELF64 that is mapped as its headers say, and entered in 64-bit mode: with Prologue's handoff,
// as kernel_main is; by the Limine protocol; or with Multiboot 2's or PVH's information.
#include "bits.h"
#include "chance.h"
#include "errors.h"
#include "handoff_pointers.h"
#include "information.h"
#include "kernel_map.h"
#include "limine_processors.h"
#include "payload/limine.h"
#include "payload/pie.h"
#include "payload/refusals.h"
#include "payload/rtc.h"
#include "slots.h"
#include "way.h"

namespace prologue {
namespace {

constexpr uint64_t kStackBytes = 16384;
constexpr uint64_t kNoGuard = kLastPageStart;      // nothing of an image is there
constexpr uint64_t kLastGiBs = 0xffffffff80000000; // where -mcmodel=kernel lies
constexpr uint64_t kTss = 0x0000890000000000;      // available: LTR makes it busy

Image image_of(const ElfPayload& elf) {
    Segment segments[kMostSegments];
    for (unsigned i = 0; i != elf.count; ++i) {
        const PayloadSegment& from = elf.segments[i];
        const Span pages = from.pages();
        segments[i] = {page_down(from.virt), pages.start,     pages.bytes(),
                       from.writable,        from.executable, from.index};
    }
    return Image(segments, elf.count);
}

// A PIE stays where it was linked to be, as far as it can: in the last 2 GiB, and in free RAM
// from 1 MiB on. Or, by chance, it lies anywhere in them.
struct Place {
    uint64_t virt, phys;
};

Place place_as_linked(Way& way, const ElfPayload& elf) {
    const uint64_t virt = elf.virtual_span().start;
    const Span pages = elf.physical_span();
    return {virt >= kLastGiBs ? virt : first_slot(kLastGiBs + kSlot, virt),
            pages.start >= kMiB && way.can_claim(pages)
                ? pages.start
                : first_slot(way.room(pages.bytes() + kSlot).start, virt)};
}

Place place_by_chance(Way& way, const ElfPayload& elf, Random& random) {
    const Span kernel = elf.virtual_span(), last = {kLastGiBs, kLastPageStart - kSlot};
    const uint64_t in_ram = way.rooms().places(kernel.bytes(), kernel.start);
    const uint64_t in_last = slots_in(last, kernel.bytes(), kernel.start);
    if (in_ram == 0 || in_last == 0)
        return place_as_linked(way, elf);
    return {elf.is_pie ? first_slot(last.start, kernel.start) + kSlot * random.below(in_last)
                       : kernel.start,
            way.rooms().place(kernel.bytes(), kernel.start, random.below(in_ram))};
}

void place_anywhere(Way& way, ElfPayload& elf, const prologue_module& file, Random* random) {
    const Place place = random ? place_by_chance(way, elf, *random) : place_as_linked(way, elf);
    const uint64_t slide = place.virt - elf.virtual_span().start;
    if (elf.is_pie)
        relocate_file(way.seen(file.start), elf, slide);
    elf.slide(slide, place.phys - elf.physical_span().start);
}

// By chance the direct map begins at any GiB of the upper half that leaves it all RAM's room
// below the last top-level entry, where the payload is. The identity map has tables of its own
// then.
void place_direct_map(const Way& way, const Image& image, Random& random, KernelMap& map) {
    constexpr uint64_t kLastEntry = 0xffffff8000000000;
    const prologue_handoff& from = way.handoff();
    const uint64_t end = from.memory[from.memory_count - 1].end;
    const uint64_t bytes = (end < 4 * kGiB ? 4 * kGiB : end + kGiB - 1) & ~(kGiB - 1);
    if (image.virtual_span().start < kLastEntry || bytes > map.direct_map_bytes)
        return;
    map.direct_map += kGiB * random.below((kLastEntry - map.direct_map - bytes) / kGiB + 1);
    if (map.direct_map_bytes > kLastEntry - map.direct_map)
        map.direct_map_bytes = kLastEntry - map.direct_map;
    map.identity.end = 4 * kGiB;
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

// They are seen as far from here as the direct map is.
void fill_descriptors(Departure& departure, uint64_t distance) {
    const auto task = reinterpret_cast<uint64_t>(departure.task) + distance;
    uint64_t* const gdt = departure.descriptors;
    gdt[PROLOGUE_SELECTOR_CODE64 / 8] = kCode64;
    gdt[PROLOGUE_SELECTOR_DATA / 8] = kData;
    // A limit, and the base in three pieces (SDM vol. 3, 8.2.3).
    gdt[PROLOGUE_SELECTOR_TSS / 8] = (sizeof departure.task - 1) | (task & 0xffffff) << 16 | kTss |
                                     (task >> 24 & 0xff) << 56;
    gdt[PROLOGUE_SELECTOR_TSS / 8 + 1] = task >> 32;
    departure.task[102] = sizeof departure.task; // no map of ports
    departure.gdt = {
        sizeof departure.descriptors - 1, reinterpret_cast<uint64_t>(gdt) + distance, {}};
    departure.code = PROLOGUE_SELECTOR_CODE64;
    departure.data = PROLOGUE_SELECTOR_DATA;
    departure.tss = PROLOGUE_SELECTOR_TSS;
}

// Those that Limine's protocol names: of 16, 32 and 64 bits, code and data each.
void fill_limine_descriptors(Departure& departure, uint64_t distance) {
    constexpr uint64_t kCode16 = 0x00009b000000ffff, kData16 = 0x000093000000ffff;
    constexpr uint64_t kTable[] = {0, kCode16, kData16, kCode32, kData, kCode64, kData};
    copy_bytes(departure.descriptors, kTable, sizeof kTable);
    departure.gdt = {
        sizeof kTable - 1, reinterpret_cast<uint64_t>(departure.descriptors) + distance, {}};
    departure.code = 0x28;
    departure.data = 0x30;
}

// The framebuffer in the direct map, write-combining: PAT's entry 5.
void show_screen(PageTables& tables, const prologue_handoff& handoff) {
    const prologue_framebuffer& screen = handoff.framebuffer;
    if (screen.phys == 0)
        return;
    const uint64_t start = page_down(screen.phys);
    const uint64_t bytes = page_up(screen.phys + uint64_t{screen.pitch} * screen.height) - start;
    for (uint64_t done = 0; done != bytes;
         done += kPage) // in no large page: that bit is another there
        if (tables.map_devices(handoff.direct_map + start + done, start + done, kPage,
                               PTE_WRITABLE | kNoExecute | PTE_WRITE_THROUGH | PTE_PAT_IN_4K) !=
            MapResult::ok)
            fail(Error::map_conflict, handoff.direct_map + start, start, bytes);
}

// Both of the PC's interrupt controllers, whatever the firmware left.
void mask_interrupts() {
    constexpr uint16_t kPorts[] = {0x21, 0xa1};
    for (const uint16_t port : kPorts)
        asm volatile("outb %0, %1" : : "a"(uint8_t{0xff}), "Nd"(port));
}

// Five levels, if it wants them and this CPU has them.
void choose_depth(Way& way, const ElfPayload& elf, const LimineWishes& wishes) {
    const bool is_limine = elf.contract == Contract::limine;
    const bool needs = is_limine ? wishes.needs_five_levels : elf.paging == PROLOGUE_PAGING_FIVE;
    const bool wants = is_limine ? wishes.wants_five_levels : elf.paging == PROLOGUE_PAGING_BEST;
    if ((needs || wants) && !way.deepen() && needs)
        refuse(Refusal::levels);
}

Span copy_of(Way& way, const uint8_t* bytes, uint64_t count) {
    const uint64_t start = way.phys_of(way.copy(bytes, count));
    return {start, start + count};
}

uint8_t read_cmos(uint8_t index) {
    constexpr uint8_t kNmiOff = 0x80; // while the index stands
    uint8_t value;
    asm volatile("outb %0, %1" : : "a"(uint8_t(index | kNmiOff)), "Nd"(uint16_t{0x70}));
    asm volatile("inb %1, %0" : "=a"(value) : "Nd"(uint16_t{0x71}));
    return value;
}

// "_SM3_", which an entry point of SMBIOS 3 begins with.
bool has_smbios_3(const prologue_handoff& handoff) {
    char anchor[4] = {};
    return read_firmware(handoff, handoff.smbios_phys, anchor, sizeof anchor) && anchor[3] == '3';
}

} // namespace

void start_mapped(Way& way, const prologue_module& file, ElfPayload& elf) {
    const prologue_handoff& from = way.handoff();
    const bool is_limine = elf.contract == Contract::limine;
    check_wishes(elf, from);
    uint8_t* const bytes = way.seen(file.start);
    LimineWishes wishes = is_limine ? limine_wishes(bytes, elf) : LimineWishes{};
    choose_depth(way, elf, wishes);
    const Span own_file = wishes.wants_file ? copy_of(way, bytes, file.bytes) : Span{};
    Random random;
    const bool is_random = draws_places(from, random);
    if (elf.is_pie || is_limine)
        place_anywhere(way, elf, file, is_random ? &random : nullptr);
    if (is_limine)
        wishes = limine_wishes(bytes, elf); // what a PIE's point to is elsewhere now
    if (wishes.entry != 0)
        elf.enter_at(wishes.entry);
    const Image image = image_of(elf);
    KernelMap map = {from.direct_map, from.direct_map_bytes};
    map.addressable = kMostPhysical;
    // With five levels the direct map stays, inside of a top-level entry: nothing to share.
    if (from.paging_levels == 5)
        map.identity.end = 4 * kGiB;
    if (is_random)
        place_direct_map(way, image, random, map);
    const uint64_t distance = map.direct_map - from.direct_map;
    image.check({map.direct_map, map.direct_map + map.direct_map_bytes}, from.paging_levels);
    claim_places(way, elf);
    move_segments(way, elf, file);

    prologue_handoff& handoff = *way.copy(&from, sizeof from);
    handoff.modules = way.place_modules(elf.multiboot.aligns_modules, elf.module_limit());
    handoff.module_count = way.module_count();
    way.copy_what_is_pointed_to(handoff);
    handoff.direct_map = map.direct_map;
    handoff.direct_map_bytes = map.direct_map_bytes;
    way.keep_sev_pages(handoff);
    if (loses_loader_info(way, elf))
        handoff.loader_info_phys = 0;
    handoff.load_base = image.span().start;
    handoff.load_end = image.span().end;
    handoff.kernel_offset = image.virtual_offset();
    handoff.spare_start = handoff.spare_end = 0;

    const uint64_t stack_bytes = is_limine ? wishes.stack_bytes : kStackBytes;
    const uint64_t most_ranges = 2 * (from.memory_count + Rooms::kMost);
    Processors processors(way, wishes);
    uint8_t* const answers = is_limine ? way.objects<uint8_t>(limine_bytes(
                                             handoff.module_count, most_ranges, processors.count()))
                                       : nullptr;
    const Information information(way, elf, file, handoff);
    const Span stack = way.room(kPage + stack_bytes);
    handoff.stack_bottom = handoff.direct_map + stack.start + kPage;
    handoff.stack_top = handoff.direct_map + stack.end;

    Departure& departure = way.departure();
    const uint64_t moving = way.moving_tables();
    TablePages pages;
    PageTables tables = way.payload_tables(pages);
    const MemoryMap memory = way.memory(handoff.modules);
    handoff.memory = memory.begin();
    handoff.memory_count = memory.size();

    map_kernel(tables, image, kNoGuard, memory, map);
    leave_out(tables, handoff, stack.start);
    show_code_page(tables, handoff, way.code_page().start);
    handoff.identity_bytes = map.identity.end;
    way.show_ghcb(tables, handoff.direct_map, handoff.direct_map_bytes);
    way.show_ghcb(tables, 0, handoff.identity_bytes);
    handoff.page_tables_phys = tables.root();

    if (!is_limine)
        fill_descriptors(departure, distance);
    departure.cr3 = way.cr3_of(tables);
    departure.entry = elf.entry;
    departure.rsp = handoff.stack_top - 8; // as if called from nowhere
    if (is_limine) {
        show_screen(tables, handoff);
        mask_interrupts();
        fill_limine_descriptors(departure, distance);
        answer_limine(bytes, elf,
                      {handoff, from.direct_map, image.span().start, image.virtual_span().start,
                       processors.start(way, moving, map.direct_map), own_file,
                       wishes.wants_time ? read_rtc(read_cmos) : 0, has_smbios_3(from)},
                      answers);
    } else if (elf.contract == Contract::handoff) {
        departure.rdi = reinterpret_cast<uint64_t>(&handoff) + distance;
    } else {
        information.fill(handoff, departure);
    }
    move_pointers(handoff, distance);
    way.go(moving);
}

} // namespace prologue
