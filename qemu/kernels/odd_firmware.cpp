// An EFI program that starts \kernel.efi on a firmware that is odd: ODD is a sum of what is odd
// about it. What has been laid out so stays in place while the kernel runs.
// Source: UEFI 2.10, sections 4.3, 7 and 13.2; SDM vol. 3, section 4.5.
#include "uefi.h"

using namespace prologue::efi;

enum Odd : uint32_t {
    FIVE_LEVELS = 1 << 0,       // of paging
    NO_LOW_MEMORY = 1 << 1,     // below 4 GiB: all of it is taken
    LITTLE_LOW_MEMORY = 1 << 2, // but for some pages, once the kernel's file is loaded
    STALE_KEY = 1 << 3,         // ExitBootServices fails, once
    NO_EXIT = 1 << 4,           // each time
    STRANGE_MAP = 1 << 5,       // with ranges that wrap, overlap, are empty
    LONGER_MAP = 1 << 6,        // that is longer each time, by 10,000 descriptors
    LESS_INITRD = 1 << 7,       // than was told
    MORE_INITRD = 1 << 8,
    ENDLESS_INITRD = 1 << 9,
    NO_FRAME_BUFFER = 1 << 10, // on any screen
    LYING_TABLES = 1 << 11,    // of configuration
    TABLES_WITHOUT_END = 1 << 12,
    BROKEN_OPTIONS = 1 << 13, // no end, an odd length, halves of surrogate pairs
};
namespace {

using InstallProtocol = Status(EFIAPI*)(Handle* handle, const Guid* guid, uint32_t type,
                                        const void* interface);
using LoadImage = Status(EFIAPI*)(bool boot_policy, Handle parent, const DevicePath* path,
                                  const void* source, uint64_t bytes, Handle* image);
using StartImage = Status(EFIAPI*)(Handle image, uint64_t* bytes, Char16** data);
using GetMemoryMap = decltype(BootServices::get_memory_map);
using ExitBootServices = decltype(BootServices::exit_boot_services);

constexpr Guid kDevicePathProtocol = {
    0x09576e91, 0x6d3f, 0x11d2, {0x8e, 0x39, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b}};
constexpr uint64_t kLeftPages = 16, kPage = 4096, k4GiB = uint64_t{1} << 32;
constexpr uint32_t kConventional = 7, kRuntimeData = 6;
constexpr bool odd(uint32_t what) {
    constexpr uint32_t kOdd = ODD;
    return (kOdd & what) != 0;
}

BootServices* services;

template <class Protocol>
Protocol* protocol(Handle handle, const Guid& guid) {
    void* found = nullptr;
    services->handle_protocol(handle, &guid, &found);
    return static_cast<Protocol*>(found);
}

uint64_t pages(uint64_t count, uint64_t below = ~uint64_t{0}) {
    uint64_t start = below;
    services->allocate_pages(kMaxAddress, kLoaderData, count, &start);
    return start;
}

// --- Paging ------------------------------------------------------------------------------------

struct __attribute__((packed)) TablePointer {
    uint16_t limit;
    uint64_t base;
};

// Code of 64 and of 32 bits, and data.
uint64_t gdt[] = {0, 0x00af9b000000ffff, 0x00cf9b000000ffff, 0x00cf93000000ffff};

// The only way there is by 32-bit mode without paging. Everything of it lies below 4 GiB.
extern "C" void to_five_levels(uint64_t pml5, const TablePointer* own_gdt, TablePointer* saved_gdt);
asm(R"(
        .text
        .globl  to_five_levels
to_five_levels:
        pushq   %rbx
        pushq   %rbp
        sgdt    (%r8)
        movl    %cs, %ebp
        pushq   %rbp
        pushq   %r8
        lgdt    (%rdx)
        leaq    2f(%rip), %rbx
        leaq    1f(%rip), %rax
        pushq   $0x10
        pushq   %rax
        lretq
        .code32
1:      movl    %cr0, %eax
        andl    $0x7fffffff, %eax
        movl    %eax, %cr0
        movl    %cr4, %edx
        orl     $0x1000, %edx
        movl    %edx, %cr4
        movl    %ecx, %cr3
        orl     $0x80000000, %eax
        movl    %eax, %cr0
        pushl   $0x08
        pushl   %ebx
        lretl
        .code64
2:      popq    %r8
        popq    %rbp
        lgdt    (%r8)
        leaq    3f(%rip), %rax
        pushq   %rbp
        pushq   %rax
        lretq
3:      popq    %rbp
        popq    %rbx
        retq
)");

[[maybe_unused]] void run_five_levels() {
    auto* const pml5 = reinterpret_cast<uint64_t*>(pages(1, k4GiB - 1));
    uint64_t cr3;
    asm volatile("movq %%cr3, %0" : "=r"(cr3));
    for (unsigned i = 0; i != kPage / sizeof *pml5; ++i)
        pml5[i] = i == 0 ? (cr3 & ~(kPage - 1)) | 3 : 0;
    const TablePointer own = {sizeof gdt - 1, reinterpret_cast<uintptr_t>(gdt)};
    TablePointer saved;
    asm volatile("cli");
    to_five_levels(reinterpret_cast<uintptr_t>(pml5), &own, &saved);
    asm volatile("sti");
}

// --- Memory ------------------------------------------------------------------------------------

// All of it; of that, so many pages can be given back.
uint64_t take_low_memory(uint64_t left_pages) {
    constexpr uint64_t kMost = k4GiB / kPage;
    const uint64_t kept = pages(left_pages, k4GiB - 1);
    for (uint64_t count = kMost; count != 0;) {
        uint64_t start = k4GiB - 1;
        if (services->allocate_pages(kMaxAddress, kLoaderData, count, &start) != kSuccess)
            count /= 2;
    }
    return kept;
}

GetMemoryMap real_map;
ExitBootServices real_exit;
uint64_t longer_by;

constexpr Descriptor kStrange[] = {
    {kConventional, 0, 0x7000000000, 0, (uint64_t{1} << 52) + 1, 0xf},
    {kConventional, 0, uint64_t{1} << 63, 0, uint64_t{1} << 51, 0xf},
    {kConventional, 0, ~(kPage - 1), 0, 2, 0xf},
    {kConventional, 0, 0x7100000000, 0, 0, 0xf},
    {kRuntimeData, 0, 0x200000, 0, 0x10, 0xf},
    {kConventional, 0, 0x200000, 0, 0x20, 0xf},
    {0xffffffff, 0, 0x300000, 0, 0x10, 0xf},
    {kConventional, 0, 0x300001, 0, 0x10, ~uint64_t{0}},
};

Status EFIAPI odd_map(uint64_t* bytes, void* map, uint64_t* key, uint64_t* stride,
                      uint32_t* version) {
    constexpr uint64_t kCount = sizeof kStrange / sizeof *kStrange;
    const uint64_t room = *bytes;
    const Status status = real_map(bytes, map, key, stride, version);
    const uint64_t real = *bytes;
    if (odd(LONGER_MAP))
        longer_by += 10000;
    *bytes += (odd(STRANGE_MAP) ? kCount : longer_by) * *stride;
    if (status != kSuccess || *bytes > room)
        return status != kSuccess ? status : kBufferTooSmall;
    for (uint64_t i = 0; odd(STRANGE_MAP) && i != kCount; ++i)
        *reinterpret_cast<Descriptor*>(static_cast<char*>(map) + real + i * *stride) = kStrange[i];
    return kSuccess;
}

unsigned exits;

Status EFIAPI odd_exit(Handle image, uint64_t key) {
    if (odd(NO_EXIT) || exits++ == 0)
        return kInvalidParameter;
    return real_exit(image, key);
}

// --- What it tells -----------------------------------------------------------------------------

constexpr uint64_t kInitrdBytes = 5000;

Status EFIAPI odd_initrd(LoadFile2*, const DevicePath*, uint8_t, uint64_t* bytes, void* buffer) {
    const uint64_t room = *bytes;
    *bytes = odd(ENDLESS_INITRD) ? uint64_t{1} << 40 : kInitrdBytes;
    if (buffer == nullptr)
        return kBufferTooSmall;
    *bytes = odd(MORE_INITRD) ? 2 * kInitrdBytes : kInitrdBytes / 2;
    if (*bytes > room)
        return kBufferTooSmall;
    for (uint64_t i = 0; i != *bytes; ++i)
        static_cast<char*>(buffer)[i] = 'i';
    return kSuccess;
}

LoadFile2 initrd_server = {odd_initrd};
struct {
    DevicePath vendor = {kMediaPath, kVendorMedia, {sizeof(DevicePath) + sizeof(Guid), 0}};
    Guid guid = kInitrdMedia;
    DevicePath end = {kPathEnd, kWholePathEnd, {sizeof(DevicePath), 0}};
} initrd_path;

void serve_initrd() {
    const auto install = reinterpret_cast<InstallProtocol>(services->install_protocol);
    Handle handle = nullptr;
    install(&handle, &kDevicePathProtocol, 0, &initrd_path);
    install(&handle, &kLoadFile2Protocol, 0, &initrd_server);
}

void hide_frame_buffers() {
    uint64_t count = 0;
    Handle* handles = nullptr;
    services->locate_handle_buffer(kSearchByProtocol, &kGraphicsOutputProtocol, nullptr, &count,
                                   &handles);
    for (uint64_t i = 0; i != count; ++i) {
        const auto* const output = protocol<GraphicsOutput>(handles[i], kGraphicsOutputProtocol);
        const_cast<GraphicsInfo*>(output->mode->info)->format = kBltOnly;
    }
}

ConfigurationTable lies[] = {{kAcpi1Table, ~uint64_t{0}},
                             {kAcpi2Table, 0},
                             {kAcpi2Table, 0x1000},
                             {kSmbios3Table, 0xfffffffffffff007},
                             {kConfidentialComputingBlob, 0xfffffffffff},
                             {kConfidentialComputingBlob, 0}};

constexpr uint8_t kBrokenOptions[] = {'a', 0, ' ', 0, 0x3d, 0xd8, 'b', 0, 0, 0xde, 'c'};

// --- The kernel --------------------------------------------------------------------------------

Status load(Handle self, Handle& kernel) {
    const auto* const image = protocol<LoadedImage>(self, kLoadedImageProtocol);
    auto* const volume = protocol<FileSystem>(image->device, kFileSystemProtocol);
    File *root, *file;
    Char16 name[] = u"\\kernel.efi";
    Status status = volume->open_volume(volume, &root);
    if (status == kSuccess)
        status = root->open(root, &file, name, kFileRead, 0);
    if (status != kSuccess)
        return status;
    uint64_t bytes = 0;
    file->set_position(file, kFileEnd);
    file->get_position(file, &bytes);
    file->set_position(file, 0);
    const auto contents = reinterpret_cast<void*>(pages((bytes + kPage - 1) / kPage));
    status = file->read(file, &bytes, contents);
    if (status != kSuccess)
        return status;
    return reinterpret_cast<LoadImage>(services->load_image)(
        false, self, protocol<const DevicePath>(image->device, kDevicePathProtocol), contents,
        bytes, &kernel);
}

} // namespace

extern "C" Status efi_main(Handle self, SystemTable* system) {
    services = const_cast<BootServices*>(system->boot_services);
    real_map = services->get_memory_map;
    real_exit = services->exit_boot_services;
    if (odd(FIVE_LEVELS))
        run_five_levels();
    uint64_t left = 0;
    if (odd(NO_LOW_MEMORY | LITTLE_LOW_MEMORY))
        left = take_low_memory(kLeftPages);
    Handle kernel = nullptr;
    const Status status = load(self, kernel);
    if (status != kSuccess)
        return status;
    if (odd(LITTLE_LOW_MEMORY))
        services->free_pages(left, kLeftPages);
    if (odd(STALE_KEY | NO_EXIT))
        services->exit_boot_services = odd_exit;
    if (odd(STRANGE_MAP | LONGER_MAP))
        services->get_memory_map = odd_map;
    if (odd(LESS_INITRD | MORE_INITRD | ENDLESS_INITRD))
        serve_initrd();
    if (odd(NO_FRAME_BUFFER))
        hide_frame_buffers();
    if (odd(LYING_TABLES)) {
        system->tables = lies;
        system->table_count = sizeof lies / sizeof *lies;
    }
    if (odd(TABLES_WITHOUT_END))
        system->table_count = ~uint64_t{0};
    if (odd(BROKEN_OPTIONS)) {
        auto* const image = protocol<LoadedImage>(kernel, kLoadedImageProtocol);
        image->load_options = kBrokenOptions;
        image->load_options_bytes = sizeof kBrokenOptions;
    }
    return reinterpret_cast<StartImage>(services->start_image)(kernel, nullptr, nullptr);
}
