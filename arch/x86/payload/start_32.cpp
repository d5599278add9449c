// An ELF with a Multiboot header or PVH's note: entered in 32-bit mode without paging, EBX =
// its information. Source: Multiboot 0.6.96, section 3.2; Multiboot2 2.0, section 3.3; Xen
// docs/misc/pvh.pandoc.
#include "information.h"
#include "payload/refusals.h"

namespace prologue {
namespace {

constexpr unsigned kCode = 0x18, kDataSelector = 0x10, kTask = 0x28;

void fill_descriptors(Way& way, Departure& departure) {
    departure.descriptors[kDataSelector / 8] = kData;
    departure.descriptors[kCode / 8] = kCode32;
    departure.descriptors[kTask / 8] = kTask32;
    departure.gdt = {sizeof departure.descriptors - 1, way.phys_of(departure.descriptors), {}};
    departure.code32 = kCode;
    departure.data = kDataSelector;
    departure.tss = kTask;
}

Span all_of(const ElfPayload& elf) {
    Span all = elf.segments[0].pages();
    for (const PayloadSegment& segment : elf) {
        const Span pages = segment.pages();
        all = {pages.start < all.start ? pages.start : all.start,
               pages.end > all.end ? pages.end : all.end};
    }
    return all;
}

bool can_stay(const Way& way, const ElfPayload& elf) {
    for (const PayloadSegment& segment : elf)
        if (!way.can_claim(segment.pages()))
            return false;
    return true;
}

// A Multiboot 2 kernel that says so lies elsewhere if its own place is taken.
void move_if_it_must(Way& way, ElfPayload& elf) {
    const MultibootHeader& header = elf.multiboot;
    const uint64_t alignment = header.alignment < kPage ? kPage : header.alignment;
    if (header.alignment == 0 || (alignment & (alignment - 1)) != 0 || can_stay(way, elf))
        return;
    const Span all = all_of(elf);
    const Span room = way.room(all.bytes() + alignment - kPage, header.most + 1);
    const uint64_t start = (room.start + alignment - 1) & ~(alignment - 1);
    if (start < header.least)
        refuse(Refusal::multiboot_place, header.least, header.most);
    elf.slide(0, start - all.start);
}

} // namespace

void start_32(Way& way, const prologue_module& file, ElfPayload& elf) {
    check_wishes(elf, way.handoff());
    move_if_it_must(way, elf);
    for (const PayloadSegment& segment : elf)
        way.claim(segment.pages());
    for (const PayloadSegment& segment : elf) {
        way.move({file.start + segment.file_offset, segment.phys, segment.file_bytes});
        way.clear({segment.phys + segment.file_bytes, segment.phys + segment.bytes});
    }

    prologue_handoff& handoff = *way.copy(&way.handoff(), sizeof way.handoff());
    handoff.modules = way.place_modules(elf.multiboot.aligns_modules, elf.module_limit());
    handoff.module_count = way.module_count();
    handoff.load_base = all_of(elf).start;
    way.copy_what_is_pointed_to(handoff);
    const Information information(way, elf, file, handoff);
    Departure& departure = way.departure();
    const uint64_t tables = way.moving_tables();
    const MemoryMap memory = way.memory(handoff.modules);
    handoff.memory = memory.begin();
    handoff.memory_count = memory.size();
    information.fill(handoff, departure);
    fill_descriptors(way, departure);
    departure.entry = elf.physical_entry();
    way.go(tables);
}

} // namespace prologue
