// UEFI with its boot services running: what is asked of it at the entry, and the
// way back to it for the kernel. Linked by PROLOGUE_WISH_BOOT_SERVICES alone.
// Source: UEFI 2.10, sections 4.3, 4.4 and 7.2.
#include "prologue/boot_services.h"

#pragma GCC visibility push(hidden)
#include "bits.h"
#include "boot_services.h"
#include "bytes.h"
#include "contract_magic.h"
#include "cpu.h"
#include "efi_map.h"
#include "errors.h"
#include "loader_info.h"
#include "page_tables.h"
#include "sev_bits.h"

extern "C" {
extern uint64_t prologue_firmware_code_phys; // of prologue_firmware_code
extern uint64_t prologue_firmware_bridge_phys;
extern const char prologue_firmware_code[];
uint64_t prologue_switch_to_firmware(uint64_t function, const uint64_t* arguments);
void prologue_ask_firmware(const uint8_t* info, uint32_t magic);
prologue::ParseLoaderInfo prologue_parse_running_multiboot2;
}

namespace prologue {
namespace {

#define EFIAPI __attribute__((ms_abi))
using Status = uint64_t;

constexpr uint32_t kAllocateMaxAddress = 1;
constexpr uint32_t kLoaderData = 2;

// The parts of EFI_SYSTEM_TABLE and EFI_BOOT_SERVICES that are used.
struct BootServices {
    uint64_t before[5];
    Status(EFIAPI* allocate_pages)(uint32_t how, uint32_t type, uint64_t pages, uint64_t* start);
    uint64_t free_pages;
    Status(EFIAPI* get_memory_map)(uint64_t* bytes, void* map, uint64_t* key, uint64_t* stride,
                                   uint32_t* version);
};
static_assert(__builtin_offsetof(BootServices, allocate_pages) == 0x28 &&
              __builtin_offsetof(BootServices, get_memory_map) == 0x38);

struct SystemTable {
    uint64_t before[12];
    const BootServices* boot_services;
};
static_assert(__builtin_offsetof(SystemTable, boot_services) == 0x60);

constexpr Status kBufferTooSmall = uint64_t{1} << 63 | 5;
constexpr uint64_t kMostMapBytes = kMiB;  // eight times as much is what the handoff can need
constexpr uint64_t kMoreDescriptors = 64; // asking for memory makes some

// Tables in which the code of the switch is seen where it runs for the kernel, and
// all else as the firmware has it: for the moment between two CR3s.
struct Bridge {
    uint64_t top[TABLE_ENTRIES], pdpt[TABLE_ENTRIES], pd[TABLE_ENTRIES], pt[TABLE_ENTRIES];
};
alignas(kPage) Bridge bridge;

// What has been asked.
struct Asked {
    BootServicesTags tags;
    Span own;
    Span map, ranges; // pages of the firmware's, for its map and for what that becomes
    uint64_t map_bytes = 0, stride = 0;
    uint32_t version = 0;
    bool five_levels = false;
};
constinit Asked asked;

// The switch knows nothing of a C-bit. edk2's CR3 has none, as SEV guests' need not: the
// processor says what it is, where CPUID says that it has the MSR (Linux asks so, sme_enable in
// mem_encrypt_identity.c). Who hides that has hidden a firmware's services, and no secret.
void refuse_sev() {
    constexpr uint32_t kSev = 2;
    if (cpuid_eax(CPUID_EXTENDED_MAX) < CPUID_ENCRYPTION ||
        (cpuid_eax(CPUID_ENCRYPTION) & kSev) == 0)
        return;
    const uint64_t status = read_msr(MSR_SEV_STATUS);
    if (status != 0)
        fail_in("EFI is an SEV guest's, which the wish for boot services does not serve",
                Error::entry, status, 0);
}

uint64_t address(const void* thing) {
    return reinterpret_cast<uintptr_t>(thing);
}

const BootServices& boot_services() {
    return *reinterpret_cast<const SystemTable*>(asked.tags.system_table)->boot_services;
}

Span allocate(uint64_t bytes) {
    uint64_t start = 4 * kGiB - 1;
    const uint64_t pages = page_up(bytes) / kPage;
    const Status status = boot_services().allocate_pages(kAllocateMaxAddress, kLoaderData, pages,
                                                         &start);
    if (status != 0)
        fail_in("EFI has no memory for Prologue: status, bytes", Error::entry, status, bytes);
    return {start, start + pages * kPage};
}

// What GetMemoryMap says, with room for so many bytes.
Status ask_for_map(uint64_t& bytes) {
    uint64_t key = 0;
    const Status status = boot_services().get_memory_map(
        &bytes, reinterpret_cast<void*>(asked.map.start), &key, &asked.stride, &asked.version);
    if (status != 0 && (status != kBufferTooSmall || asked.map.start != 0))
        fail_in("EFI's memory map is not to be had: status, bytes of it", Error::entry, status,
                bytes);
    if (bytes > kMostMapBytes || asked.stride < kLeastDescriptorBytes || asked.stride > kPage)
        fail_in("EFI's memory map makes no sense: bytes, bytes of a descriptor", Error::entry,
                bytes, asked.stride);
    return status;
}

void get_memory_map() {
    uint64_t bytes = 0;
    ask_for_map(bytes);
    const uint64_t most = bytes / asked.stride + kMoreDescriptors;
    asked.ranges = allocate(ranges_for(most) * sizeof(RawRange));
    asked.map = allocate(most * asked.stride);
    bytes = most * asked.stride;
    ask_for_map(bytes);
    asked.map_bytes = (bytes < most * asked.stride ? bytes : most * asked.stride) / asked.stride *
                      asked.stride;
}

void put_map(PhysMemory& memory, LoaderInfo& loader) {
    constexpr char kWhat[] = "EFI's memory map";
    const uint8_t* const map = memory.at(kWhat, asked.map.start, asked.map.bytes());
    memory.at(kWhat, asked.ranges.start, asked.ranges.bytes());
    loader.uefi.memory_map = map;
    loader.uefi.memory_map_bytes = asked.map_bytes;
    loader.uefi.descriptor_bytes = static_cast<uint32_t>(asked.stride);
    loader.uefi.descriptor_version = asked.version;
    loader.memory = translate({map, asked.map_bytes, asked.stride}, asked.own,
                              memory.seen<RawRange>(asked.ranges.start));
}

// Shows the page of the switch at the kernel's address for it. False where the firmware
// has something there.
bool build_bridge(uint64_t code, uint64_t code_phys) {
    constexpr uint64_t kBits = PTE_PRESENT | PTE_WRITABLE;
    constexpr uint64_t kAddress = uint64_t{TABLE_ENTRIES - 1};
    const uint64_t offset = code - code_phys;
    uint64_t& top = bridge.top[code >> 39 & kAddress];
    if (prologue_firmware_bridge_phys != 0) // it stands
        return true;
    if ((top & PTE_PRESENT) != 0)
        return false;
    top = (address(bridge.pdpt) - offset) | kBits;
    bridge.pdpt[code >> 30 & kAddress] = (address(bridge.pd) - offset) | kBits;
    bridge.pd[code >> 21 & kAddress] = (address(bridge.pt) - offset) | kBits;
    bridge.pt[code >> 12 & kAddress] = page_down(code_phys) | PTE_PRESENT;
    prologue_firmware_bridge_phys = address(bridge.top) - offset;
    return true;
}

} // namespace
} // namespace prologue

using namespace prologue;

// In the loader's state, on its stack: addresses are physical. Our own EFI stub has asked for
// memory and map itself.
void prologue_ask_firmware(const uint8_t* info, uint32_t magic) {
    BootServicesTags tags;
    if (magic == MULTIBOOT2_MAGIC)
        tags = find_boot_services(info);
    else if (magic == LINUX_MAGIC)
        tags = find_boot_services(*reinterpret_cast<const BootParams*>(info));
    if (!tags.running || tags.system_table == 0)
        return;
    asked.tags = tags;
    refuse_sev();
    asked.five_levels = (read_cr4() & CR4_LA57) != 0;
    copy_bytes(reinterpret_cast<char*>(bridge.top),
               reinterpret_cast<const char*>(page_down(read_cr3())), kPage);
    prologue_firmware_code_phys = address(prologue_firmware_code);
    if (magic == LINUX_MAGIC)
        return;
    asked.own = allocate(kOwnBytes);
    get_memory_map();
}

// Multiboot 2's information, with what it lacks. In place of the parser that
// knows of no boot services.
void prologue_parse_running_multiboot2(PhysMemory& memory, uint64_t info, LoaderInfo& loader) {
    if (!asked.tags.running)
        return prologue_parse_multiboot2(memory, info, loader);
    loader.uefi.boot_services = 1;
    loader.uefi.image_handle = asked.tags.image_handle;
    put_map(memory, loader);
    prologue_parse_multiboot2(memory, info, loader);
    put_map(memory,
            loader); // not the loader's, which might call memory free that is the firmware's
}

#pragma GCC visibility pop

uint64_t prologue_call_firmware(uint64_t function, const uint64_t* arguments, uint64_t count) {
    const bool five_levels = (read_cr4() & CR4_LA57) != 0;
    if (!asked.tags.running || count > PROLOGUE_MOST_EFI_ARGUMENTS ||
        five_levels != asked.five_levels ||
        !build_bridge(address(prologue_firmware_code), prologue_firmware_code_phys))
        return PROLOGUE_EFI_UNSUPPORTED;
    uint64_t all[PROLOGUE_MOST_EFI_ARGUMENTS] = {};
    for (uint64_t i = 0; i != count; ++i)
        all[i] = arguments[i];
    return prologue_switch_to_firmware(function, all);
}
