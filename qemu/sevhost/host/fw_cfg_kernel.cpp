#include "fw_cfg_kernel.h"

#include "outcome.h"

namespace sevhost {
namespace {

constexpr uint64_t kSectorBytes = 512;
constexpr unsigned kSetupSectorsOffset = 0x1f1;
constexpr uint64_t kDefaultSetupSectors = 4;

struct Part {
    const uint8_t* data = nullptr;
    uint64_t bytes = 0;
};

// A part has a key for its size, of 32 bits, and one for its bytes.
struct Keys {
    uint16_t size, bytes;
    Part part;
};
enum { kKernel, kSetup, kInitrd, kCmdline };
Keys parts[] = {{0x08, 0x11, {}}, {0x17, 0x18, {}}, {0x0b, 0x12, {}}, {0x14, 0x15, {}}};

uint64_t setup_bytes(const Module& kernel) {
    if (kernel.bytes <= kSetupSectorsOffset)
        fail("the kernel for the firmware has ", decimal(kernel.bytes), " bytes: no bzImage");
    const uint64_t sectors = kernel.data[kSetupSectorsOffset];
    const uint64_t bytes = ((sectors == 0 ? kDefaultSetupSectors : sectors) + 1) * kSectorBytes;
    if (bytes > kernel.bytes)
        fail("the kernel for the firmware ends in its setup part");
    return bytes;
}

} // namespace

// A module's string ends in a NUL, which is part of the command line.
void offer_kernel(const Images& images) {
    const Module& kernel = images.kernel;
    if (!kernel)
        return;
    const uint64_t setup = setup_bytes(kernel);
    parts[kSetup].part = {kernel.data, setup};
    parts[kKernel].part = {kernel.data + setup, kernel.bytes - setup};
    parts[kInitrd].part = {images.initrd.data, images.initrd.bytes};
    parts[kCmdline].part = {reinterpret_cast<const uint8_t*>(kernel.rest.data),
                            kernel.rest.size + 1};
}

bool kernel_byte(uint16_t key, uint64_t offset, uint8_t& byte) {
    for (const Keys& keys : parts) {
        if (key == keys.size)
            byte = offset < 4 ? static_cast<uint8_t>(keys.part.bytes >> 8 * offset) : 0;
        else if (key == keys.bytes)
            byte = offset < keys.part.bytes ? keys.part.data[offset] : 0;
        else
            continue;
        return true;
    }
    return false;
}

} // namespace sevhost
