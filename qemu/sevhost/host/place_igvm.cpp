// An IGVM file: pages, registers and what the host is asked to add, as QEMU reads them
// (backends/igvm.c; target/i386/sev.c, sev_apply_cpu_context).
#include <string.h>

#include "igvm_file.h"
#include "launch.h"
#include "outcome.h"
#include "place.h"
#include "vmsa.h"

namespace sevhost {
namespace {

using namespace igvm;

constexpr Platform kPlatforms[] = {Platform::native, Platform::sev, Platform::es, Platform::snp};

constexpr unsigned kMostAreas = 4;

// The parameter areas, until they are inserted: the guest's memory is what they lie in.
struct Areas {
    ParameterArea list[kMostAreas];
    bool has_map[kMostAreas] = {};
    uint32_t map_offset[kMostAreas];
    unsigned count = 0;

    unsigned find(uint32_t index) const {
        for (unsigned i = 0; i != count; ++i)
            if (list[i].index == index)
                return i;
        fail("the IGVM file names a parameter area ", decimal(index), " that it has not");
    }
};

void add_area(Areas& areas, const ParameterArea& area) {
    if (areas.count == kMostAreas)
        fail("the IGVM file has more than ", decimal(kMostAreas), " parameter areas");
    areas.list[areas.count++] = area;
}

MapType map_type(MemoryType type) {
    return type == kRam ? MapType::memory : MapType::reserved; // ACPI's too: QEMU does so
}

void place_map(Guest& guest, const FirmwareTables& tables, GuestPhys at, uint64_t room) {
    const MemoryMap map = memory_map_of(guest, tables);
    if (map.count > room / sizeof(MapEntry))
        fail("the memory map of ", decimal(map.count), " ranges does not fit into the IGVM file's ",
             decimal(room), " bytes");
    for (unsigned i = 0; i != map.count; ++i) {
        const MemoryRange& range = map.ranges[i];
        const MapEntry entry = {range.start / kPageBytes, range.bytes / kPageBytes,
                                static_cast<uint16_t>(map_type(range.type)), 0, 0};
        place_bytes(guest, at + i * sizeof entry, &entry, sizeof entry, "IGVM's memory map");
    }
}

void insert_area(Guest& guest, const FirmwareTables& tables, const Areas& areas,
                 const ParameterInsert& insert) {
    const unsigned i = areas.find(insert.index);
    const uint64_t bytes = areas.list[i].bytes;
    place_zeros(guest, insert.gpa, bytes, "IGVM's parameter area");
    if (areas.has_map[i])
        place_map(guest, tables, insert.gpa + areas.map_offset[i], bytes - areas.map_offset[i]);
}

void ask_for_map(Areas& areas, const Parameter& parameter) {
    const unsigned i = areas.find(parameter.index);
    if (parameter.offset > areas.list[i].bytes)
        fail("the IGVM file wants the memory map at ", hex(parameter.offset),
             " of a smaller parameter area");
    areas.has_map[i] = true;
    areas.map_offset[i] = parameter.offset;
}

void place_page(Guest& guest, const File& file, const PageData& page) {
    switch (static_cast<PageType>(page.type)) {
    case PageType::secrets:
        guest.snp_pages.secrets = page.gpa;
        return;
    case PageType::cpuid:
        guest.snp_pages.cpuid = page.gpa;
        return;
    case PageType::normal:
        place_zeros(guest, page.gpa, kPageBytes, "a page of the IGVM file");
        if (const uint8_t* data = file.page(page.file_offset))
            place_bytes(guest, page.gpa, data, kPageBytes, "a page of the IGVM file");
        return;
    }
    fail("the IGVM file has a page of type ", decimal(page.type), ", which is not known");
}

VmcbSegment segment(uint16_t selector, uint16_t descriptor, uint32_t limit, uint64_t base) {
    return {selector, static_cast<uint16_t>((descriptor & 0xff) | (descriptor >> 4 & 0xf00)), limit,
            base};
}

void enter_native(Guest& guest, const uint8_t* page) {
    NativeContext context;
    memcpy(&context, page, sizeof context);
    VmcbSave& save = guest.save();
    enter_protected32(guest, 0); // what the context has no word for
    save.cs = segment(context.code_selector, context.code_attributes, context.code_limit,
                      context.code_base);
    save.ds = save.es = save.ss = save.fs = save.gs = segment(
        context.data_selector, context.data_attributes, context.data_limit, context.data_base);
    save.gs.base = context.gs_base;
    save.gdtr = {0, 0, context.gdtr_limit, context.gdtr_base};
    save.idtr = {0, 0, context.idtr_limit, context.idtr_base};
    save.cr0 = context.cr0;
    save.cr3 = context.cr3;
    save.cr4 = context.cr4;
    save.rflags = context.rflags;
    save.rip = context.rip;
    guest.efer = context.efer;
    memcpy(guest.gprs, &context, sizeof guest.gprs);
}

uint64_t vmsa_features(const Settings& settings) {
    const Injection injection = settings.injection;
    return (settings.sev == Sev::snp ? kVmsaFeatureSnp : 0) |
           (injection == Injection::restricted ? kVmsaFeatureRestricted : 0) |
           (injection == Injection::alternate ? kVmsaFeatureAlternate : 0);
}

void enter_encrypted(Guest& guest, const uint8_t* page) {
    const uint64_t features = read_vmsa_fields(page).features;
    if (features != vmsa_features(guest.settings))
        fail("the IGVM file's VMSA has the features ", hex(features), ", which are not those of ",
             name(guest.settings.sev));
    load_vmsa(guest, page);
    guest.efer = guest.save().efer & ~kEferSvme;
}

void enter(Guest& guest, const uint8_t* page) {
    if (guest.state_is_encrypted())
        enter_encrypted(guest, page);
    else
        enter_native(guest, page);
}

} // namespace

void place_igvm(Guest& guest, const Images& images, const FirmwareTables& tables) {
    const File file = read_file(images.image.data, images.image.bytes);
    if (file.wrong != nullptr)
        fail("the IGVM file has ", file.wrong, ", at ", hex(file.at));
    const uint32_t mask = mask_for(file, kPlatforms[static_cast<unsigned>(guest.settings.sev)]);
    if (mask == 0)
        fail("the IGVM file is not for sev=", name(guest.settings.sev));
    Areas areas;
    bool entered = false;
    Header header;
    for (uint64_t at = file.headers; next_header(file, at, header);) {
        switch (header.kind) {
        case Kind::parameter_area:
            add_area(areas, header.as<ParameterArea>());
            break;
        case Kind::memory_map:
            ask_for_map(areas, header.as<Parameter>());
            break;
        case Kind::parameter_insert:
            if (const auto insert = header.as<ParameterInsert>(); (insert.mask & mask) != 0)
                insert_area(guest, tables, areas, insert);
            break;
        case Kind::page_data:
            if (const auto page = header.as<PageData>(); (page.mask & mask) != 0)
                place_page(guest, file, page);
            break;
        case Kind::vp_context:
            if (const auto context = header.as<VpContext>(); (context.mask & mask) != 0) {
                enter(guest, file.page(context.file_offset));
                entered = true;
            }
            break;
        default: // what a host may leave out, or was read before
            break;
        }
    }
    if (!entered)
        fail("the IGVM file has no registers for sev=", name(guest.settings.sev));
}

} // namespace sevhost
