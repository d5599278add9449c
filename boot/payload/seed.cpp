#include "seed.h"

#include "contract_magic.h"

namespace prologue {
namespace {

constexpr unsigned kMostPieces = 64; // as linux.cpp has it

bool is_loaders(const prologue_handoff& handoff, uint64_t start, uint64_t bytes) {
    for (uint64_t i = 0; i != handoff.memory_count; ++i) {
        const prologue_range& range = handoff.memory[i];
        if (range.type == PROLOGUE_MEMORY_LOADER && start >= range.start && start < range.end)
            return bytes <= range.end - start;
    }
    return false;
}

} // namespace

Text loader_seed(const prologue_handoff& handoff, uint64_t window) {
    if (handoff.loader_magic != LINUX_MAGIC ||
        !is_loaders(handoff, handoff.loader_info_phys, sizeof(BootParams)))
        return {};
    const auto seen = [&](uint64_t phys) {
        return reinterpret_cast<const char*>(static_cast<uintptr_t>(window + phys));
    };
    const auto* const params = reinterpret_cast<const BootParams*>(seen(handoff.loader_info_phys));
    uint64_t at = params->setup_data;
    for (unsigned left = kMostPieces; left != 0 && is_loaders(handoff, at, sizeof(SetupData));
         --left) {
        const auto data = read_unaligned<SetupData>(seen(at));
        const uint64_t payload = at + sizeof data;
        if (data.type == kSeed && is_loaders(handoff, payload, data.bytes))
            return {seen(payload), data.bytes};
        at = data.next;
    }
    return {};
}

} // namespace prologue
