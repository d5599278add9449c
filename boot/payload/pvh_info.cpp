#include "pvh_info.h"

#include "contract_magic.h"
#include "linux_image.h"

namespace prologue {
namespace {

struct StartInfo {
    uint32_t magic, version, flags, module_count;
    uint64_t modules, cmdline, rsdp;
    uint64_t memory_map;
    uint32_t memory_map_entries, reserved;
};
static_assert(sizeof(StartInfo) == 56);

struct ModuleEntry {
    uint64_t start, bytes, cmdline, reserved;
};

struct MapEntry {
    uint64_t start, bytes;
    uint32_t type, reserved;
};

} // namespace

uint64_t pvh_info_bytes(uint64_t modules, uint64_t ranges) {
    return sizeof(StartInfo) + modules * sizeof(ModuleEntry) + ranges * sizeof(MapEntry);
}

void make_pvh_info(const prologue_handoff& handoff, uint64_t window, uint8_t* at, uint64_t phys) {
    const auto phys_of = [&](const char* text) {
        return reinterpret_cast<uint64_t>(text) - window;
    };
    auto* const start = reinterpret_cast<StartInfo*>(at);
    auto* const modules = reinterpret_cast<ModuleEntry*>(start + 1);
    auto* const map = reinterpret_cast<MapEntry*>(modules + handoff.module_count);
    const uint64_t modules_phys = phys + sizeof *start;
    *start = {PVH_MAGIC,
              1,
              0,
              static_cast<uint32_t>(handoff.module_count),
              handoff.module_count == 0 ? 0 : modules_phys,
              phys_of(handoff.cmdline),
              handoff.rsdp_phys,
              modules_phys + handoff.module_count * sizeof *modules,
              static_cast<uint32_t>(handoff.memory_count),
              0};
    for (uint64_t i = 0; i != handoff.module_count; ++i) {
        const prologue_module& module = handoff.modules[i];
        modules[i] = {module.start, module.bytes, phys_of(module.cmdline), 0};
    }
    for (uint64_t i = 0; i != handoff.memory_count; ++i) {
        const prologue_range& range = handoff.memory[i];
        map[i] = {range.start, range.end - range.start, e820_type_of(range.type), 0};
    }
}

} // namespace prologue
