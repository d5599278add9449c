// Lies before the first instruction: SNP's pages, and what nobody measured.
#include <string.h>

#include "ghcb_msr_protocol.h"
#include "hostile.h"
#include "launch.h"
#include "snp.h"
#include "snp_pages.h"

namespace sevhost {
namespace {

constexpr uint32_t kEncryptionEaxSev = 1u << 1 | 1u << 3 | 1u << 4;
constexpr uint64_t kOneGib = 1u << 30;

void validate_all(Guest& guest) {
    for (unsigned i = 0; i != guest.memory.count(); ++i)
        for (GuestPhys at = 0; at != guest.memory[i].bytes; at += kPageBytes)
            guest.rmp.set_validated(guest.memory[i].start + at, true);
    hostile_acted(guest);
}

// Where the guest has asked for it.
template <void (*change)(CpuidPage&)>
void change_cpuid_page(Guest& guest) {
    if (guest.snp_pages.cpuid == 0)
        return;
    change(*reinterpret_cast<CpuidPage*>(
        guest.memory.at(guest.snp_pages.cpuid, kPageBytes, Backing::private_)));
    hostile_acted(guest);
}

void too_many_entries(CpuidPage& page) {
    page.count = 0xffff;
}

void no_entries(CpuidPage& page) {
    page.count = 0;
}

CpuidEntry& encryption_leaf(CpuidPage& page) {
    unsigned i = 0;
    while (page.entries[i].eax_in != kCpuidMemoryEncryption)
        ++i; // it is there, since the guest is one of SNP
    return page.entries[i];
}
void wrong_c_bit(CpuidPage& page) {
    encryption_leaf(page).ebx ^= 1;
}
void hide_sev(CpuidPage& page) {
    encryption_leaf(page).eax &= ~kEncryptionEaxSev;
}

// A fetch of code is of a page that is not validated there, since the reverse map knows under
// which address it is (APM vol. 2, 15.36.10).
void wrong_c_bit_everywhere(Guest& guest) {
    guest.ghcb_msr ^= uint64_t{1} << ghcb_msr::kCBitShift;
    change_cpuid_page<wrong_c_bit>(guest);
    hostile_acted(guest);
}
uint64_t wrong_c_bit_by_msr(Guest&, uint64_t, uint64_t honest) {
    const bool sev_info = (honest & ghcb_msr::kCodeMask) == ghcb_msr::kSevInfo;
    return sev_info ? honest ^ 1ull << ghcb_msr::kCBitShift : honest;
}
Cpuid wrong_c_bit_by_cpuid(Guest&, uint32_t leaf, uint32_t, Cpuid honest) {
    if (leaf == kCpuidMemoryEncryption)
        honest.ebx ^= 1;
    return honest;
}

// Each leaf a second time, with another answer, behind the first.
void contradict(CpuidPage& page) {
    const uint32_t count = page.count;
    for (uint32_t i = 0; i != count && page.count != kMaxCpuidEntries; ++i) {
        CpuidEntry again = page.entries[i];
        again.eax ^= ~0u;
        again.ebx ^= ~0u;
        page.entries[page.count++] = again;
    }
}

void garbage_in_reserved(CpuidPage& page) {
    page.reserved1 = ~0u;
    page.reserved2 = ~uint64_t{0};
    for (CpuidEntry& entry : page.entries)
        entry.reserved = ~uint64_t{0};
}

void unvalidate_cpuid_page(Guest& guest) {
    if (guest.snp_pages.cpuid == 0)
        return;
    guest.rmp.set_validated(guest.snp_pages.cpuid, false);
    forget_page(guest, guest.snp_pages.cpuid);
    hostile_acted(guest);
}

void other_secrets(Guest& guest) {
    if (guest.snp_pages.secrets == 0)
        return;
    memset(guest.memory.at(guest.snp_pages.secrets, kPageBytes, Backing::private_), 0xff,
           kPageBytes);
    hostile_acted(guest);
}

void blob_without_magic(Guest& guest) {
    if (CcBlob* found = changed_blob(guest))
        found->magic = 0;
}
template <int pages_behind_memory>
void blob_elsewhere(Guest& guest) {
    if (CcBlob* found = changed_blob(guest))
        found->cpuid = found->secrets = guest.settings.memory_bytes +
                                        pages_behind_memory * int64_t{kPageBytes};
}
void blob_sizes(Guest& guest) {
    if (CcBlob* found = changed_blob(guest))
        found->cpuid_bytes = found->secrets_bytes = 16;
}

void map_too_large(Guest& guest, MemoryMap& map) {
    map.add(guest.settings.memory_bytes, guest.settings.memory_bytes + kOneGib, kRam);
    hostile_acted(guest);
}

void map_overlaps(Guest& guest, MemoryMap& map) {
    map.add(0, layout::kHighMemory, kRam);
    map.add(layout::kHighMemory, 2 * layout::kHighMemory, kReserved);
    hostile_acted(guest);
}

void map_empty(Guest& guest, MemoryMap& map) {
    map.count = 0;
    hostile_acted(guest);
}

void map_wraps(Guest& guest, MemoryMap& map) {
    map.add(~uint64_t{0} - kPageBytes + 1, ~uint64_t{0}, kRam);
    map.ranges[map.count - 1].bytes = ~uint64_t{0};
    hostile_acted(guest);
}

void change_cmdline(Guest& guest) {
    static constexpr char kWords[] = "said-by-the-host";
    place_bytes(guest, layout::kCmdline, kWords, sizeof kWords, "the command line");
    hostile_acted(guest);
}

void launch_at_vmpl_1(Guest& guest) {
    guest.rmp.set_vmpl(1);
    hostile_acted(guest);
}

using enum HostileClass;
// A row an entry.
// clang-format off
constexpr Hostile kEntries[] = {
    {.name = "launched-at-vmpl-1", .kind = detected, .guests = kOnSnp,
     .right_guest = "terminates: it may not validate its memory, and serves no SVSM",
     .at_launch = launch_at_vmpl_1},
    {.name = "launch-validates-all", .kind = detected, .guests = kOnSnp,
     .right_guest = "terminates: PVALIDATE's carry says that the page was validated already",
     .at_launch = validate_all},
    {.name = "cpuid-page-too-many", .kind = detected, .guests = kOnSnp,
     .right_guest = "terminates: the page has no room for so many",
     .at_launch = change_cpuid_page<too_many_entries>},
    {.name = "cpuid-page-empty", .kind = detected, .guests = kOnSnp,
     .right_guest = "terminates: leaves that it needs are not there",
     .at_launch = change_cpuid_page<no_entries>},
    {.name = "cpuid-page-wrong-c-bit", .kind = detected, .guests = kOnSnp,
     .right_guest = "terminates: the page and SEV_INFO disagree",
     .at_launch = change_cpuid_page<wrong_c_bit>},
    {.name = "wrong-c-bit-everywhere", .kind = denial, .guests = kOnSnp,
     .right_guest = "never goes on: nothing of its own is at such addresses",
     .at_launch = wrong_c_bit_everywhere, .msr_response = wrong_c_bit_by_msr,
     .cpuid = wrong_c_bit_by_cpuid},
    {.name = "cpuid-page-hides-sev", .kind = harmless, .guests = kOnSnp,
     .right_guest = "believes SEV_STATUS", .at_launch = change_cpuid_page<hide_sev>},
    {.name = "cpuid-page-contradicts", .kind = harmless, .guests = kOnSnp,
     .right_guest = "takes the first entry that fits", .at_launch = change_cpuid_page<contradict>},
    {.name = "cpuid-page-garbage-in-reserved", .kind = harmless, .guests = kOnSnp,
     .right_guest = "looks at the fields only",
     .at_launch = change_cpuid_page<garbage_in_reserved>},
    {.name = "cpuid-page-not-validated", .kind = detected, .guests = kOnSnp,
     .right_guest = "terminates: a page of its own is not validated",
     .at_launch = unvalidate_cpuid_page},
    {.name = "secrets-page-ones", .kind = harmless, .guests = kOnSnp,
     .right_guest = "does not use keys of a version that it does not know",
     .at_launch = other_secrets},
    {.name = "blob-without-magic", .kind = detected, .guests = kOnSnp,
     .right_guest = "terminates: there is no CPUID page", .at_launch = blob_without_magic},
    {.name = "blob-elsewhere", .kind = detected, .guests = kOnSnp,
     .right_guest = "terminates: no CPUID page is there", .at_launch = blob_elsewhere<-1>},
    {.name = "blob-outside", .kind = denial, .guests = kOnSnp,
     .right_guest = "never goes on: its access to what is no memory of its own faults to the host",
     .at_launch = blob_elsewhere<0>},
    {.name = "blob-sizes", .kind = detected, .guests = kOnSnp,
     .right_guest = "terminates: the pages would be shorter than a page",
     .at_launch = blob_sizes},
    {.name = "memory-map-too-large", .kind = denial, .guests = kOnBoth,
     .right_guest = "ends at its first access to memory that is not there",
     .memory_map = map_too_large},
    {.name = "memory-map-overlaps", .kind = harmless, .guests = kOnBoth,
     .right_guest = "uses no memory that is reserved as well", .memory_map = map_overlaps},
    {.name = "memory-map-empty", .kind = denial, .guests = kOnBoth,
     .right_guest = "ends: it has no memory", .memory_map = map_empty},
    {.name = "memory-map-wraps", .kind = harmless, .guests = kOnBoth,
     .right_guest = "leaves the range out, and tells so: none ends behind the last address",
     .memory_map = map_wraps},
    {.name = "cmdline-changed", .kind = not_detectable, .guests = kOnBoth,
     .right_guest = "believes it, since nobody measured it", .at_launch = change_cmdline},
};
// clang-format on

} // namespace

CcBlob* changed_blob(Guest& guest) {
    if (guest.snp_pages.blob == 0)
        return nullptr;
    hostile_acted(guest);
    return reinterpret_cast<CcBlob*>(
        guest.memory.at(guest.snp_pages.blob, sizeof(CcBlob), Backing::private_));
}

const HostileTable kLiesAtLaunch = hostile_table(kEntries);

} // namespace sevhost
