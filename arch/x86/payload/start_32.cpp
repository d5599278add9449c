// An ELF with Multiboot 1's header or PVH's note: entered in 32-bit mode without paging, EBX =
// its information. Source: Multiboot 0.6.96, section 3.2; Xen docs/misc/pvh.pandoc.
#include "contract_magic.h"
#include "payload/pvh_info.h"
#include "payload/refusals.h"
#include "prologue/multiboot.h"
#include "way.h"

namespace prologue {
namespace {

constexpr unsigned kCode = 0x18, kDataSelector = 0x10, kTask = 0x28;
constexpr uint64_t kTask32 = 0x0000890000000067; // at 0, with the limit that the contract names

void fill_descriptors(Way& way, Departure& departure) {
    departure.descriptors[kDataSelector / 8] = kData;
    departure.descriptors[kCode / 8] = kCode32;
    departure.descriptors[kTask / 8] = kTask32;
    departure.gdt = {sizeof departure.descriptors - 1, way.phys_of(departure.descriptors), {}};
    departure.code32 = kCode;
    departure.data = kDataSelector;
    departure.tss = kTask;
}

// Without a window of its own, all that it is told lies below 4 GiB, as rooms do.
uint64_t make_information(Way& way, const ElfPayload& elf, prologue_handoff& handoff) {
    const uint64_t ranges = 2 * (way.handoff().memory_count + Rooms::kMost);
    uint64_t bytes = pvh_info_bytes(handoff.module_count, ranges) + handoff.cmdline_bytes + kPage;
    for (uint64_t i = 0; i != handoff.module_count; ++i)
        bytes += handoff.modules[i].cmdline_bytes + 1;
    auto* const info = way.objects<uint8_t>(bytes);
    const MemoryMap memory = way.memory(handoff.modules);
    handoff.memory = memory.begin();
    handoff.memory_count = memory.size();
    if (!elf.has_multiboot1)
        make_pvh_info(handoff, way.handoff().direct_map, info, way.phys_of(info));
    else if (prologue_make_multiboot1(&handoff, info, bytes, way.phys_of(info)) == 0)
        refuse(Refusal::multiboot_modules);
    return way.phys_of(info);
}

} // namespace

void start_32(Way& way, const prologue_module& file, const ElfPayload& elf) {
    for (const PayloadSegment& segment : elf)
        way.claim(segment.pages());
    for (const PayloadSegment& segment : elf) {
        way.move({file.start + segment.file_offset, segment.phys, segment.file_bytes});
        way.clear({segment.phys + segment.file_bytes, segment.phys + segment.bytes});
    }

    prologue_handoff& handoff = *way.copy(&way.handoff(), sizeof way.handoff());
    handoff.modules = way.place_modules(elf.aligns_modules);
    handoff.module_count = way.module_count();
    way.copy_what_is_pointed_to(handoff);
    Departure& departure = way.departure();
    const uint64_t tables = way.moving_tables();
    fill_descriptors(way, departure);
    departure.entry = elf.physical_entry();
    departure.rsi = make_information(way, elf, handoff);
    departure.rdi = elf.has_multiboot1 ? MULTIBOOT1_MAGIC : 0;
    way.go(tables);
}

} // namespace prologue
