// A boot by Multiboot 2 with UEFI's boot services running: what must be asked of
// the firmware, since the loader's information has no memory map.
#pragma once
#pragma GCC visibility push(hidden)

#include "boot_params.h"
#include "loader_info.h"

namespace prologue {

// What the information says about the firmware; all zero where the boot services
// have been ended, or where its list of tags is broken (which its parser will say).
struct BootServicesTags {
    bool running = false;
    uint64_t system_table = 0;
    uint64_t image_handle = 0;
};
BootServicesTags find_boot_services(const uint8_t* info);
// The same of boot_params, as our own EFI stub leaves them.
BootServicesTags find_boot_services(const BootParams& params);

// Memory for Prologue's tables and the handoff, asked for because no other is ours.
// The kernel gets what is left as usable.
inline constexpr uint64_t kOwnBytes = 8 * kMiB;

// The firmware's memory map, as GetMemoryMap gives it.
struct FirmwareMap {
    const uint8_t* descriptors;
    uint64_t bytes;
    uint64_t stride;
};

// Each descriptor becomes two ranges at the most; then there is our own.
constexpr uint64_t ranges_for(uint64_t descriptors) {
    return 2 * descriptors + 1;
}

// The loader-neutral map: usable is only what the firmware gave us, `own`. Free
// memory and the boot services' are in the firmware's use. Fills `ranges`.
RawMap translate(const FirmwareMap& map, Span own, RawRange* ranges);

} // namespace prologue

#pragma GCC visibility pop
