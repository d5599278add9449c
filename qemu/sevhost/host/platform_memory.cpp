#include "platform_memory.h"

#include <string.h>

#include "fw_cfg_kernel.h"
#include "machine.h"
#include "outcome.h"
#include "platform.h"

namespace sevhost {
namespace {

// fw_cfg (QEMU: docs/specs/fw_cfg.rst)
constexpr uint16_t kKeyId = 0x0001;
constexpr uint16_t kKeyRamBytes = 0x0003;
constexpr uint16_t kKeyDirectory = 0x0019;
constexpr uint8_t kIdHasDma = 1 << 1;
constexpr unsigned kMaxFiles = 256;
constexpr unsigned kNameBytes = 56;
constexpr char kMemoryMapFile[] = "etc/e820";

// A PC's CMOS: where BIOSes keep memory's size.
constexpr uint8_t kCmosIndexMask = 0x7f;
constexpr uint8_t kCmosAbove1M[] = {0x17, 0x30}; // KiB, 16 bits, at most 63 MiB
constexpr uint8_t kCmosAbove16M = 0x34;          // 64 KiB, 16 bits
constexpr uint8_t kCmosAbove4G = 0x5b;           // 64 KiB, 24 bits
constexpr uint64_t kOneMib = 1 << 20;
constexpr uint64_t kMostAbove1M = 63 << 10;
constexpr uint64_t kLowestHole = uint64_t{3} << 30; // where QEMU's PC starts its PCI addresses

struct [[gnu::packed]] MapEntry {
    uint64_t start, bytes;
    uint32_t type;
};
static_assert(sizeof(MapEntry) == 20);
constexpr uint32_t kTypeRam = 1;
constexpr uint32_t kTypeReserved = 2;

bool active;
uint64_t memory_bytes;
uint16_t map_key;
uint16_t key;
uint64_t offset; // in the file that is selected
uint8_t cmos_index;

void select(uint16_t wanted) {
    out16(kPortFwCfgSelect, wanted);
}

uint32_t read_big_endian(unsigned bytes) {
    uint32_t value = 0;
    for (unsigned i = 0; i != bytes; ++i)
        value = value << 8 | in8(kPortFwCfgData);
    return value;
}

// The key of the file with the memory map; 0 where there is none.
uint16_t find_map_key() {
    select(kKeyDirectory);
    uint32_t files = read_big_endian(4);
    if (files > kMaxFiles)
        files = kMaxFiles;
    for (uint32_t i = 0; i != files; ++i) {
        read_big_endian(4); // its size
        const auto found = static_cast<uint16_t>(read_big_endian(2));
        read_big_endian(2); // reserved
        char name[kNameBytes];
        for (char& c : name)
            c = static_cast<char>(in8(kPortFwCfgData));
        if (memcmp(name, kMemoryMapFile, sizeof kMemoryMapFile) == 0)
            return found;
    }
    return 0;
}

template <typename T>
uint8_t byte_of(const T& value, uint64_t at) {
    uint8_t bytes[sizeof value];
    memcpy(bytes, &value, sizeof value);
    return bytes[at % sizeof value];
}

// One range of RAM; what else the file has becomes empty.
uint8_t map_byte(uint64_t at) {
    if (at < sizeof(MapEntry))
        return byte_of(MapEntry{0, memory_bytes, kTypeRam}, at);
    return byte_of(MapEntry{0, 0, kTypeReserved}, at);
}

uint8_t fw_cfg_byte() {
    const uint64_t at = offset++;
    uint8_t kernels;
    if (kernel_byte(key, at, kernels)) // the machine's own kernel is the host itself
        return kernels;
    const uint8_t real = in8(kPortFwCfgData);
    if (key == kKeyId && at == 0)
        return static_cast<uint8_t>(real & ~kIdHasDma);
    if (key == kKeyRamBytes && at < sizeof memory_bytes)
        return byte_of(memory_bytes, at);
    return key == map_key && map_key != 0 ? map_byte(at) : real;
}

uint8_t cmos_byte() {
    const uint64_t above_1m = (memory_bytes - kOneMib) >> 10;
    for (uint8_t index : kCmosAbove1M)
        if (cmos_index == index || cmos_index == index + 1)
            return byte_of(above_1m < kMostAbove1M ? above_1m : kMostAbove1M,
                           static_cast<uint64_t>(cmos_index - index));
    if (cmos_index == kCmosAbove16M || cmos_index == kCmosAbove16M + 1)
        return byte_of((memory_bytes - 16 * kOneMib) >> 16,
                       static_cast<uint64_t>(cmos_index - kCmosAbove16M));
    if (cmos_index >= kCmosAbove4G && cmos_index < kCmosAbove4G + 3)
        return 0;
    return in8(kPortCmosData);
}

bool is_dma(uint16_t port) {
    return port >= kPortFwCfgDma && port < kPortFwCfgDma + kFwCfgDmaBytes;
}

} // namespace

void hide_host_memory(Guest& guest) {
    memory_bytes = guest.settings.memory_bytes;
    if (memory_bytes < 32 * kOneMib || memory_bytes > kLowestHole)
        fail("firmware is given 32 MiB to 3 GiB of memory, not ", decimal(memory_bytes >> 20),
             " MiB");
    map_key = find_map_key();
    active = true;
}

bool memory_port_in(uint16_t port, unsigned bytes, uint32_t& value) {
    if (!active)
        return false;
    if (port == kPortFwCfgData && bytes == 1)
        value = fw_cfg_byte();
    else if (port == kPortCmosData && bytes == 1)
        value = cmos_byte();
    else if (is_dma(port))
        value = ~0u; // as of a port that nobody answers
    else
        return false;
    return true;
}

bool memory_port_out(uint16_t port, unsigned bytes, uint32_t value) {
    if (!active)
        return false;
    if (port == kPortFwCfgSelect && bytes == 2) {
        key = static_cast<uint16_t>(value);
        offset = 0;
    }
    if (port == kPortCmosIndex && bytes == 1)
        cmos_index = value & kCmosIndexMask;
    return is_dma(port);
}

} // namespace sevhost
