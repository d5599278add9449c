#include "linux_image.h"

#include "refusals.h"

namespace prologue {
namespace {

constexpr uint32_t kHdrS = 0x53726448;
constexpr uint16_t kBootFlag = 0xaa55;
constexpr uint16_t kOldest = 0x20a; // the first with pref_address and init_size
constexpr uint16_t kHasXloadFlags = 0x20c;
constexpr uint64_t kEntry64 = 0x200;
constexpr uint16_t kKernel64 = 1, kAbove4g = 2;
constexpr uint8_t kLoadedHigh = 1;
constexpr uint8_t kUnknownLoader = 0xff;
constexpr uint64_t kSector = 512, kParagraph = 16;
constexpr uint64_t kHeaderStart = 0x1f1, kHeaderMagic = 0x202;
constexpr uint64_t kHeaderMost = 0x290; // where boot_params goes on
constexpr uint64_t kLeastSetup = 0x268; // up to, and without, 2.12's end of the header

struct SetupHeader { // from 0x1f1 on
    uint8_t setup_sectors;
    uint16_t root_flags;
    uint32_t paragraphs; // of the protected-mode part
    uint16_t ram_size, vid_mode, root_dev, boot_flag;
    uint16_t jump;
    uint32_t magic;
    uint16_t version;
    uint32_t realmode_switch;
    uint16_t start_sys, kernel_version;
    uint8_t loader, load_flags;
    uint16_t setup_move;
    uint32_t code32, ramdisk, ramdisk_bytes, bootsect;
    uint16_t heap_end;
    uint8_t loader_version, loader_type;
    uint32_t cmdline, initrd_most, alignment;
    uint8_t relocatable, least_alignment;
    uint16_t xload_flags;
    uint32_t cmdline_bytes, subarch;
    uint64_t subarch_data;
    uint32_t payload_offset, payload_bytes;
    uint64_t setup_data, preferred;
    uint32_t init_bytes, handover;
} __attribute__((packed));
static_assert(offsetof(SetupHeader, magic) == kHeaderMagic - kHeaderStart);
static_assert(offsetof(SetupHeader, alignment) == 0x230 - kHeaderStart);
static_assert(offsetof(SetupHeader, xload_flags) == 0x236 - kHeaderStart);
static_assert(sizeof(SetupHeader) == kLeastSetup - kHeaderStart);

SetupHeader header_of(const uint8_t* file) {
    return read_unaligned<SetupHeader>(file + kHeaderStart);
}

bool has_flag(const SetupHeader& header, uint16_t flag) {
    return header.version >= kHasXloadFlags && (header.xload_flags & flag) != 0;
}

Contract contract_of(const SetupHeader& header, Contract wished) {
    const bool has_64 = has_flag(header, kKernel64);
    if (wished == Contract::none)
        return has_64 ? Contract::linux64 : Contract::linux32;
    if (wished != Contract::linux64 && wished != Contract::linux32)
        refuse_contract(wished);
    if (wished == Contract::linux64 && !has_64)
        refuse_in("it has no 64-bit entry", Refusal::linux_header, header.xload_flags);
    return wished;
}

// Neighbours that Linux calls the same are one entry.
void fill_e820(BootParams& params, const LinuxGuest& guest) {
    auto* const more = reinterpret_cast<RawRange*>(guest.more_e820 + 1);
    uint64_t count = 0;
    RawRange* last = nullptr;
    for (uint64_t i = 0; i != guest.memory_count; ++i) {
        const prologue_range& range = guest.memory[i];
        const uint32_t type = e820_type_of(range.type);
        if (last && last->e820_type == type && last->start + last->bytes == range.start) {
            last->bytes += range.end - range.start;
            continue;
        }
        last = count < kE820Entries ? &params.e820[count] : &more[count - kE820Entries];
        *last = {range.start, range.end - range.start, type};
        ++count;
    }
    params.e820_count = static_cast<uint8_t>(count < kE820Entries ? count : kE820Entries);
    if (count <= kE820Entries)
        return;
    *guest.more_e820 = {0, kE820Extension,
                        static_cast<uint32_t>((count - kE820Entries) * sizeof(RawRange))};
    params.setup_data = guest.more_e820_phys;
}

void fill_confidential(BootParams& params, const Confidential& pages) {
    if (!pages.piece)
        return;
    *pages.blob = {.magic = ConfidentialBlob::kMagic,
                   .secrets = pages.secrets_phys,
                   .secrets_bytes = kPage,
                   .cpuid = pages.cpuid_phys,
                   .cpuid_bytes = kPage};
    *pages.piece = {{params.setup_data, kConfidentialComputing, sizeof pages.piece->blob_phys},
                    static_cast<uint32_t>(pages.blob_phys)};
    params.setup_data = pages.piece_phys;
}

// In VESA's way, whichever firmware set it up: the base and the colours are all that counts.
void fill_screen(ScreenInfo& screen, const prologue_framebuffer& from) {
    constexpr uint8_t kDirectColour = 1;
    if (from.phys == 0 || from.kind != kDirectColour)
        return;
    screen.kind = kVesaFramebuffer;
    screen.width = static_cast<uint16_t>(from.width);
    screen.height = static_cast<uint16_t>(from.height);
    screen.depth = from.bits_per_pixel;
    screen.base = static_cast<uint32_t>(from.phys);
    screen.base_high = static_cast<uint32_t>(from.phys >> 32);
    screen.capabilities = screen.base_high != 0 ? kBaseIs64Bits : 0;
    screen.size = static_cast<uint32_t>((uint64_t{from.pitch} * from.height + 0xffff) / 0x10000);
    screen.pitch = static_cast<uint16_t>(from.pitch);
    const uint8_t colours[] = {from.red_bits,    from.red_shift, from.green_bits,
                               from.green_shift, from.blue_bits, from.blue_shift};
    __builtin_memcpy(screen.colours, colours, sizeof colours);
}

} // namespace

uint32_t e820_type_of(uint32_t type) {
    switch (type) {
    case PROLOGUE_MEMORY_USABLE:
    case PROLOGUE_MEMORY_LOADER:
    case PROLOGUE_MEMORY_PROLOGUE:
    case PROLOGUE_MEMORY_MODULE:
    case PROLOGUE_MEMORY_KERNEL:
        return kE820Usable;
    case PROLOGUE_MEMORY_ACPI:
        return 3;
    case PROLOGUE_MEMORY_NVS:
        return 4;
    case PROLOGUE_MEMORY_BAD:
        return 5;
    case PROLOGUE_MEMORY_UNACCEPTED:
        return kE820Unaccepted;
    case PROLOGUE_MEMORY_SOFT_RESERVED:
        return kE820SoftReserved;
    }
    return 2;
}

bool is_linux(const uint8_t* file, uint64_t bytes) {
    return bytes >= kHeaderMagic + 4 && read_unaligned<uint32_t>(file + kHeaderMagic) == kHdrS;
}

LinuxImage read_linux(const uint8_t* file, uint64_t bytes, Contract wished) {
    if (bytes < kLeastSetup)
        refuse_in("the setup header", Refusal::linux_cut, kLeastSetup, bytes);
    const SetupHeader header = header_of(file);
    if (header.boot_flag != kBootFlag)
        refuse_in("its boot_flag is not aa55", Refusal::linux_header, header.boot_flag);
    if (header.version < kOldest)
        refuse_in("its protocol is older than 2.10", Refusal::linux_header, header.version);
    if ((header.load_flags & kLoadedHigh) == 0)
        refuse_in("it wants to be loaded low", Refusal::linux_header, header.load_flags);
    const Contract contract = contract_of(header, wished);
    const bool is_64 = contract == Contract::linux64;
    if (header.alignment < kPage || (header.alignment & (header.alignment - 1)) != 0)
        refuse_in("its kernel_alignment is no power of two from a page on", Refusal::linux_header,
                  header.alignment);
    if (header.preferred % kPage != 0 ||
        header.preferred >= (is_64 ? kMostPhysical : 4 * kGiB - header.init_bytes))
        refuse_in("its pref_address is no page's", Refusal::linux_header, header.preferred);
    const uint64_t sectors = header.setup_sectors == 0 ? 4 : header.setup_sectors;
    const uint64_t start = (sectors + 1) * kSector;
    // In whole paragraphs, of which the file need not have the last one whole: memtest86+'s has not.
    uint64_t kernel_bytes = uint64_t{header.paragraphs} * kParagraph;
    if (start < bytes && start + kernel_bytes - bytes < kParagraph)
        kernel_bytes = bytes - start;
    if (start + kernel_bytes > bytes)
        refuse_in("the kernel", Refusal::linux_cut, start + kernel_bytes, bytes);
    if (kernel_bytes <= kEntry64 || kernel_bytes > header.init_bytes)
        refuse_in("its syssize and init_size do not fit", Refusal::linux_header, kernel_bytes,
                  header.init_bytes);
    return {start,
            kernel_bytes,
            header.preferred,
            header.alignment,
            header.init_bytes,
            header.cmdline_bytes,
            is_64 && has_flag(header, kAbove4g) ? kMostPhysical : uint64_t{header.initrd_most} + 1,
            header.relocatable != 0,
            contract,
            is_64 ? kEntry64 : 0};
}

void fill_boot_params(BootParams& params, const uint8_t* file, const prologue_handoff& handoff,
                      const LinuxGuest& guest) {
    // As long as the byte behind its jump says; no longer than what is ours to fill.
    uint64_t header_end = kHeaderMagic + file[kHeaderMagic - 1];
    if (header_end > kHeaderMost)
        header_end = kHeaderMost;
    __builtin_memcpy(reinterpret_cast<uint8_t*>(&params) + kHeaderStart, file + kHeaderStart,
                     header_end - kHeaderStart);
    auto* const header = reinterpret_cast<SetupHeader*>(reinterpret_cast<uint8_t*>(&params) +
                                                        kHeaderStart);
    header->loader = kUnknownLoader;
    header->setup_data = 0;
    params.cmdline = static_cast<uint32_t>(guest.cmdline_phys);
    params.cmdline_high = static_cast<uint32_t>(guest.cmdline_phys >> 32);
    params.ramdisk_start = static_cast<uint32_t>(guest.initrd.start);
    params.ramdisk_start_high = static_cast<uint32_t>(guest.initrd.start >> 32);
    params.ramdisk_bytes = static_cast<uint32_t>(guest.initrd.bytes());
    params.ramdisk_bytes_high = static_cast<uint32_t>(guest.initrd.bytes() >> 32);
    params.rsdp = handoff.rsdp_phys;
    fill_screen(params.screen, handoff.framebuffer);
    fill_e820(params, guest);
    fill_confidential(params, guest.confidential);
}

} // namespace prologue
