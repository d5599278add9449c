// Lies about where things are: pointers of the loader's into what is secret, and a map that says
// of memory that it is none.
#include <string.h>

#include "hostile.h"
#include "launch.h"
#include "snp_pages.h"

namespace sevhost {
namespace {

constexpr GuestPhys kSecret = 0x200000; // free memory, which the canary fills
constexpr uint32_t kModuleCountAt = 12, kModulesAt = 16, kCmdlineAt = 0x228;
constexpr uint32_t kStartInfoMagic = 0x336ec578; // PVH's: by another protocol nobody reads it
constexpr uint32_t kKeyAt = 0x20; // VMPCK0

// PVH's list of modules, one of them, is what is secret.
void modules_at_secret(Guest& guest) {
    uint8_t* const info = guest.memory.at(layout::kStartInfo, kPageBytes, Backing::private_);
    const uint32_t count = 1;
    if (memcmp(info, &kStartInfoMagic, sizeof kStartInfoMagic) != 0)
        return;
    memcpy(info + kModuleCountAt, &count, sizeof count);
    memcpy(info + kModulesAt, &kSecret, sizeof kSecret);
    hostile_acted(guest);
}

// Linux's command line is the first key of the secrets page, made of letters to be read well.
void cmdline_at_secrets(Guest& guest) {
    uint8_t* const params = guest.memory.at(layout::kBootParams, kPageBytes, Backing::private_);
    uint8_t* const secrets = guest.memory.at(layout::kSecretsPage, kPageBytes, Backing::private_);
    memcpy(secrets + kKeyAt, "VMPCK0-is-32-bytes-of-AES-256-k!", 32);
    const uint32_t at = layout::kSecretsPage + kKeyAt;
    memcpy(params + kCmdlineAt, &at, sizeof at);
    hostile_acted(guest);
}

void secrets_are_usable(Guest& guest, MemoryMap& map) {
    map.count = 0;
    map.add(0x1000, 0x8f000, kReserved);
    map.add(layout::kSecretsPage, layout::kSecretsPage + kPageBytes, kRam);
    map.add(layout::kHighMemory, guest.settings.memory_bytes, kRam);
    hostile_acted(guest);
}

// What lies from here on is RAM, and left out.
constexpr GuestPhys kLeftOutFrom = 0x2000000;
void window_is_no_memory(Guest& guest, MemoryMap& map) {
    map.count = 0;
    map.add(0x1000, 0x8f000, kRam);
    map.add(layout::kHighMemory, kLeftOutFrom, kRam);
    hostile_acted(guest);
}

using enum HostileClass;
constexpr Hostile kEntries[] = {
    {.name = "pvh-modules-at-secret", .kind = detected, .guests = kOnBoth,
     .right_guest = "ends, and says nothing of what it read", .at_launch = modules_at_secret},
    {.name = "cmdline-at-secrets", .kind = detected, .guests = kOnSnp,
     .right_guest = "ends: the secrets page is no command line", .at_launch = cmdline_at_secrets},
    {.name = "secrets-page-usable", .kind = harmless, .guests = kOnSnp,
     .right_guest = "uses no page of SNP's", .memory_map = secrets_are_usable},
    {.name = "window-no-memory", .kind = harmless, .guests = kOnBoth,
     .right_guest = "shows no window that its kernel wishes for as memory",
     .memory_map = window_is_no_memory},
};

} // namespace

const HostileTable kLiesOfPlaces = hostile_table(kEntries);

} // namespace sevhost
