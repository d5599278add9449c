// PVH's hvm_start_info. Source: Xen public/arch-x86/hvm/start_info.h.
#include "contract_magic.h"
#include "errors.h"
#include "loader_info.h"
#include "xen.h"

namespace prologue {
namespace {

struct StartInfo {
    uint32_t magic;
    uint32_t version;
    uint32_t flags;
    uint32_t module_count;
    uint64_t modules;
    uint64_t cmdline;
    uint64_t rsdp;
    // From version 1:
    uint64_t memory_map;
    uint32_t memory_map_entries;
    uint32_t reserved;
} __attribute__((packed));
static_assert(sizeof(StartInfo) == 56);
constexpr uint64_t kVersion0Bytes = offsetof(StartInfo, memory_map);

struct ModuleEntry {
    uint64_t start;
    uint64_t bytes;
    uint64_t cmdline;
    uint64_t reserved;
} __attribute__((packed));
static_assert(sizeof(ModuleEntry) == 32);

constexpr uint64_t kRsdpBytes = 36; // of ACPI 2.0
constexpr uint32_t kMapEntryBytes = 24;
constexpr uint32_t kMostMapEntries = 1 << 20;

// As many as Linux takes of Xen (mem_map_via_hcall), and one that tells that there are more: Xen
// cuts off what there is no room for.
constexpr uint32_t kMostXenEntries = 128;
RawRange xen_ranges[kMostXenEntries + 1];

// The start info's own map, which the loader has put somewhere.
[[gnu::always_inline]] inline RawMap map_of_start_info(PhysMemory& memory, uint64_t info,
                                                       LoaderInfo& loader) {
    const auto& start = *memory.at<StartInfo>("pvh start info", info);
    const uint32_t entries = start.memory_map_entries;
    if (start.memory_map == 0 || entries == 0)
        fail(Error::pvh_memory, start.version, entries, start.memory_map);
    if (entries > kMostMapEntries)
        fail_in("pvh memory map", Error::too_many_entries, entries, kMostMapEntries);
    const uint64_t bytes = uint64_t{entries} * kMapEntryBytes;
    const uint8_t* const map = memory.at("pvh memory map", start.memory_map, bytes);
    loader.occupies(start.memory_map, bytes);
    return {map, bytes, kMapEntryBytes, 0};
}

// Of dom0, whose start info has none.
[[gnu::noinline]] RawMap map_of_xen() {
    if (!is_xen())
        fail_in("CPUID knows of no Xen to be asked", Error::pvh_version_0);
    uint32_t entries = kMostXenEntries + 1;
    const int64_t status = ask_xen_for_memory_map(xen_ranges, entries);
    if (status != 0 || entries == 0)
        fail_in("Xen has none: its error number negated, entries", Error::pvh_version_0,
                static_cast<uint64_t>(-status), entries);
    if (entries > kMostXenEntries)
        fail_in("Xen's memory map", Error::too_many_entries, entries, kMostXenEntries);
    return {reinterpret_cast<const uint8_t*>(xen_ranges), entries * sizeof(RawRange),
            sizeof(RawRange), 0};
}

} // namespace

void prologue_parse_pvh(PhysMemory& memory, uint64_t info, LoaderInfo& loader) {
    const auto& start = *reinterpret_cast<const StartInfo*>(
        memory.at("pvh start info", info, kVersion0Bytes));
    if (start.magic != PVH_MAGIC)
        fail(Error::pvh_magic, info, start.magic);
    const uint32_t modules = start.module_count;
    if (modules > kMostModules)
        fail_in("pvh module list", Error::too_many_entries, modules, kMostModules);

    loader.loader = PROLOGUE_LOADER_PVH;
    if (start.version == 0) [[unlikely]] {
        loader.occupies(info, kVersion0Bytes);
        loader.memory = map_of_xen();
    } else {
        loader.occupies(info, sizeof(StartInfo));
        loader.memory = map_of_start_info(memory, info, loader);
    }

    const uint64_t list_bytes = modules * sizeof(ModuleEntry);
    if (list_bytes != 0) {
        memory.at("pvh module list", start.modules, list_bytes);
        loader.modules = {start.modules, start.modules + list_bytes};
        loader.module_count = modules;
        loader.occupies(start.modules, list_bytes);
    }

    loader.cmdline = text_at(memory, "pvh command line", start.cmdline);
    if (start.cmdline != 0)
        loader.occupies(start.cmdline, loader.cmdline.bytes + 1);
    loader.rsdp_phys = start.rsdp;
    loader.may_occupy(start.rsdp, kRsdpBytes);
}

bool prologue_next_pvh_module(PhysMemory& memory, ModuleCursor& cursor, LoaderModule& module) {
    if (cursor.at == cursor.end)
        return false;
    const auto& entry = *memory.at<ModuleEntry>("pvh module list", cursor.at);
    cursor.at += sizeof entry;
    module.bytes = module_span("pvh", entry.start, entry.bytes);
    module.set_cmdline(memory, entry.cmdline);
    return true;
}

} // namespace prologue
