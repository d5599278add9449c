// boot_params, as a loader of Linux leaves it.
#include "loader_images.h"

#include <algorithm>

namespace prologue::test {
namespace {

using namespace linux_boot;

void put_entry(FakeMemory& memory, uint64_t address, const StatedRange& range) {
    memory.put(address, range.start);
    memory.put(address + 8, range.bytes);
    memory.put(address + 16, range.type);
}

void put_screen(FakeMemory& memory, uint64_t info, const prologue_framebuffer& framebuffer) {
    memory.put<uint8_t>(info + kScreenKind, 0x70); // EFI's
    memory.put(info + kScreenWidth, static_cast<uint16_t>(framebuffer.width));
    memory.put(info + kScreenWidth + 2, static_cast<uint16_t>(framebuffer.height));
    memory.put<uint16_t>(info + kScreenWidth + 4, framebuffer.bits_per_pixel);
    memory.put(info + kScreenBase, static_cast<uint32_t>(framebuffer.phys));
    memory.put(info + kScreenPitch, static_cast<uint16_t>(framebuffer.pitch));
    const uint8_t colours[] = {framebuffer.red_bits,   framebuffer.red_shift,
                               framebuffer.green_bits, framebuffer.green_shift,
                               framebuffer.blue_bits,  framebuffer.blue_shift};
    memory.put_bytes(info + kScreenColours, colours, sizeof colours);
    memory.put<uint32_t>(info + kScreenCapabilities, 2);
    memory.put(info + kScreenBaseHigh, static_cast<uint32_t>(framebuffer.phys >> 32));
}

} // namespace

uint64_t put_linux(FakeMemory& memory, const Stated& stated, const Places& places) {
    const uint64_t info = places.info;
    memory.put(info, std::array<uint8_t, kBytes>{});
    memory.put<uint8_t>(info + kHeaderRest, 0x6a);
    memory.put<uint32_t>(info + kMagic, 0x53726448);
    memory.put<uint16_t>(info + kVersion, 0x20f);
    const uint64_t here = std::min<uint64_t>(stated.memory.size(), kMapMost);
    memory.put(info + kMapEntries, static_cast<uint8_t>(here));
    for (uint64_t i = 0; i != here; ++i)
        put_entry(memory, info + kMap + i * kMapEntryBytes, stated.memory[i]);
    if (const uint64_t more = stated.memory.size() - here; more != 0) {
        memory.put(info + kSetupData, places.map);
        memory.put<uint64_t>(places.map, 0);
        memory.put<uint32_t>(places.map + kDataType, 1);
        memory.put(places.map + kDataBytes, static_cast<uint32_t>(more * kMapEntryBytes));
        for (uint64_t i = 0; i != more; ++i)
            put_entry(memory, places.map + kDataPayload + i * kMapEntryBytes,
                      stated.memory[here + i]);
    }
    if (!stated.modules.empty()) {
        const StatedModule& ramdisk = stated.modules[0];
        memory.put(info + kRamdisk, static_cast<uint32_t>(ramdisk.start));
        memory.put(info + kRamdiskHigh, static_cast<uint32_t>(ramdisk.start >> 32));
        memory.put(info + kRamdiskBytes, static_cast<uint32_t>(ramdisk.bytes));
        memory.put(info + kRamdiskBytesHigh, static_cast<uint32_t>(ramdisk.bytes >> 32));
    }
    if (stated.cmdline) {
        memory.put(info + kCmdline, static_cast<uint32_t>(places.cmdline));
        memory.put(info + kCmdlineHigh, static_cast<uint32_t>(places.cmdline >> 32));
        memory.put_text(places.cmdline, *stated.cmdline);
    }
    memory.put(info + kRsdp, stated.rsdp);
    if (stated.framebuffer)
        put_screen(memory, info, *stated.framebuffer);
    return info;
}

} // namespace prologue::test
