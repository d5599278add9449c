// A firmware image, which ends at 4 GiB and is entered at the reset vector
// (APM vol. 2, 14.1.3).
#include "intercepts.h"
#include "launch.h"
#include "outcome.h"
#include "place.h"
#include "platform_memory.h"

namespace sevhost {
namespace {

constexpr GuestPhys kFourGib = uint64_t{1} << 32;
constexpr GuestPhys kLowCopyEnd = 0x100000; // a PC shows the end of its firmware here too
constexpr uint64_t kLowCopyBytes = 128 << 10;
constexpr uint64_t kMaxFirmwareBytes = 16 << 20;

} // namespace

void place_flat(Guest& guest, const Images& images) {
    const Module& image = images.image;
    if (image.bytes % kPageBytes != 0 || image.bytes > kMaxFirmwareBytes)
        fail("a firmware image of ", decimal(image.bytes),
             " bytes is not whole pages, or more than 16 MiB");
    const GuestPhys start = kFourGib - image.bytes;
    add_memory(guest, start, image.bytes, "the firmware");
    place_bytes(guest, start, image.data, image.bytes, "the firmware");
    const uint64_t low = image.bytes < kLowCopyBytes ? image.bytes : kLowCopyBytes;
    place_bytes(guest, kLowCopyEnd - low, image.data + image.bytes - low, low, "the firmware");
    hide_host_memory(guest);
    intercept_memory_ports();
    enter_reset(guest);
}

} // namespace sevhost
