// The guest's memory, and the firmware's tables in it.
#include <string.h>

#include "hostile.h"
#include "launch.h"
#include "outcome.h"
#include "place.h"

namespace sevhost {
namespace {

// Where a BIOS keeps the RSDP (ACPI 5.2.5.1).
constexpr HostPhys kBiosArea = 0xe0000;
constexpr HostPhys kBiosAreaEnd = 0x100000;
constexpr GuestPhys kAbove4Gib = uint64_t{4} << 30;
constexpr uint64_t kRsdpAlignment = 16;
constexpr uint64_t kRsdpBytes = 36;
constexpr uint64_t kRsdpRsdtOffset = 16;
constexpr uint64_t kMaxTableBytes = 1 << 20;

template <typename T>
T read_window(HostMemory& host, HostPhys phys) {
    T value = 0;
    for (unsigned i = 0; i != sizeof(T); ++i)
        value |= static_cast<T>(T{*host.window(phys + i)} << (8 * i));
    return value;
}

bool is_rsdp(HostMemory& host, HostPhys phys) {
    static const char kSignature[] = "RSD PTR ";
    for (unsigned i = 0; i != sizeof kSignature - 1; ++i)
        if (*host.window(phys + i) != static_cast<uint8_t>(kSignature[i]))
            return false;
    return true;
}

void copy_window(Guest& guest, HostPhys from, uint64_t bytes, GuestPhys to) {
    for (uint64_t i = 0; i != bytes; ++i) {
        const uint8_t byte = *guest.host.window(from + i);
        place_bytes(guest, to + i, &byte, 1, "a firmware table");
    }
}

// The reserved range that holds `phys`: QEMU's ACPI tables lie in one of their own.
bool reserved_range(const HostMemory& host, HostPhys phys, prologue_range& found) {
    const prologue_handoff& handoff = host.handoff();
    for (uint64_t i = 0; i != handoff.memory_count; ++i) {
        found = handoff.memory[i];
        if (phys >= found.start && phys < found.end)
            return found.type == PROLOGUE_MEMORY_RESERVED || found.type == PROLOGUE_MEMORY_ACPI;
    }
    return false;
}

} // namespace

HostPhys find_rsdp(HostMemory& host) {
    for (HostPhys at = kBiosArea; at != kBiosAreaEnd; at += kRsdpAlignment)
        if (is_rsdp(host, at))
            return at;
    return 0;
}

void place_memory(Guest& guest) {
    add_memory(guest, 0, guest.settings.memory_bytes, "the guest");
    if (guest.settings.high_bytes != 0)
        add_memory(guest, kAbove4Gib, guest.settings.high_bytes, "the guest, above 4 GiB");
}

FirmwareTables place_tables(Guest& guest) {
    HostMemory& host = guest.host;
    const HostPhys rsdp = find_rsdp(host);
    if (rsdp == 0)
        return {};
    const HostPhys rsdt = read_window<uint32_t>(host, rsdp + kRsdpRsdtOffset);
    prologue_range range;
    if (!reserved_range(host, rsdt, range) || range.end - range.start > kMaxTableBytes ||
        range.start < guest.settings.memory_bytes)
        return {};
    add_memory(guest, range.start, range.end - range.start, "the ACPI tables");
    copy_window(guest, range.start, range.end - range.start, range.start);
    copy_window(guest, rsdp, kRsdpBytes, layout::kRsdp);
    return {range.start, range.end, layout::kRsdp};
}

MemoryMap memory_map_of(Guest& guest, const FirmwareTables& tables) {
    MemoryMap map;
    map.add(0, layout::kHostPages, kRam);
    map.add(layout::kHostPages, layout::kHostPagesEnd, kReserved);
    map.add(kBiosArea, kBiosAreaEnd, kReserved);
    map.add(layout::kHighMemory, guest.settings.memory_bytes, kRam);
    map.add(kAbove4Gib, kAbove4Gib + guest.settings.high_bytes, kRam);
    map.add(tables.acpi_start, tables.acpi_end, kAcpi);
    hostile_memory_map(guest, map);
    return map;
}

void place_cmdline(Guest& guest, Text cmdline, uint64_t limit) {
    if (cmdline.size >= limit || cmdline.size >= layout::kCmdlineBytes)
        fail("the guest's command line has ", decimal(cmdline.size), " bytes, and room for ",
             decimal(limit < layout::kCmdlineBytes ? limit : layout::kCmdlineBytes));
    place_zeros(guest, layout::kCmdline, cmdline.size + 1, "the command line");
    place_bytes(guest, layout::kCmdline, cmdline.data, cmdline.size, "the command line");
}

} // namespace sevhost
