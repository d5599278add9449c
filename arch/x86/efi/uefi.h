// What the stub uses of UEFI. Source: UEFI 2.10, section 4 (tables), 7 (boot
// services), 9 (loaded image), 12.9 (graphics), 13.2 and 13.4 to 13.5 (files).
#pragma once
#pragma GCC visibility push(hidden)

#include <stddef.h>
#include <stdint.h>

namespace prologue::efi {

#define EFIAPI __attribute__((ms_abi))

using Status = uint64_t;
using Handle = void*;
using Char16 = char16_t;

inline constexpr Status kError = uint64_t{1} << 63;
inline constexpr Status kSuccess = 0, kLoadError = kError | 1, kInvalidParameter = kError | 2,
                        kBufferTooSmall = kError | 5, kOutOfResources = kError | 9,
                        kNotFound = kError | 14;

struct Guid {
    uint32_t a;
    uint16_t b, c;
    uint8_t d[8];

    bool operator==(const Guid&) const = default;
};

inline constexpr Guid kLoadedImageProtocol = {
    0x5b1b31a1, 0x9562, 0x11d2, {0x8e, 0x3f, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b}};
inline constexpr Guid kShellParametersProtocol = {
    0x752f3136, 0x4e16, 0x4fdc, {0xa2, 0x2a, 0xe5, 0xf4, 0x68, 0x12, 0xf4, 0xca}};
inline constexpr Guid kLoadFile2Protocol = {
    0x4006c0c1, 0xfcb3, 0x403e, {0x99, 0x6d, 0x4a, 0x6c, 0x87, 0x24, 0xe0, 0x6d}};
inline constexpr Guid kFileSystemProtocol = {
    0x964e5b22, 0x6459, 0x11d2, {0x8e, 0x39, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b}};
inline constexpr Guid kGraphicsOutputProtocol = {
    0x9042a9de, 0x23dc, 0x4a38, {0x96, 0xfb, 0x7a, 0xde, 0xd0, 0x80, 0x51, 0x6a}};
inline constexpr Guid kRandomProtocol = {
    0x3152bca5, 0xeade, 0x433d, {0x86, 0x2e, 0xc0, 0x1c, 0xdc, 0x29, 0x1f, 0x44}};
// Linux's: the device path at which the initial RAM disk is served.
inline constexpr Guid kInitrdMedia = {
    0x5568e427, 0x68fc, 0x4f3d, {0xac, 0x74, 0xca, 0x55, 0x52, 0x31, 0xcc, 0x68}};

// Configuration tables.
inline constexpr Guid kAcpi2Table = {
    0x8868e871, 0xe4f1, 0x11d3, {0xbc, 0x22, 0x00, 0x80, 0xc7, 0x3c, 0x88, 0x81}};
inline constexpr Guid kAcpi1Table = {
    0xeb9d2d30, 0x2d88, 0x11d3, {0x9a, 0x16, 0x00, 0x90, 0x27, 0x3f, 0xc1, 0x4d}};
inline constexpr Guid kSmbios3Table = {
    0xf2fd1544, 0x9794, 0x4a2c, {0x99, 0x2e, 0xe5, 0xbb, 0xcf, 0x20, 0xe3, 0x94}};
inline constexpr Guid kSmbiosTable = {
    0xeb9d2d31, 0x2d88, 0x11d3, {0x9a, 0x16, 0x00, 0x90, 0x27, 0x3f, 0xc1, 0x4d}};
inline constexpr Guid kConfidentialComputingBlob = {
    0x067b1f5f, 0xcf26, 0x44c5, {0x85, 0x54, 0x93, 0xd7, 0x77, 0x91, 0x2d, 0x42}};

struct ConfigurationTable {
    Guid guid;
    uint64_t phys;
};
static_assert(sizeof(ConfigurationTable) == 24);

enum AllocateHow : uint32_t { kAnyPages = 0, kMaxAddress = 1, kAtAddress = 2 };
inline constexpr uint32_t kLoaderCode = 1, kLoaderData = 2;
inline constexpr uint32_t kSearchByProtocol = 2;

struct DevicePath {
    uint8_t type, subtype, bytes[2]; // of this node, header and all
};
inline constexpr uint8_t kMediaPath = 4, kVendorMedia = 3, kFilePath = 4, kPathEnd = 0x7f,
                         kWholePathEnd = 0xff;

struct BootServices {
    uint8_t header[24];
    uint64_t raise_tpl, restore_tpl;
    Status(EFIAPI* allocate_pages)(uint32_t how, uint32_t type, uint64_t pages, uint64_t* start);
    Status(EFIAPI* free_pages)(uint64_t start, uint64_t pages);
    Status(EFIAPI* get_memory_map)(uint64_t* bytes, void* map, uint64_t* key, uint64_t* stride,
                                   uint32_t* version);
    Status(EFIAPI* allocate_pool)(uint32_t type, uint64_t bytes, void** start);
    Status(EFIAPI* free_pool)(void* start);
    uint64_t events[6];
    uint64_t install_protocol, reinstall_protocol, uninstall_protocol;
    Status(EFIAPI* handle_protocol)(Handle handle, const Guid* protocol, void** interface);
    uint64_t reserved, register_notify, locate_handle;
    Status(EFIAPI* locate_device_path)(const Guid* protocol, const DevicePath** path,
                                       Handle* device);
    uint64_t install_configuration_table, load_image, start_image;
    Status(EFIAPI* exit)(Handle image, Status status, uint64_t data_bytes, const Char16* data);
    uint64_t unload_image;
    Status(EFIAPI* exit_boot_services)(Handle image, uint64_t key);
    uint64_t get_next_monotonic_count, stall;
    Status(EFIAPI* set_watchdog_timer)(uint64_t seconds, uint64_t code, uint64_t data_bytes,
                                       const Char16* data);
    uint64_t connect_controller, disconnect_controller, open_protocol, close_protocol,
        open_protocol_information, protocols_per_handle;
    Status(EFIAPI* locate_handle_buffer)(uint32_t how, const Guid* protocol, const void* key,
                                         uint64_t* count, Handle** handles);
    Status(EFIAPI* locate_protocol)(const Guid* protocol, void* registration, void** interface);
};
static_assert(offsetof(BootServices, allocate_pages) == 0x28);
static_assert(offsetof(BootServices, handle_protocol) == 0x98);
static_assert(offsetof(BootServices, locate_device_path) == 0xb8);
static_assert(offsetof(BootServices, exit) == 0xd8);
static_assert(offsetof(BootServices, exit_boot_services) == 0xe8);
static_assert(offsetof(BootServices, set_watchdog_timer) == 0x100);
static_assert(offsetof(BootServices, locate_handle_buffer) == 0x138);
static_assert(offsetof(BootServices, locate_protocol) == 0x140);

struct TextOutput {
    uint64_t reset;
    Status(EFIAPI* output_string)(TextOutput* self, const Char16* text);
};

struct SystemTable {
    uint8_t header[24];
    const Char16* vendor;
    uint32_t revision;
    Handle console_in_handle;
    uint64_t console_in;
    Handle console_out_handle;
    TextOutput* console_out;
    Handle standard_error_handle;
    uint64_t standard_error;
    uint64_t runtime_services;
    const BootServices* boot_services;
    uint64_t table_count;
    const ConfigurationTable* tables;
};
static_assert(offsetof(SystemTable, console_out_handle) == 0x38);
static_assert(offsetof(SystemTable, boot_services) == 0x60);
static_assert(offsetof(SystemTable, tables) == 0x70);

// UEFI 2.10, 37.5.
struct RandomGenerator {
    uint64_t get_info;
    Status(EFIAPI* get_random)(RandomGenerator* self, const Guid* algorithm, uint64_t bytes,
                               uint8_t* to);
};

struct LoadedImage {
    uint32_t revision;
    Handle parent;
    const SystemTable* system_table;
    Handle device;
    const DevicePath* file_path;
    uint64_t reserved;
    uint32_t load_options_bytes;
    const void* load_options;
    const void* image_base;
    uint64_t image_bytes;
};
static_assert(offsetof(LoadedImage, load_options_bytes) == 0x30);
static_assert(offsetof(LoadedImage, image_base) == 0x40);

struct LoadFile2 {
    Status(EFIAPI* load_file)(LoadFile2* self, const DevicePath* path, uint8_t boot_policy,
                              uint64_t* bytes, void* buffer);
};

struct File {
    uint64_t revision;
    Status(EFIAPI* open)(File* self, File** file, const Char16* name, uint64_t mode,
                         uint64_t attributes);
    Status(EFIAPI* close)(File* self);
    uint64_t remove;
    Status(EFIAPI* read)(File* self, uint64_t* bytes, void* buffer);
    uint64_t write;
    Status(EFIAPI* get_position)(File* self, uint64_t* position);
    Status(EFIAPI* set_position)(File* self, uint64_t position);
};
static_assert(offsetof(File, set_position) == 0x38);
inline constexpr uint64_t kFileRead = 1, kFileEnd = ~uint64_t{0};

struct FileSystem {
    uint64_t revision;
    Status(EFIAPI* open_volume)(FileSystem* self, File** root);
};

enum PixelFormat : uint32_t { kRgbx = 0, kBgrx = 1, kBitMask = 2, kBltOnly = 3 };
struct GraphicsInfo {
    uint32_t version, width, height, format;
    uint32_t masks[4]; // red, green, blue, none
    uint32_t pixels_per_line;
};
struct GraphicsMode {
    uint32_t modes, mode;
    const GraphicsInfo* info;
    uint64_t info_bytes;
    uint64_t framebuffer;
    uint64_t framebuffer_bytes;
};
struct GraphicsOutput {
    Status(EFIAPI* query_mode)(GraphicsOutput* self, uint32_t mode, uint64_t* info_bytes,
                               const GraphicsInfo** info);
    Status(EFIAPI* set_mode)(GraphicsOutput* self, uint32_t mode);
    uint64_t blt;
    const GraphicsMode* mode;
};

// EFI_MEMORY_DESCRIPTOR.
struct Descriptor {
    uint32_t type, reserved;
    uint64_t start, virtual_start, pages, attributes;
};
static_assert(sizeof(Descriptor) == 40);

} // namespace prologue::efi

#pragma GCC visibility pop
