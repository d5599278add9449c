// Linux's boot_params: the setup header as the loader completed it, and what
// stands before it. Source: Documentation/arch/x86/boot.rst, zero-page.rst.
#include "boot_params.h"
#include "contract_magic.h"
#include "efi_map.h"
#include "entry_state.h"
#include "errors.h"
#include "loader_info.h"

namespace prologue {
namespace {

// From which version of the protocol on a field means something.
constexpr uint16_t kHasCmdline = 0x0202;
constexpr uint16_t kHasSubarch = 0x0207;
constexpr uint16_t kHasSetupData = 0x0209;
constexpr uint16_t kHasHighParts = 0x020c;
constexpr uint16_t kHasRsdp = 0x020e;
constexpr uint16_t kNewest = 0xffff;

constexpr uint64_t kHeaderRestFrom = 0x202;
constexpr uint64_t kWholeHeader = ~uint64_t{0};

constexpr uint64_t kRsdpBytes = 36;         // of ACPI 2.0
constexpr uint64_t kSystemTableBytes = 120; // EFI_SYSTEM_TABLE of 64 bits

constexpr unsigned kMostSetupData = 64;
constexpr uint64_t kMostPieceBytes = 16 * kMiB;

[[noreturn]] void refuse(const char* what, uint64_t a, uint64_t b) {
    fail_in(what, Error::linux_info, a, b);
}

constexpr uint64_t whole(uint32_t high, uint32_t low) {
    return uint64_t{high} << 32 | low;
}

// What a loader says in a header, which may be older or shorter than ours. Loaders of ELF
// files copy none: then there is no version or no length, and what was cleared and is not
// zero any more means what it says. Sources: Firecracker's and Cloud Hypervisor's
// configure_64bit_boot, libkrun's, crosvm's; kexec-tools' init_linux_parameters, which has
// a version and no length.
class Header {
public:
    explicit Header(const BootParams& params)
        : version_(params.version),
          end_(params.header_rest == 0 ? kWholeHeader : kHeaderRestFrom + params.header_rest),
          cleared_(params.sentinel == 0) {
        if (version_ == 0)
            version_ = cleared_ ? kNewest : kHasCmdline;
    }

    bool has(uint16_t since, uint64_t offset, uint64_t bytes) const {
        return version_ >= since && offset + bytes <= end_;
    }
    // Before the header: nothing there means anything where the loader did not
    // clear what it does not know.
    bool has_outside(uint16_t since) const { return version_ >= since && cleared_; }

private:
    uint16_t version_;
    uint64_t end_;
    bool cleared_;
};

#define HAS(since, field) header.has(since, offsetof(BootParams, field), sizeof params.field)

void check_subarch(uint32_t subarch) {
    constexpr char kNames[] = "lguest\0Xen\0Intel MID\0CE4100\0";
    if (subarch == 0)
        return;
    const char* name = kNames;
    for (uint32_t left = subarch; left != 1 && *name != 0; --left)
        while (*name++ != 0) {
        }
    refuse(*name != 0 ? name : "an unknown hardware_subarch", subarch, 0);
}

// It is our own EFI stub that has written boot_params.
void parse_stub_piece(const uint8_t* payload, uint64_t bytes, LoaderInfo& loader) {
    if (bytes < sizeof(StubPiece) - sizeof(SetupData))
        return;
    const auto& piece = *reinterpret_cast<const StubPiece*>(payload - sizeof(SetupData));
    if (piece.magic != kStubMagic)
        return;
    loader.loader = PROLOGUE_LOADER_EFI;
    loader.smbios_phys = piece.smbios_phys;
    loader.uefi.image_handle = piece.image_handle;
    loader.uefi.boot_services = piece.image_handle != 0;
}

// A piece's payload as a structure; all zero where it is too short for one.
template <class T>
T payload_as(const uint8_t* payload, uint64_t bytes) {
    return bytes < sizeof(T) ? T{} : read_unaligned<T>(payload);
}

// Where a piece of setup_data leads to.
void follow(PhysMemory& memory, uint64_t at, const SetupData& data, const uint8_t* payload,
            LoaderInfo& loader) {
    if ((data.type & kIndirect) != 0) {
        const auto indirect = payload_as<Indirect>(payload, data.bytes);
        loader.may_occupy(indirect.start, indirect.bytes);
        return;
    }
    switch (data.type) {
    case kStubPiece:
        parse_stub_piece(payload, data.bytes, loader);
        break;
    case kE820Extension:
        if (loader.more_memory.bytes != 0 || data.bytes % sizeof(RawRange) != 0)
            refuse("setup_data's memory map is not one", at, data.bytes);
        loader.more_memory = {payload, data.bytes, sizeof(RawRange), 0};
        break;
    case kEfiOfOldKernel: {
        const auto efi = payload_as<EfiOfOldKernel>(payload, data.bytes);
        loader.may_occupy(efi.tables, 1); // how many there are is not told
        loader.may_occupy(efi.smbios, 1);
        break;
    }
    case kConfidentialComputing:
        mark_confidential_blob(memory, payload_as<uint32_t>(payload, data.bytes), loader);
        break;
    case kSeed:
        loader.seed = {reinterpret_cast<const char*>(payload), data.bytes};
        break;
    case kImaLog: {
        const auto log = payload_as<Piece>(payload, data.bytes);
        loader.may_occupy(log.start, log.bytes);
        break;
    }
    case kHandover: {
        const auto handover = payload_as<Handover>(payload, data.bytes);
        loader.may_occupy(handover.device_tree.start, handover.device_tree.bytes);
        loader.may_occupy(handover.scratch.start, handover.scratch.bytes);
        break;
    }
    }
}

// The list that extends boot_params: every piece is the loader's, and so is what it
// leads to. One may hold more of the memory map.
void walk_setup_data(PhysMemory& memory, uint64_t at, LoaderInfo& loader) {
    for (unsigned left = kMostSetupData; at != 0; --left) {
        if (left == 0)
            refuse("the list of setup_data does not end", at, kMostSetupData);
        const SetupData data = *memory.at<SetupData>("linux setup_data", at);
        if (data.bytes > kMostPieceBytes)
            refuse("a piece of setup_data is too long", at, data.bytes);
        const uint64_t payload = at + sizeof data;
        const uint8_t* bytes = memory.at("linux setup_data", payload, data.bytes);
        loader.occupies(at, sizeof data + data.bytes);
        follow(memory, at, data, bytes, loader);
        at = data.next;
    }
}

// The firmware's own map comes beside the e820: it may be there or not.
void parse_efi(PhysMemory& memory, const EfiInfo& efi, LoaderInfo& loader) {
    if (efi.signature[0] != 'E' || efi.signature[1] != 'L')
        return;
    loader.efi = true;
    loader.uefi.bits = efi.signature[2] == '6' ? 64 : 32;
    loader.uefi.system_table_phys = whole(efi.system_table_high, efi.system_table);
    loader.may_occupy(loader.uefi.system_table_phys, kSystemTableBytes);
    const uint64_t map = whole(efi.memory_map_high, efi.memory_map);
    if (map == 0)
        return;
    if (efi.descriptor_bytes < kLeastDescriptorBytes || efi.memory_map_bytes > kMostPieceBytes ||
        !memory.reach(map, efi.memory_map_bytes)) {
        loader.left_out |= PROLOGUE_LEFT_OUT_EFI;
        return;
    }
    const uint32_t bytes = efi.memory_map_bytes - efi.memory_map_bytes % efi.descriptor_bytes;
    loader.uefi.memory_map = memory.seen(map);
    loader.uefi.memory_map_bytes = bytes;
    loader.uefi.descriptor_bytes = efi.descriptor_bytes;
    loader.uefi.descriptor_version = efi.descriptor_version;
    loader.occupies(map, bytes);
}

void parse_framebuffer(const ScreenInfo& screen, prologue_framebuffer& framebuffer) {
    if (screen.kind != kVesaFramebuffer && screen.kind != kEfiFramebuffer)
        return;
    const uint32_t high = screen.capabilities & kBaseIs64Bits ? screen.base_high : 0;
    framebuffer.phys = whole(high, screen.base);
    framebuffer.pitch = screen.pitch;
    framebuffer.width = screen.width;
    framebuffer.height = screen.height;
    framebuffer.bits_per_pixel = static_cast<uint8_t>(screen.depth);
    framebuffer.kind = kDirectColour;
    uint8_t shifts_first[kColourBytes];
    for (unsigned i = 0; i != kColourBytes; ++i)
        shifts_first[i] = screen.colours[i ^ 1];
    set_colours(framebuffer, shifts_first);
}

} // namespace

void prologue_parse_linux(PhysMemory& memory, uint64_t info, LoaderInfo& loader) {
    const auto& params = *reinterpret_cast<const BootParams*>(
        memory.at("linux boot_params", info, kBootParamsBytes));
    if (params.magic != LINUX_MAGIC)
        refuse("no HdrS in boot_params", info, params.magic);
    const Header header(params);
    if (!HAS(kHasCmdline, cmdline))
        refuse("a protocol older than 2.02", info, params.version);
    if (HAS(kHasSubarch, subarch))
        check_subarch(params.subarch);
    const uint8_t entries = params.e820_count;
    if (entries == 0 || entries > kE820Entries)
        refuse("the e820's entries are none, or too many", info, entries);

    loader.loader = PROLOGUE_LOADER_LINUX;
    loader.occupies(info, kBootParamsBytes);
    loader.memory = {reinterpret_cast<const uint8_t*>(params.e820), entries * sizeof(RawRange),
                     sizeof(RawRange), 0};
    if (HAS(kHasSetupData, setup_data))
        walk_setup_data(memory, params.setup_data, loader);

    const bool high = header.has_outside(kHasHighParts);
    const uint64_t cmdline = whole(high ? params.cmdline_high : 0, params.cmdline);
    loader.cmdline = text_at(memory, "linux command line", cmdline);
    if (cmdline != 0)
        loader.occupies(cmdline, loader.cmdline.bytes + 1);

    const uint64_t start = whole(high ? params.ramdisk_start_high : 0, params.ramdisk_start);
    const uint64_t bytes = whole(high ? params.ramdisk_bytes_high : 0, params.ramdisk_bytes);
    if (start != 0 && bytes != 0) {
        const Span ramdisk = module_span("linux", start, bytes);
        loader.modules = {ramdisk.start, ramdisk.end};
        loader.module_count = 1;
    }
    if (header.has_outside(kHasRsdp))
        loader.rsdp_phys = params.rsdp;
    loader.may_occupy(loader.rsdp_phys, kRsdpBytes);
    if (header.has_outside(kHasCmdline)) {
        loader.may_occupy(params.tboot, kPage);
        mark_confidential_blob(memory, params.cc_blob, loader);
    }
    parse_efi(memory, params.efi, loader);
    parse_framebuffer(params.screen, loader.framebuffer);
}

// For loaders that enter an ELF by e_entry, as Linux's own: all they leave is
// RSI = boot_params.
uint32_t prologue_recognise_linux(PhysMemory& memory, const EntryState& state, uint64_t& info) {
    if (!memory.reach(state.si, kBootParamsBytes) ||
        memory.seen<const BootParams>(state.si)->magic != LINUX_MAGIC)
        return 0;
    info = state.si;
    return LINUX_MAGIC;
}

// There is one, the initial RAM disk, and it has no string.
bool prologue_next_linux_module(PhysMemory&, ModuleCursor& cursor, LoaderModule& module) {
    if (cursor.at == cursor.end)
        return false;
    module.bytes = {cursor.at, cursor.end};
    module.cmdline = {};
    cursor.at = cursor.end;
    return true;
}

} // namespace prologue
