// A firmware image, which ends at 4 GiB and is entered at the reset vector
// (APM vol. 2, 14.1.3).
#include "firmware_tables.h"
#include "fw_cfg_kernel.h"
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

// What QEMU does with each section before the first instruction (target/i386/sev.c,
// snp_populate_metadata_pages).
void place_section(Guest& guest, const Section& section) {
    switch (section.type) {
    case SectionType::secrets:
        guest.snp_pages.secrets = section.base;
        return;
    case SectionType::cpuid:
        guest.snp_pages.cpuid = section.base;
        return;
    case SectionType::memory:
    case SectionType::svsm_calls:
    case SectionType::kernel_hashes:
        place_zeros(guest, section.base, section.bytes, "a section of the firmware's metadata");
        return;
    }
    fail("the firmware's SEV metadata has a section of type ",
         decimal(static_cast<uint32_t>(section.type)), ", which is not known");
}

void place_sections(Guest& guest, const FirmwareImage& image) {
    const Sections sections = read_sections(image);
    if (sections.wrong != nullptr)
        fail("the firmware cannot be started as SNP: ", sections.wrong);
    for (unsigned i = 0; i != sections.count; ++i)
        place_section(guest, sections.list[i]);
}

// QEMU's kernel-hashes=on: what the firmware is to hold against what fw_cfg hands it.
void place_hashes(Guest& guest, const FirmwareImage& image, const Module& hashes) {
    const HashesPlace place = read_hashes_place(image);
    if (!hashes || place.bytes == 0)
        return;
    if (hashes.bytes > place.bytes)
        fail("the hashes of the kernel have ", decimal(hashes.bytes),
             " bytes, and the firmware "
             "has room for ",
             decimal(place.bytes));
    place_bytes(guest, place.base, hashes.data, hashes.bytes, "the hashes of the kernel");
}

// A PC shows the end of its firmware below 1 MiB too; not in a guest whose firmware is in
// memory of its own, as SNP's is.
void place_low_copy(Guest& guest, const Module& image) {
    const uint64_t low = image.bytes < kLowCopyBytes ? image.bytes : kLowCopyBytes;
    place_bytes(guest, kLowCopyEnd - low, image.data + image.bytes - low, low, "the firmware");
}

} // namespace

void place_flat(Guest& guest, const Images& images) {
    const Module& image = images.image;
    if (image.bytes % kPageBytes != 0 || image.bytes > kMaxFirmwareBytes)
        fail("a firmware image of ", decimal(image.bytes),
             " bytes is not whole pages, or more than 16 MiB");
    const GuestPhys start = kFourGib - image.bytes;
    add_memory(guest, start, image.bytes, "the firmware");
    place_bytes(guest, start, image.data, image.bytes, "the firmware");
    if (guest.snp())
        place_sections(guest, {image.data, image.bytes});
    else
        place_low_copy(guest, image);
    if (guest.encrypted())
        place_hashes(guest, {image.data, image.bytes}, images.hashes);
    guest.vm.ap_reset = read_ap_reset({image.data, image.bytes});
    hide_host_memory(guest);
    offer_kernel(images);
    intercept_memory_ports();
    enter_reset(guest);
}

} // namespace sevhost
