// A Linux bzImage, entered by the 32-bit protocol (Documentation/arch/x86/boot.rst).
#include <string.h>

#include "launch.h"
#include "outcome.h"
#include "place.h"

namespace sevhost {
namespace {

// Offsets in the zero page, and in the image's first sectors.
namespace at {
constexpr unsigned kAcpiRsdp = 0x70;
constexpr unsigned kE820Count = 0x1e8;
constexpr unsigned kSetupSectors = 0x1f1;
constexpr unsigned kHeader = kSetupSectors;
constexpr unsigned kHeaderSpan = 0x201; // the header ends at 0x202 + the byte here
constexpr unsigned kMagic = 0x202;
constexpr unsigned kVersion = 0x206;
constexpr unsigned kLoaderType = 0x210;
constexpr unsigned kInitrd = 0x218;
constexpr unsigned kInitrdBytes = 0x21c;
constexpr unsigned kCmdline = 0x228;
constexpr unsigned kInitrdMax = 0x22c;
constexpr unsigned kCmdlineMax = 0x238;
constexpr unsigned kCode32Start = 0x214;
constexpr unsigned kSetupData = 0x250;
constexpr unsigned kPrefAddress = 0x258;
constexpr unsigned kInitSize = 0x260;
constexpr unsigned kE820Table = 0x2d0;
} // namespace at

constexpr uint32_t kHdrS = 0x53726448;
constexpr uint16_t kOldestVersion = 0x020c; // with init_size and pref_address
constexpr uint32_t kSetupCcBlob = 7;
constexpr uint8_t kUndefinedLoader = 0xff;
constexpr uint64_t kSectorBytes = 512;
constexpr unsigned kDefaultSetupSectors = 4;
constexpr unsigned kHeaderStartToSpan = 0x202;

struct [[gnu::packed]] E820Entry {
    uint64_t start, bytes;
    uint32_t type;
};
static_assert(sizeof(E820Entry) == 20);

template <typename T>
T read(const uint8_t* from, unsigned offset) {
    T value;
    memcpy(&value, from + offset, sizeof value);
    return value;
}

template <typename T>
void write(uint8_t* to, unsigned offset, T value) {
    memcpy(to + offset, &value, sizeof value);
}

void check_header(const Module& image) {
    if (image.bytes < kPageBytes || read<uint32_t>(image.data, at::kMagic) != kHdrS)
        fail("the image is no bzImage: no HdrS at 0x202");
    const auto version = read<uint16_t>(image.data, at::kVersion);
    if (version < kOldestVersion)
        fail("the bzImage has boot protocol ", hex(version), ": ", hex(kOldestVersion),
             " is the oldest that is served");
}

void place_kernel(Guest& guest, const Module& image, uint64_t load, uint64_t init_bytes) {
    unsigned sectors = image.data[at::kSetupSectors];
    if (sectors == 0)
        sectors = kDefaultSetupSectors;
    const uint64_t setup = (sectors + 1) * kSectorBytes;
    if (setup >= image.bytes)
        fail("the bzImage ends in its setup part: ", decimal(image.bytes), " bytes");
    place_nothing(guest, load, init_bytes, "the kernel");
    place_bytes(guest, load, image.data + setup, image.bytes - setup, "the kernel");
}

void place_initrd(Guest& guest, const Module& initrd, uint8_t* params, uint64_t kernel_end) {
    if (!initrd)
        return;
    uint64_t end = guest.settings.memory_bytes;
    const uint64_t highest = uint64_t{read<uint32_t>(params, at::kInitrdMax)} + 1;
    if (end > highest)
        end = highest;
    const uint64_t start = (end - initrd.bytes) & ~(kPageBytes - 1);
    if (initrd.bytes > end || start < kernel_end)
        fail("the initrd of ", decimal(initrd.bytes), " bytes does not fit behind the kernel");
    place_bytes(guest, start, initrd.data, initrd.bytes, "the initrd");
    write<uint32_t>(params, at::kInitrd, static_cast<uint32_t>(start));
    write<uint32_t>(params, at::kInitrdBytes, static_cast<uint32_t>(initrd.bytes));
}

void write_memory_map(uint8_t* params, const MemoryMap& map) {
    for (unsigned i = 0; i != map.count; ++i) {
        const MemoryRange& range = map.ranges[i];
        write(params, at::kE820Table + i * sizeof(E820Entry),
              E820Entry{range.start, range.bytes, range.type});
    }
    write<uint8_t>(params, at::kE820Count, static_cast<uint8_t>(map.count));
}

// The one entry of the list of setup data: where the blob of place_snp.cpp lies.
GuestPhys place_setup_data(Guest& guest) {
    struct [[gnu::packed]] {
        uint64_t next;
        uint32_t type, bytes, cc_blob;
    } data = {0, kSetupCcBlob, sizeof data.cc_blob, static_cast<uint32_t>(layout::kCcBlob)};
    place_bytes(guest, layout::kSetupData, &data, sizeof data, "setup data");
    return layout::kSetupData;
}

} // namespace

void place_linux(Guest& guest, const Images& images, const FirmwareTables& tables) {
    const Module& image = images.image;
    check_header(image);
    uint8_t params[kPageBytes] = {};
    const unsigned header_end = kHeaderStartToSpan + image.data[at::kHeaderSpan];
    memcpy(params + at::kHeader, image.data + at::kHeader, header_end - at::kHeader);

    const auto load = read<uint64_t>(params, at::kPrefAddress);
    const auto init_bytes = read<uint32_t>(params, at::kInitSize);
    place_kernel(guest, image, load, init_bytes);
    place_initrd(guest, images.initrd, params, load + init_bytes);
    place_cmdline(guest, image.rest, uint64_t{read<uint32_t>(params, at::kCmdlineMax)} + 1);

    write<uint8_t>(params, at::kLoaderType, kUndefinedLoader);
    write<uint32_t>(params, at::kCode32Start, static_cast<uint32_t>(load));
    write<uint32_t>(params, at::kCmdline, static_cast<uint32_t>(layout::kCmdline));
    write<uint64_t>(params, at::kAcpiRsdp, tables.rsdp);
    write_memory_map(params, memory_map_of(guest, tables));
    if (guest.snp()) {
        guest.snp_pages = {layout::kCpuidPage, layout::kSecretsPage, layout::kCcBlob};
        write<uint64_t>(params, at::kSetupData, place_setup_data(guest));
    }
    place_bytes(guest, layout::kBootParams, params, sizeof params, "the zero page");

    enter_protected32(guest, static_cast<uint32_t>(load));
    guest.gprs[rsi] = layout::kBootParams;
}

} // namespace sevhost
