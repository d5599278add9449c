// Places a guest's image in its memory and sets the state of its first instruction.
#pragma once

#include "guest.h"
#include "images.h"

namespace sevhost {

// What the firmware's tables say of the machine, at the addresses that they were
// built for: the guest's devices are the machine's own.
struct FirmwareTables {
    GuestPhys acpi_start = 0, acpi_end = 0; // 0: there are none
    GuestPhys rsdp = 0;
};

void place_memory(Guest& guest);

// The machine's own, where its BIOS has left it; 0: nowhere.
HostPhys find_rsdp(HostMemory& host);

// What a firmware leaves in memory for whom it starts.
FirmwareTables place_tables(Guest& guest);

void place_linux(Guest& guest, const Images& images, const FirmwareTables& tables);
void place_elf(Guest& guest, const Images& images, const FirmwareTables& tables);
void place_flat(Guest& guest, const Images& images);
void place_igvm(Guest& guest, const Images& images, const FirmwareTables& tables);

// Linux's e820 types, which PVH's memory map uses too.
enum MemoryType : uint32_t { kRam = 1, kReserved = 2, kAcpi = 3 };
struct MemoryRange {
    GuestPhys start;
    uint64_t bytes;
    MemoryType type;
};
constexpr unsigned kMaxMemoryRanges = 8;
struct MemoryMap {
    MemoryRange ranges[kMaxMemoryRanges];
    unsigned count = 0;

    void add(GuestPhys start, GuestPhys end, MemoryType type) {
        if (end > start && count != kMaxMemoryRanges)
            ranges[count++] = {start, end - start, type};
    }
};
MemoryMap memory_map_of(Guest& guest, const FirmwareTables& tables);

// Pages of the guest's memory that the host fills, out of what it is told to use.
namespace layout {
constexpr GuestPhys kSetupData = 0x8f000; // in RAM: what is reserved, Linux maps as shared
constexpr GuestPhys kHostPages = 0x90000; // from here to 0xa0000 is reserved for them
constexpr GuestPhys kBootParams = 0x90000;
constexpr GuestPhys kGdt = 0x91000;
constexpr GuestPhys kOldGhcb = 0x92000; // of a firmware
constexpr GuestPhys kCcBlob = 0x93000;
constexpr GuestPhys kSecretsPage = 0x94000;
constexpr GuestPhys kCpuidPage = 0x95000;
constexpr GuestPhys kStartInfo = 0x96000;
constexpr GuestPhys kRsdp = 0x97000;
constexpr GuestPhys kCmdline = 0x98000;
constexpr uint64_t kCmdlineBytes = 0x4000;
constexpr GuestPhys kWaitingRoom = 0x9c000; // code, and the AP jump table
constexpr GuestPhys kHostPagesEnd = 0xa0000;
constexpr GuestPhys kHighMemory = 0x100000;
} // namespace layout

// 32-bit protected mode with flat segments and paging off: CS 0x10, data 0x18, as
// Linux's 32-bit protocol wants them and PVH and Multiboot allow.
void enter_protected32(Guest& guest, uint32_t entry);

// What a processor does at reset: real mode, at 16 bytes below 4 GiB.
void enter_reset(Guest& guest);

// SNP: the secrets page, the CPUID page, and the blob that tells where they are.
void place_snp_pages(Guest& guest);

void place_cmdline(Guest& guest, Text cmdline, uint64_t limit);

} // namespace sevhost
