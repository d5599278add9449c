// Linux's boot_params, as the parser reads it and the EFI stub writes it.
// Source: Documentation/arch/x86/boot.rst, zero-page.rst.
#pragma once
#pragma GCC visibility push(hidden)

#include "loader_info.h"

#include <stddef.h>

namespace prologue {

inline constexpr uint64_t kBootParamsBytes = 4096;
inline constexpr uint64_t kE820Entries = 128;

struct ScreenInfo {
    uint8_t before_kind[0xf];
    uint8_t kind; // orig_video_isVGA
    uint16_t reserved0;
    uint16_t width, height, depth;
    uint32_t base, size;
    uint16_t reserved1[2];
    uint16_t pitch;
    uint8_t colours[8]; // bits, then shift, of red, green, blue and none
    uint8_t reserved2[8];
    uint32_t capabilities;
    uint32_t base_high;
    uint8_t reserved3[2];
} __attribute__((packed));
static_assert(sizeof(ScreenInfo) == 0x40);

struct EfiInfo {
    char signature[4]; // EL32 or EL64, where the loader was EFI's
    uint32_t system_table;
    uint32_t descriptor_bytes, descriptor_version;
    uint32_t memory_map, memory_map_bytes;
    uint32_t system_table_high, memory_map_high;
} __attribute__((packed));

struct BootParams {
    ScreenInfo screen;
    uint8_t reserved0[0x58 - 0x40];
    uint64_t tboot;
    uint8_t reserved12[0x70 - 0x60];
    uint64_t rsdp;
    uint8_t reserved1[0xc0 - 0x78];
    uint32_t ramdisk_start_high, ramdisk_bytes_high, cmdline_high;
    uint8_t reserved2[0x13c - 0xcc];
    uint32_t cc_blob;
    uint8_t reserved3[0x1c0 - 0x140];
    EfiInfo efi;
    uint8_t reserved4[0x1e8 - 0x1e0];
    uint8_t e820_count;
    uint8_t reserved5[0x1ef - 0x1e9];
    uint8_t sentinel;
    uint8_t reserved6[0x201 - 0x1f0];
    uint8_t header_rest; // the setup header ends as many bytes behind 0x202
    uint32_t magic;
    uint16_t version;
    uint8_t reserved7[0x218 - 0x208];
    uint32_t ramdisk_start, ramdisk_bytes;
    uint8_t reserved8[0x228 - 0x220];
    uint32_t cmdline;
    uint8_t reserved9[0x23c - 0x22c];
    uint32_t subarch;
    uint8_t reserved10[0x250 - 0x240];
    uint64_t setup_data;
    uint8_t reserved11[0x2d0 - 0x258];
    RawRange e820[kE820Entries];
} __attribute__((packed));
static_assert(offsetof(BootParams, tboot) == 0x58);
static_assert(offsetof(BootParams, rsdp) == 0x70);
static_assert(offsetof(BootParams, cc_blob) == 0x13c);
static_assert(offsetof(BootParams, efi) == 0x1c0);
static_assert(offsetof(BootParams, e820_count) == 0x1e8);
static_assert(offsetof(BootParams, magic) == 0x202);
static_assert(offsetof(BootParams, subarch) == 0x23c);
static_assert(offsetof(BootParams, setup_data) == 0x250);
static_assert(offsetof(BootParams, e820) == 0x2d0);

// Kinds of ScreenInfo.
inline constexpr uint8_t kVesaFramebuffer = 0x23, kEfiFramebuffer = 0x70;
inline constexpr uint32_t kBaseIs64Bits = 2; // of its capabilities

// The list that extends boot_params, and which of its pieces lead to more.
// Source: Linux, arch/x86/include/uapi/asm/setup_data.h.
struct SetupData {
    uint64_t next;
    uint32_t type, bytes;
} __attribute__((packed));
inline constexpr uint32_t kStubPiece = 0x676f6c50; // "Plog": the EFI stub's own
enum SetupDataType : uint32_t {
    kE820Extension = 1,
    kEfiOfOldKernel = 4,
    kConfidentialComputing = 7,
    kImaLog = 8,
    kSeed = 9,
    kHandover = 10,
    kIndirect = 1u << 31, // a bit: of a type that is elsewhere
};
struct Indirect {
    uint32_t type, reserved;
    uint64_t bytes, start;
};
struct EfiOfOldKernel {
    uint64_t vendor, reserved;
    uint64_t tables, smbios;
};
struct Piece {
    uint64_t start, bytes;
};
struct Handover {
    Piece device_tree, scratch;
};

// What the EFI stub says that Linux's protocol has no place for.
inline constexpr uint64_t kStubMagic = 0x62757453676f6c50;
struct StubPiece {
    SetupData data;
    uint64_t magic;
    uint64_t smbios_phys;
    uint64_t image_handle; // where the boot services run; else 0
} __attribute__((packed));

struct ConfidentialComputingPiece {
    SetupData data;
    uint32_t blob_phys;
} __attribute__((packed));

// What the piece leads to, AMD's: where an SNP guest's two pages are (Linux:
// arch/x86/include/asm/sev.h, cc_blob_sev_info).
struct ConfidentialBlob {
    static constexpr uint32_t kMagic = 0x45444d41; // "AMDE"
    uint32_t magic;
    uint16_t version, reserved;
    uint64_t secrets;
    uint32_t secrets_bytes, reserved1;
    uint64_t cpuid;
    uint32_t cpuid_bytes, reserved2;
} __attribute__((packed));
static_assert(sizeof(ConfidentialBlob) == 40);

struct SeedPiece {
    SetupData data;
    uint8_t seed[32];
};

} // namespace prologue

#pragma GCC visibility pop
