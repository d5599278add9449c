// ACPI's list of processors. Sources: ACPI 6.5, 5.2.5 (RSDP), 5.2.7 (RSDT), 5.2.8 (XSDT), 5.2.12
// (MADT) and 5.2.12.19 (the mailbox). Every length and checksum is the firmware's word.
#include "madt.h"

namespace prologue {
namespace {

struct Rsdp {
    char signature[8];
    uint8_t checksum;
    char oem[6];
    uint8_t revision;
    uint32_t rsdt;
    uint32_t bytes; // from revision 2
    uint64_t xsdt;
    uint8_t checksum_of_all;
    uint8_t reserved[3];
} __attribute__((packed));
constexpr uint64_t kRsdp1Bytes = 20;
constexpr uint64_t kRsdpSignature = 0x2052545020445352; // "RSD PTR "

struct Header {
    uint32_t signature;
    uint32_t bytes;
    uint8_t revision, checksum;
    char oem[26];
} __attribute__((packed));
static_assert(sizeof(Header) == 36);

constexpr uint32_t kRsdt = 0x54445352, kXsdt = 0x54445358, kMadt = 0x43495041; // "RSDT", "APIC"
constexpr uint64_t kMadtBytes = sizeof(Header) + 8;
constexpr uint64_t kMostBytes = 1 << 20; // of a table: 40,000 processors

enum EntryType : uint8_t {
    kLocalApic = 0,
    kLocalApicAddress = 5,
    kLocalX2apic = 9,
    kMailbox = 16,
};

struct Entry {
    uint8_t type, bytes;
} __attribute__((packed));

struct LocalApic {
    Entry entry;
    uint8_t acpi_id, apic_id;
    uint32_t flags;
} __attribute__((packed));

struct LocalX2apic {
    Entry entry;
    uint16_t reserved;
    uint32_t apic_id, flags, acpi_id;
} __attribute__((packed));

struct LocalApicAddress {
    Entry entry;
    uint16_t reserved;
    uint64_t phys;
} __attribute__((packed));

struct Mailbox {
    Entry entry;
    uint16_t version;
    uint32_t reserved;
    uint64_t phys;
} __attribute__((packed));

constexpr uint32_t kEnabled = 1;
constexpr uint32_t kMostXapicId = 254; // 255 is all of them

bool sums_to_zero(const PhysReader& memory, uint64_t phys, uint64_t bytes) {
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

// The header of a table that is whole.
bool table_at(const PhysReader& memory, uint64_t phys, Header& header) {
    return memory.get(phys, header) && header.bytes >= sizeof header &&
           header.bytes <= kMostBytes && phys + header.bytes > phys &&
           sums_to_zero(memory, phys, header.bytes);
}

struct Search {
    const PhysReader& memory;
    prologue_cpus& cpus;

    prologue_cpus_result refuse(uint64_t phys, prologue_cpus_result why) const {
        cpus.refused_phys = phys;
        return why;
    }
};

// The table of tables: where it lies, and how many bytes an address has in it.
struct Root {
    uint64_t phys = 0;
    unsigned address_bytes = 0;
};

prologue_cpus_result find_root(const Search& search, uint64_t at, Root& root) {
    Rsdp rsdp = {};
    uint64_t signature;
    if (at == 0)
        return PROLOGUE_CPUS_NO_MADT;
    if (!search.memory.read(search.memory.context, at, &rsdp, kRsdp1Bytes))
        return search.refuse(at, PROLOGUE_CPUS_BAD_TABLE);
    __builtin_memcpy(&signature, rsdp.signature, sizeof signature);
    if (signature != kRsdpSignature || !sums_to_zero(search.memory, at, kRsdp1Bytes))
        return search.refuse(at, PROLOGUE_CPUS_BAD_TABLE);
    root = {rsdp.rsdt, 4};
    if (rsdp.revision >= 2) {
        // An XSDT that cannot be had leaves the RSDT, as with other kernels.
        const bool whole = search.memory.get(at, rsdp) && rsdp.bytes >= sizeof rsdp &&
                           rsdp.bytes <= 4096 && sums_to_zero(search.memory, at, rsdp.bytes);
        if (whole && rsdp.xsdt != 0)
            root = {rsdp.xsdt, 8};
    }
    return PROLOGUE_CPUS_DONE;
}

prologue_cpus_result find_madt(const Search& search, const Root& root, uint64_t& madt,
                               Header& header) {
    Header list;
    if (!table_at(search.memory, root.phys, list) ||
        list.signature != (root.address_bytes == 8 ? kXsdt : kRsdt))
        return search.refuse(root.phys, PROLOGUE_CPUS_BAD_TABLE);
    const uint64_t end = root.phys + list.bytes;
    for (uint64_t at = root.phys + sizeof list; end - at >= root.address_bytes;
         at += root.address_bytes) {
        madt = 0;
        if (!search.memory.read(search.memory.context, at, &madt, root.address_bytes))
            return search.refuse(at, PROLOGUE_CPUS_BAD_TABLE);
        if (!search.memory.get(madt, header.signature) || header.signature != kMadt)
            continue;
        if (!table_at(search.memory, madt, header) || header.bytes < kMadtBytes)
            return search.refuse(madt, PROLOGUE_CPUS_BAD_TABLE);
        return PROLOGUE_CPUS_DONE;
    }
    return PROLOGUE_CPUS_NO_MADT;
}

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
    const bool reached = cpus.x2apic != 0 || apic_id <= kMostXapicId;
    cpus.cpu[cpus.count] = {.index = cpus.count,
                            .apic_id = apic_id,
                            .acpi_id = acpi_id,
                            .state = reached ? PROLOGUE_CPU_STOPPED : PROLOGUE_CPU_UNREACHABLE,
                            .stack_bottom = 0,
                            .stack_top = 0,
                            .own = nullptr};
    ++cpus.count;
}

template <class T>
bool entry_at(const Search& search, uint64_t at, const Entry& entry, T& to) {
    return entry.bytes >= sizeof to && search.memory.get(at, to);
}

bool read_entry(const Search& search, uint64_t at, const Entry& entry) {
    prologue_cpus& cpus = search.cpus;
    if (entry.type == kLocalApic) {
        LocalApic cpu;
        if (!entry_at(search, at, entry, cpu))
            return false;
        if (cpu.apic_id <= kMostXapicId)
            add(cpus, cpu.apic_id, cpu.acpi_id, cpu.flags);
    } else if (entry.type == kLocalX2apic) {
        LocalX2apic cpu;
        if (!entry_at(search, at, entry, cpu))
            return false;
        if (cpu.apic_id != 0xffffffff)
            add(cpus, cpu.apic_id, cpu.acpi_id, cpu.flags);
    } else if (entry.type == kLocalApicAddress) {
        LocalApicAddress address;
        if (!entry_at(search, at, entry, address))
            return false;
        cpus.apic_phys = address.phys;
    } else if (entry.type == kMailbox) {
        Mailbox mailbox;
        if (!entry_at(search, at, entry, mailbox))
            return false;
        cpus.mailbox_phys = mailbox.phys;
    }
    return true;
}

} // namespace

prologue_cpus_result read_madt(const PhysReader& memory, uint64_t rsdp, prologue_cpus& cpus) {
    const Search search = {memory, cpus};
    Root root;
    uint64_t madt = 0;
    Header header = {};
    uint32_t address;
    prologue_cpus_result result = find_root(search, rsdp, root);
    if (result == PROLOGUE_CPUS_DONE)
        result = find_madt(search, root, madt, header);
    if (result != PROLOGUE_CPUS_DONE)
        return result;
    if (!memory.get(madt + sizeof(Header), address))
        return search.refuse(madt, PROLOGUE_CPUS_BAD_TABLE);
    cpus.apic_phys = address;
    const uint64_t end = madt + header.bytes;
    for (uint64_t at = madt + kMadtBytes; at < end;) {
        Entry entry;
        if (end - at < sizeof entry || !memory.get(at, entry) || entry.bytes < sizeof entry ||
            entry.bytes > end - at || !read_entry(search, at, entry))
            return search.refuse(at, PROLOGUE_CPUS_BAD_TABLE);
        at += entry.bytes;
    }
    return PROLOGUE_CPUS_DONE;
}

} // namespace prologue
