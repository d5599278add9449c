// Lies about where things are: pointers of the loader's into what is secret, and a map that says
// of memory that it is none.
#include <string.h>

#include "hostile.h"
#include "launch.h"
#include "snp_pages.h"

namespace sevhost {
namespace {

constexpr GuestPhys kSecret = 0x200000; // free memory, which the canary fills
constexpr uint32_t kModuleCountAt = 12, kModulesAt = 16, kPvhCmdlineAt = 24; // hvm_start_info
constexpr uint32_t kLinuxCmdlineAt = 0x228;                                  // boot_params
constexpr uint32_t kKeyAt = 0x20;                                            // VMPCK0

// Whose structure it is that the guest is entered with: with a state file it may be neither's.
bool is_by_pvh(const Guest& guest) {
    return guest.gprs[rbx] == layout::kStartInfo;
}
bool is_by_linux(const Guest& guest) {
    return guest.gprs[rsi] == layout::kBootParams;
}

uint8_t* private_page(const Guest& guest, GuestPhys page) {
    return guest.memory.at(page, kPageBytes, Backing::private_);
}

// PVH's list of modules, one of them, is what is secret.
void modules_at_secret(Guest& guest) {
    if (!is_by_pvh(guest))
        return;
    uint8_t* const info = private_page(guest, layout::kStartInfo);
    const uint32_t count = 1;
    memcpy(info + kModuleCountAt, &count, sizeof count);
    memcpy(info + kModulesAt, &kSecret, sizeof kSecret);
    hostile_acted(guest);
}

// The command line is the first key of the secrets page, made of letters to be read well.
void cmdline_at_secrets(Guest& guest) {
    const GuestPhys secrets = guest.snp_pages.secrets, at = secrets + kKeyAt;
    if (secrets == 0 || (!is_by_pvh(guest) && !is_by_linux(guest)))
        return;
    memcpy(private_page(guest, secrets) + kKeyAt, "VMPCK0-is-32-bytes-of-AES-256-k!", 32);
    if (is_by_pvh(guest))
        memcpy(private_page(guest, layout::kStartInfo) + kPvhCmdlineAt, &at, sizeof at);
    else
        memcpy(private_page(guest, layout::kBootParams) + kLinuxCmdlineAt, &at, sizeof(uint32_t));
    hostile_acted(guest);
}

void secrets_are_usable(Guest& guest, MemoryMap& map) {
    map.count = 0;
    map.add(0x1000, 0x8f000, kReserved);
    map.add(layout::kSecretsPage, layout::kSecretsPage + kPageBytes, kRam);
    map.add(layout::kHighMemory, guest.settings.memory_bytes, kRam);
    hostile_acted(guest);
}

// What the blob says of the two pages. In length, they reach over all that there is.
void pages_are_long(Guest& guest) {
    constexpr uint32_t kAlmostOneGib = (1 << 30) - kPageBytes;
    if (CcBlob* found = changed_blob(guest))
        found->cpuid_bytes = found->secrets_bytes = kAlmostOneGib;
}

// ... and what the secrets page is, too: the image's first instruction, the other page, what the
// loader told.
GuestPhys entry_page(const Guest& guest) {
    const uint64_t entry = guest.save().cs.base + guest.save().rip;
    return entry - entry % kPageBytes;
}
GuestPhys cpuid_page(const Guest& guest) {
    return guest.snp_pages.cpuid;
}
GuestPhys information_page(const Guest& guest) {
    const uint64_t info = guest.gprs[is_by_linux(guest) ? rsi : rbx];
    return info - info % kPageBytes;
}
template <GuestPhys (*page)(const Guest&)>
void secrets_lie_on(Guest& guest) {
    if (CcBlob* found = changed_blob(guest))
        found->secrets = page(guest);
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
// A row an entry.
// clang-format off
constexpr Hostile kEntries[] = {
    {.name = "pvh-modules-at-secret", .kind = detected, .guests = kOnBoth,
     .right_guest = "ends, and says nothing of what it read", .at_launch = modules_at_secret},
    {.name = "cmdline-at-secrets", .kind = detected, .guests = kOnSnp,
     .right_guest = "ends: the secrets page is no command line", .at_launch = cmdline_at_secrets},
    {.name = "secrets-page-usable", .kind = harmless, .guests = kOnSnp,
     .right_guest = "uses no page of SNP's", .memory_map = secrets_are_usable},
    {.name = "blob-long-pages", .kind = harmless, .guests = kOnSnp,
     .right_guest = "takes one page each", .at_launch = pages_are_long,
     .memory_map = secrets_are_usable},
    {.name = "blob-secrets-on-image", .kind = detected, .guests = kOnSnp,
     .right_guest = "terminates: the page cannot be its own code", .at_launch = secrets_lie_on<entry_page>},
    {.name = "blob-secrets-on-cpuid-page", .kind = detected, .guests = kOnSnp,
     .right_guest = "terminates: one page cannot be both", .at_launch = secrets_lie_on<cpuid_page>},
    {.name = "blob-secrets-on-information", .kind = detected, .guests = kOnSnp,
     .right_guest = "terminates: the page cannot be what led to it",
     .at_launch = secrets_lie_on<information_page>},
    {.name = "window-no-memory", .kind = harmless, .guests = kOnBoth,
     .right_guest = "shows no window that its kernel wishes for as memory",
     .memory_map = window_is_no_memory},
};
// clang-format on

} // namespace

const HostileTable kLiesOfPlaces = hostile_table(kEntries);

} // namespace sevhost
