// What loaders leave in memory, written byte by byte from their specifications
// and from nothing else in this tree.
#pragma once

#include "prologue/handoff.h"
#include "seams.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace prologue::test {

struct StatedRange {
    uint64_t start, bytes;
    uint32_t type; // the e820's
};

struct StatedModule {
    uint64_t start, bytes;
    std::optional<std::string> cmdline;
};

// A section of the image's file, as ELF-64 has it (figure 4).
struct StatedSection {
    uint64_t address, bytes;
    uint64_t flags = 0;
};

// What a loader has to say. Fields that a contract has no word for are ignored.
struct Stated {
    std::vector<StatedRange> memory = {
        {0, 0x9fc00, 1}, {0x9fc00, 0x400, 2}, {0xf0000, 0x10000, 2}, {0x100000, 0x7f00000, 1}};
    std::vector<StatedModule> modules = {};
    std::optional<std::string> cmdline = {};
    std::optional<std::string> loader_name = {};
    uint64_t rsdp = 0;
    std::optional<prologue_framebuffer> framebuffer = {};
    std::vector<StatedSection> sections = {};
    prologue_boot boot = {};
    std::vector<std::string> environment = {};
    unsigned efi_descriptors = 0; // not 0: a UEFI has booted
};

// Where the put functions lay things: each on pages of its own, texts in the
// order of the modules. A kMemory of it all is enough.
namespace at {
inline constexpr uint64_t kInfo = 0x1000;
inline constexpr uint64_t kMap = 0x3000;
inline constexpr uint64_t kModules = 0x5000;
inline constexpr uint64_t kCmdline = 0x7010;
inline constexpr uint64_t kLoaderName = 0x9003;
inline constexpr uint64_t kModuleTexts = 0xb001;
inline constexpr uint64_t kMemory = 0x10000;
} // namespace at

struct Places {
    uint64_t info = at::kInfo;
    uint64_t map = at::kMap;
    uint64_t modules = at::kModules;
    uint64_t cmdline = at::kCmdline;
    uint64_t loader_name = at::kLoaderName;
    uint64_t module_texts = at::kModuleTexts;
};
// All of it in less than a page, for a few ranges and modules.
inline constexpr Places kPacked = {0x40, 0x140, 0x240, 0x300, 0x340, 0x360};

// Each returns the address of the information structure.
uint64_t put_pvh(FakeMemory& memory, const Stated& stated, const Places& places = {});
uint64_t put_multiboot1(FakeMemory& memory, const Stated& stated, const Places& places = {});
uint64_t put_multiboot2(FakeMemory& memory, const Stated& stated, const Places& places = {});
uint64_t put_linux(FakeMemory& memory, const Stated& stated, const Places& places = {});
uint64_t put_vmd(FakeMemory& memory, const Stated& stated, const Places& places = {});
uint64_t put_freebsd(FakeMemory& memory, const Stated& stated, const Places& places = {});
uint64_t put_igvm(FakeMemory& memory, const Stated& stated, const Places& places = {});

// PVH's fields, as offsets into hvm_start_info (Xen public/arch-x86/hvm/start_info.h).
namespace pvh {
enum : uint64_t {
    kMagic = 0x00,
    kVersion = 0x04,
    kModuleCount = 0x0c,
    kModuleList = 0x10,
    kCmdline = 0x18,
    kRsdp = 0x20,
    kMap = 0x28,
    kMapEntries = 0x30,
    kBytes = 0x38,
    kMapEntryBytes = 24,
    kModuleBytes = 32,
};
}

// The information page of an IGVM file (docs/loaders/igvm.md), and the host's memory map in it
// (Microsoft's igvm_defs, IGVM_VHS_MEMORY_MAP_ENTRY).
namespace igvm {
enum : uint64_t {
    kMagic = 0x00,
    kVersion = 0x04,
    kMap = 0x08,
    kMapBytes = 0x10,
    kCmdline = 0x18,
    kInitrd = 0x20,
    kInitrdBytes = 0x28,
    kBytes = 0x30,
    kEntryPages = 0x08,
    kEntryType = 0x10,
    kEntryReserved = 0x14,
    kEntryBytes = 24,
    kRoom = 8 * kEntryBytes, // that the put function leaves for a map, or more
};
}

// boot_params' (Linux Documentation/arch/x86/boot.rst, zero-page.rst), and setup_data's.
// Ranges that the page has no room for lie at Places::map, in a piece of setup_data.
namespace linux_boot {
enum : uint64_t {
    kScreenKind = 0x0f,
    kScreenWidth = 0x12,
    kScreenBase = 0x18,
    kScreenPitch = 0x24,
    kScreenColours = 0x26,
    kScreenCapabilities = 0x36,
    kScreenBaseHigh = 0x3a,
    kTboot = 0x58,
    kRsdp = 0x70,
    kRamdiskHigh = 0xc0,
    kRamdiskBytesHigh = 0xc4,
    kCmdlineHigh = 0xc8,
    kBlob = 0x13c,
    kEfiSignature = 0x1c0,
    kEfiTable = 0x1c4,
    kEfiDescriptorBytes = 0x1c8,
    kEfiMap = 0x1d0,
    kEfiMapBytes = 0x1d4,
    kMapEntries = 0x1e8,
    kSentinel = 0x1ef,
    kHeaderRest = 0x201,
    kMagic = 0x202,
    kVersion = 0x206,
    kRamdisk = 0x218,
    kRamdiskBytes = 0x21c,
    kCmdline = 0x228,
    kSubarch = 0x23c,
    kSetupData = 0x250,
    kMap = 0x2d0,
    kBytes = 0x1000,
    kMapEntryBytes = 20,
    kMapMost = 128,
    kDataType = 8,
    kDataBytes = 12,
    kDataPayload = 16,
};
}

// Multiboot 1's (Multiboot 0.6.96, 3.3).
namespace multiboot1 {
enum : uint64_t {
    kFlags = 0,
    kCmdline = 16,
    kModuleCount = 20,
    kModuleList = 24,
    kMapBytes = 44,
    kMap = 48,
    kLoaderName = 64,
    kFramebuffer = 88,
    kBytes = 118, // up to GRUB's colours
    kMapEntryBytes = 24,
    kModuleBytes = 16,
};
}

// vmd's words on the stack, and its list of records at Places::map (OpenBSD
// biosvar.h, usr.sbin/vmd/loadfile_elf.c).
namespace vmd {
enum : uint64_t {
    kReturnAddress = 0,
    kHowto = 4,
    kDevice = 8,
    kApiVersion = 12,
    kKernelEnd = 16,
    kListBytes = 28,
    kList = 32,
    kStackBytes = 36,
    kHeaderBytes = 12,
};
}

// FreeBSD's words on the stack, and bootinfo right behind them; the records at
// Places::map, the environment at Places::cmdline (FreeBSD i386/include/bootinfo.h,
// sys/linker.h, userboot's bootinfo32.c).
namespace freebsd {
enum : uint64_t {
    kReturnAddress = 0,
    kHowto = 4,
    kDevice = 8,
    kZero = 12,
    kBootinfo = 24,
    kStackBytes = 36,
    kVersion = kStackBytes, // of bootinfo, counted from the stack
    kBytes = kStackBytes + 48,
    kKernelEnd = kStackBytes + 72,
    kEnvironment = kStackBytes + 76,
    kRecords = kStackBytes + 80,
    kBothBytes = kStackBytes + 84,
};
// How many bytes one record takes.
uint64_t padded_record(uint64_t payload_bytes);
} // namespace freebsd

// Multiboot 2's tags, one after the other (Multiboot2 2.0, 3.6).
class Tags {
public:
    static constexpr uint64_t kHeaderBytes = 8;

    // Returns the tag's offset from the start of the information.
    uint64_t add(uint32_t type, const std::string& payload);
    uint64_t add_text(uint32_t type, const std::string& text); // and a NUL
    uint64_t add_module(uint32_t start, uint32_t end, const std::string& text);
    uint64_t add_memory_map(const std::vector<StatedRange>& ranges, uint32_t entry_bytes = 24);
    uint64_t add_framebuffer(const prologue_framebuffer& framebuffer);
    // As GRUB writes them: with fields of 32 bits where the specification has 16.
    uint64_t add_sections(const std::vector<StatedSection>& sections, uint32_t entry_bytes = 64);
    uint64_t end() { return add(0, ""); }

    // The tags so far, with the header before them; padded to 8 bytes if asked.
    std::string bytes(bool padded = true) const;
    void put(FakeMemory& memory, uint64_t address, bool padded = true) const;

private:
    std::string tags_;
    uint64_t unpadded_ = 0;
};

// The bytes of a value as they lie in memory.
template <class T>
std::string raw(const T& value) {
    return std::string(reinterpret_cast<const char*>(&value), sizeof value);
}

} // namespace prologue::test
