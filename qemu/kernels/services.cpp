// A kernel with UEFI's boot services running, as one half of the demonstration
// kernel: calls them through Prologue, and ends them.
#include "console.h"
#include "prologue/boot_services.h"
#include "prologue/kernel.h"
#include "prologue/wishes.h"

PROLOGUE_WISH_BOOT_SERVICES;

namespace {

using kernel::print;
using kernel::print_decimal;
using kernel::print_hex;

constexpr uint64_t kBootServices = 0x60;
constexpr uint64_t kGetMemoryMap = 0x38, kExitBootServices = 0xe8;

uint8_t map[(1 << 20) + (64 << 10)]; // as much as Prologue takes, and what has come since
uint64_t map_bytes, key, stride, version;

uint64_t word_at(const prologue_handoff* handoff, uint64_t phys) {
    return *static_cast<const uint64_t*>(prologue_seen(handoff, phys));
}

uint64_t phys_of(const prologue_handoff* handoff, const void* thing) {
    return reinterpret_cast<uintptr_t>(thing) - handoff->kernel_offset;
}

void line(const char* key, uint64_t value) {
    print(key);
    print(": ");
    print_hex(value);
    print("\n");
}

// Pages of the firmware's map, and how many of them are of its runtime's types.
void report_pages(const char* key, const char* runtime_key, const void* descriptors, uint64_t bytes,
                  uint64_t each) {
    uint64_t pages = 0, runtime = 0;
    const auto* const start = static_cast<const char*>(descriptors);
    for (uint64_t at = 0; at != bytes; at += each) {
        const auto type = *reinterpret_cast<const uint32_t*>(start + at);
        const auto count = *reinterpret_cast<const uint64_t*>(start + at + 24);
        pages += count;
        runtime += type == 5 || type == 6 ? count : 0;
    }
    line(key, pages);
    line(runtime_key, runtime);
}

uint64_t get_memory_map(const prologue_handoff* handoff, uint64_t services) {
    map_bytes = sizeof map;
    const uint64_t arguments[] = {phys_of(handoff, &map_bytes), phys_of(handoff, map),
                                  phys_of(handoff, &key), phys_of(handoff, &stride),
                                  phys_of(handoff, &version)};
    return prologue_call_firmware(word_at(handoff, services + kGetMemoryMap), arguments, 5);
}

} // namespace

namespace kernel {

void use_boot_services(const prologue_handoff* handoff) {
    const prologue_efi& efi = handoff->efi;
    line("boot-services", efi.boot_services);
    if (efi.boot_services == 0)
        return;
    // The system table is the runtime's memory, which is not in the direct map.
    const uint64_t system_page = efi.system_table_phys & ~4095ull;
    prologue_spare_pages spare = prologue_spare(handoff);
    constexpr uint64_t kSeen = 0xffffffffc0000000;
    prologue_map_page(handoff, &spare, kSeen, system_page, 1);
    const auto* const table = reinterpret_cast<const char*>(kSeen + efi.system_table_phys -
                                                            system_page);
    const auto services = *reinterpret_cast<const uint64_t*>(table + kBootServices);
    const uint64_t status = get_memory_map(handoff, services);
    line("get-memory-map", status);
    if (status != 0) // so it is where paging's depth is not the firmware's
        return;
    report_pages("pages-at-boot", "runtime-pages-at-boot", efi.memory_map, efi.memory_map_bytes,
                 efi.descriptor_bytes);
    report_pages("pages", "runtime-pages", map, map_bytes, stride);
    const uint64_t wrong_key[] = {efi.image_handle, key + 1};
    const uint64_t exit = word_at(handoff, services + kExitBootServices);
    line("exit-with-wrong-key", prologue_call_firmware(exit, wrong_key, 2));
    line("map-for-exit", get_memory_map(handoff, services));
    const uint64_t right_key[] = {efi.image_handle, key};
    line("exit", prologue_call_firmware(exit, right_key, 2));
}

} // namespace kernel
