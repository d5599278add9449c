// The tables at the end of an OVMF image, by which its builder speaks to whoever launches it
// (edk2: OvmfPkg/ResetVector/Ia16/ResetVectorVtf0.asm and X64/OvmfSevMetadata.asm; QEMU:
// hw/i386/pc_sysfw_ovmf.c and target/i386/sev.c).
#pragma once

#include <stdint.h>

#include "arch.h"

namespace sevhost {

struct FirmwareImage {
    const uint8_t* data;
    uint64_t bytes;
};

struct Guid {
    uint8_t bytes[16];
};

// What launching as SNP makes of a range (the sections of the metadata).
enum class SectionType : uint32_t {
    memory = 1, // validated, zeros
    secrets = 2,
    cpuid = 3,
    svsm_calls = 4, // as memory, where there is no SVSM
    kernel_hashes = 0x10,
};
struct Section {
    uint32_t base, bytes;
    SectionType type;
};
constexpr unsigned kMaxSections = 32;
struct Sections {
    Section list[kMaxSections];
    unsigned count = 0;
    const char* wrong = nullptr; // nullptr: the list is whole
};
Sections read_sections(const FirmwareImage& image);

// Where the hashes of a kernel, its initrd and its command line go; of 0 bytes where nowhere.
struct HashesPlace {
    uint32_t base, bytes;
};
HashesPlace read_hashes_place(const FirmwareImage& image);

// Where the processors behind the first begin as SEV-ES and SNP (QEMU: sev_es_parse_reset_block);
// 0: it does not say.
uint32_t read_ap_reset(const FirmwareImage& image);

} // namespace sevhost
