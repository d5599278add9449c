// What prologue-igvm puts into an IGVM file for the kernel: a page, measured, that says where the
// rest lies; and the memory map that the host adds to it, which nobody measures.
// Sources: Microsoft's igvm_defs (IGVM_VHS_MEMORY_MAP_ENTRY); QEMU backends/igvm.c
// (qigvm_directive_memory_map) and hw/i386/pc.c (pc_memory_init).
#include "contract_magic.h"
#include "errors.h"
#include "loader_info.h"

namespace prologue {
namespace {

// linker/prologue-igvm writes it.
struct Info {
    uint32_t magic;
    uint32_t version;
    uint64_t memory_map; // the parameter area
    uint64_t memory_map_bytes;
    uint64_t cmdline; // 0: there is none
    uint64_t initrd;
    uint64_t initrd_bytes; // 0: there is none
};
static_assert(sizeof(Info) == 48);
constexpr uint32_t kVersion = 1;

enum EntryType : uint16_t { kMemory = 0, kPersistent = 2, kSpecificPurpose = 4 };
struct MapEntry {
    uint64_t start_page;
    uint64_t pages; // 0: the map ends here
    uint16_t type;
    uint16_t flags;
    uint32_t reserved;
};
static_assert(sizeof(MapEntry) == 24 && sizeof(MapEntry) >= sizeof(RawRange));
constexpr uint64_t kMostMapEntries = 1 << 16;
constexpr uint64_t kMostPages = kMostPhysical / kPage;

constexpr uint32_t kE820Reserved = 2, kE820Persistent = 7;

// Devices and firmware on every PC, which QEMU's map calls RAM.
constexpr RawRange kPcHole = {0xa0000, 0x60000, kE820Reserved};

[[noreturn]] void refuse(const char* what, uint64_t a, uint64_t b) {
    fail_in(what, Error::igvm_info, a, b);
}

uint32_t e820_type(uint16_t type) {
    switch (type) {
    case kMemory:
        return kE820Usable;
    case kPersistent:
        return kE820Persistent;
    case kSpecificPurpose:
        return kE820SoftReserved;
    }
    return kE820Reserved;
}

// The entry becomes what all contracts have, where it stands: the area is the kernel's.
void convert(uint8_t* at, LoaderInfo& loader) {
    const auto entry = read_unaligned<MapEntry>(at);
    RawRange range = {0, 0, kE820Reserved};
    if (entry.start_page < kMostPages && entry.pages <= kMostPages - entry.start_page)
        range = {entry.start_page * kPage, entry.pages * kPage, e820_type(entry.type)};
    else
        loader.left_out |= PROLOGUE_LEFT_OUT_RANGE;
    __builtin_memcpy(at, &range, sizeof range);
}

RawMap memory_map(PhysMemory& memory, const Info& info, LoaderInfo& loader) {
    const uint64_t room = info.memory_map_bytes / sizeof(MapEntry);
    if (room > kMostMapEntries)
        fail_in("igvm memory map", Error::too_many_entries, room, kMostMapEntries);
    memory.at("igvm memory map", info.memory_map, info.memory_map_bytes);
    auto* const entries = memory.seen<uint8_t>(info.memory_map);
    uint64_t bytes = 0;
    for (; bytes != room * sizeof(MapEntry); bytes += sizeof(MapEntry)) {
        const auto entry = read_unaligned<MapEntry>(entries + bytes);
        if (entry.pages == 0)
            break;
        if (entry.reserved != 0)
            refuse("no entry of a memory map is where the host should have put one: address, "
                   "what should be 0",
                   info.memory_map + bytes, entry.reserved);
        convert(entries + bytes, loader);
    }
    if (bytes == 0)
        refuse("the host has put no memory map there: address, bytes", info.memory_map,
               info.memory_map_bytes);
    return {entries, bytes, sizeof(MapEntry), 0};
}

} // namespace

void prologue_parse_igvm(PhysMemory& memory, uint64_t at, LoaderInfo& loader) {
    const auto info = *memory.at<Info>("igvm information", at);
    if (info.magic != IGVM_MAGIC || info.version != kVersion)
        refuse("magic and version of the information page make no sense", info.magic, info.version);
    loader.loader = PROLOGUE_LOADER_IGVM;
    loader.occupies(at, sizeof info);
    loader.occupies(info.memory_map, info.memory_map_bytes);
    loader.memory = memory_map(memory, info, loader);
    loader.more_memory = {reinterpret_cast<const uint8_t*>(&kPcHole), sizeof kPcHole,
                          sizeof kPcHole, 0};
    loader.cmdline = text_at(memory, "igvm command line", info.cmdline);
    if (info.cmdline != 0)
        loader.occupies(info.cmdline, loader.cmdline.bytes + 1);
    if (info.initrd_bytes != 0) {
        loader.modules = {at, at + sizeof info};
        loader.module_count = 1;
    }
}

bool prologue_next_igvm_module(PhysMemory& memory, ModuleCursor& cursor, LoaderModule& module) {
    if (cursor.at == cursor.end)
        return false;
    const auto& info = *memory.at<Info>("igvm information", cursor.at);
    cursor.at = cursor.end;
    module.bytes = module_span("igvm", info.initrd, info.initrd_bytes);
    return true;
}

} // namespace prologue
