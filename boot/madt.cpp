// ACPI's list of processors. Sources: ACPI 6.5, 5.2.5 (RSDP), 5.2.7 (RSDT), 5.2.8 (XSDT), 5.2.12
// (MADT) and 5.2.12.19 (the mailbox). Every length and checksum is the firmware's word.
#include "madt.h"

#include "ranges.h"

namespace prologue {
namespace {

struct Rsdp {
    uint64_t signature;
    uint8_t checksum;
    char oem[6];
    uint8_t revision;
    uint32_t rsdt;
    uint32_t bytes; // from revision 2
    uint64_t xsdt;
    uint8_t checksum_of_all;
    uint8_t reserved[3];
} __attribute__((packed));
constexpr uint64_t kRsdp1Bytes = 20, kMostRsdpBytes = 4096;
constexpr uint64_t kRsdpSignature = 0x2052545020445352; // "RSD PTR "

struct Header {
    uint32_t signature;
    uint32_t bytes;
    uint8_t revision, checksum;
    char oem[26];
} __attribute__((packed));
static_assert(sizeof(Header) == 36);

constexpr uint32_t kRsdt = 0x54445352, kXsdt = 0x54445358, kMadt = 0x43495041; // "RSDT", "APIC"
constexpr uint64_t kMadtBytes = sizeof(Header) + 8; // the APIC's address is for its own MSR to say
constexpr uint64_t kMostBytes = 1 << 20;            // of a table: 40,000 processors

enum EntryType : uint8_t {
    kLocalApic = 0,
    kLocalApicAddress = 5,
    kLocalX2apic = 9,
    kMailbox = 16,
};

// An entry, as far as those of any type are read.
struct Entry {
    uint8_t type, bytes;
    uint8_t acpi_id, apic_id; // a local APIC's, whose flags are word 0
    uint32_t word[3];         // an x2APIC's: its id, flags, ACPI's id
};
static_assert(sizeof(Entry) == 16);

constexpr unsigned least_bytes(uint8_t type) {
    switch (type) {
    case kLocalApic:
        return 8;
    case kLocalApicAddress:
        return 12;
    case kLocalX2apic:
    case kMailbox:
        return 16;
    default:
        return 2;
    }
}

constexpr uint32_t kEnabled = 1;
constexpr uint32_t kMostXapicId = 254; // 255 is all of them
constexpr uint32_t kAllX2apics = 0xffffffff;

[[clang::minsize]] bool sums_to_zero(const PhysReader& memory, uint64_t phys, uint64_t bytes) {
    uint8_t sum = 0, buffer[64];
    for (uint64_t done = 0; done < bytes;) {
        const uint64_t now = bytes - done < sizeof buffer ? bytes - done : sizeof buffer;
        if (!memory.read(memory.context, phys + done, buffer, now))
            return false;
        for (uint64_t i = 0; i != now; ++i)
            sum = static_cast<uint8_t>(sum + buffer[i]);
        done += now;
    }
    return sum == 0;
}

struct Search {
    const PhysReader& memory;
    prologue_cpus& cpus;
    Header header; // of the table that was opened last

    // A refusal is about what was looked at last.
    prologue_cpus_result refuse(uint64_t phys) const {
        cpus.refused_phys = phys;
        return PROLOGUE_CPUS_BAD_TABLE;
    }

    // A table that is whole.
    bool open(uint64_t phys, uint32_t signature, uint64_t least) {
        return memory.get(phys, header) && header.signature == signature && header.bytes >= least &&
               header.bytes <= kMostBytes && sums_to_zero(memory, phys, header.bytes);
    }
};

// Firmware lists some processors twice: as a local APIC and as an x2APIC.
void add(prologue_cpus& cpus, uint32_t apic_id, uint32_t acpi_id, uint32_t flags) {
    if ((flags & kEnabled) == 0) // it may be plugged in one day, by ACPI's methods
        return;
    for (uint32_t i = 0; i != cpus.count; ++i)
        if (cpus.cpu[i].apic_id == apic_id) {
            if (cpus.cpu[i].state == PROLOGUE_CPU_BOOT)
                cpus.cpu[i].acpi_id = acpi_id;
            return;
        }
    ++cpus.found;
    if (cpus.count == cpus.room)
        return;
    const bool reached = cpus.x2apic != 0 || (cpus.apic_phys != 0 && apic_id <= kMostXapicId);
    prologue_cpu& cpu = cpus.cpu[cpus.count];
    cpu = {.index = cpus.count++,
           .apic_id = apic_id,
           .acpi_id = acpi_id,
           .state = reached ? PROLOGUE_CPU_STOPPED : PROLOGUE_CPU_UNREACHABLE};
}

// False where it names what cannot be.
bool read_entry(const Search& search, const Entry& entry) {
    prologue_cpus& cpus = search.cpus;
    if (entry.type == kLocalApic && entry.apic_id <= kMostXapicId)
        add(cpus, entry.apic_id, entry.acpi_id, entry.word[0]);
    if (entry.type == kLocalX2apic && entry.word[0] != kAllX2apics)
        add(cpus, entry.word[0], entry.word[2], entry.word[1]);
    if (entry.type != kMailbox)
        return true;
    uint32_t order; // it is written to the page
    cpus.mailbox_phys = entry.word[1] | uint64_t{entry.word[2]} << 32;
    return cpus.mailbox_phys % kPage == 0 && search.memory.get(cpus.mailbox_phys, order);
}

prologue_cpus_result read_entries(const Search& search, uint64_t madt) {
    const uint64_t end = madt + search.header.bytes;
    for (uint64_t at = madt + kMadtBytes; at < end;) {
        Entry entry = {};
        const uint64_t left = end - at;
        if (!search.memory.read(search.memory.context, at, &entry,
                                left < sizeof entry ? left : sizeof entry) ||
            entry.bytes < least_bytes(entry.type) || entry.bytes > left ||
            !read_entry(search, entry))
            return search.refuse(at);
        at += entry.bytes;
    }
    return PROLOGUE_CPUS_DONE;
}

// By the table of tables, which was opened, and in which an address has so many bytes.
[[clang::minsize]] prologue_cpus_result read_tables(Search& search, uint64_t root,
                                                    unsigned address_bytes) {
    const uint64_t end = root + search.header.bytes;
    for (uint64_t at = root + sizeof(Header); end - at >= address_bytes; at += address_bytes) {
        uint64_t table = 0;
        uint32_t signature;
        if (!search.memory.read(search.memory.context, at, &table, address_bytes) ||
            !search.memory.get(table, signature) || signature != kMadt)
            continue;
        return search.open(table, kMadt, kMadtBytes) ? read_entries(search, table)
                                                     : search.refuse(table);
    }
    return PROLOGUE_CPUS_NO_MADT;
}

} // namespace

[[clang::minsize]] prologue_cpus_result read_madt(const PhysReader& memory, uint64_t at,
                                                  prologue_cpus& cpus) {
    Search search = {memory, cpus, {}};
    Rsdp rsdp = {};
    if (at == 0)
        return PROLOGUE_CPUS_NO_MADT;
    if (!memory.read(memory.context, at, &rsdp, kRsdp1Bytes) || rsdp.signature != kRsdpSignature ||
        !sums_to_zero(memory, at, kRsdp1Bytes))
        return search.refuse(at);
    const bool has_xsdt = rsdp.revision >= 2 && memory.get(at, rsdp) && rsdp.bytes >= sizeof rsdp &&
                          rsdp.bytes <= kMostRsdpBytes && sums_to_zero(memory, at, rsdp.bytes) &&
                          rsdp.xsdt != 0;
    if (has_xsdt && search.open(rsdp.xsdt, kXsdt, sizeof(Header)))
        return read_tables(search, rsdp.xsdt, 8);
    // One that cannot be had leaves the RSDT, as with other kernels.
    if (search.open(rsdp.rsdt, kRsdt, sizeof(Header)))
        return read_tables(search, rsdp.rsdt, 4);
    return search.refuse(has_xsdt ? rsdp.xsdt : rsdp.rsdt);
}

} // namespace prologue
