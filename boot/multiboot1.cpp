// Multiboot 1's information structure. Source: Multiboot Specification 0.6.96,
// section 3.3.
#include "errors.h"
#include "loader_info.h"

namespace prologue {
namespace {

struct Info {
    uint32_t flags;
    uint32_t mem_lower, mem_upper;
    uint32_t boot_device;
    uint32_t cmdline;
    uint32_t module_count, modules;
    uint32_t
        symbols[4]; // a.out: bytes of the table, of strings, address; ELF: number, size, address
    uint32_t mmap_bytes, mmap;
    uint32_t drives_bytes, drives;
    uint32_t config_table;
    uint32_t loader_name;
    uint32_t apm_table;
    uint32_t vbe_control, vbe_mode;
    uint32_t vbe[2];
    // From flag 12:
    uint64_t framebuffer;
    uint32_t framebuffer_pitch, framebuffer_width, framebuffer_height;
    uint8_t framebuffer_bits, framebuffer_kind;
    uint8_t colours[8]; // see colours_of
} __attribute__((packed));
static_assert(sizeof(Info) == 118);
static_assert(offsetof(Info, framebuffer) == 88);

enum Flag : uint32_t {
    kCmdline = 1 << 2,
    kModules = 1 << 3,
    kAoutSymbols = 1 << 4,
    kElfSections = 1 << 5,
    kMemoryMap = 1 << 6,
    kDrives = 1 << 7,
    kConfigTable = 1 << 8,
    kLoaderName = 1 << 9,
    kApmTable = 1 << 10,
    kVbe = 1 << 11,
    kFramebuffer = 1 << 12,
    kLessUsual = kAoutSymbols | kElfSections | kDrives | kConfigTable | kApmTable | kVbe |
                 kFramebuffer,
};

// What lies behind some pointers (sections 3.3 of the specification; VBE 3.0, 4.3 and 4.4).
constexpr uint64_t kAoutSizeFields = 8;
constexpr uint64_t kApmBytes = 20, kVbeControlBytes = 512, kVbeModeBytes = 256;
constexpr uint64_t kConfigTableBytes = 16; // at least; in ROM as a rule
constexpr uint64_t kMostSectionBytes = kMiB;
constexpr uint64_t kPaletteEntryBytes = 3;
constexpr uint8_t kIndexedColour = 0;

// Red shift, red bits, green ..., blue ...; or a palette's address and length. By the text of the
// specification they stand behind framebuffer_kind; in its header file, and so in GRUB, two
// bytes on, where an address is aligned, and what is before them is zero.
const uint8_t* colours_of(const Info& info) {
    return info.colours + (read_unaligned<uint16_t>(info.colours) == 0 ? 2 : 0);
}

struct ModuleEntry {
    uint32_t start, end, string, reserved;
} __attribute__((packed));
static_assert(sizeof(ModuleEntry) == 16);

constexpr uint32_t kEntrySizeField = 4;
constexpr uint32_t kEntryBytes = 20;

// Checks each entry's own size. Nearly all loaders give one size to all, which
// the map then has for a stride.
RawMap memory_map(PhysMemory& memory, const Info& info) {
    const uint8_t* entries = memory.at("multiboot1 memory map", info.mmap, info.mmap_bytes);
    const uint64_t bytes = info.mmap_bytes;
    const uint32_t first = bytes < kEntrySizeField ? 0 : read_unaligned<uint32_t>(entries);
    bool alike = true;
    for (uint64_t at = 0; at < bytes;) {
        const uint64_t left = bytes - at;
        const uint32_t size = left < kEntrySizeField ? 0 : read_unaligned<uint32_t>(entries + at);
        if (size < kEntryBytes || size > left - kEntrySizeField)
            fail(Error::multiboot1_entry, info.mmap + at, size, left);
        alike &= size == first;
        at += uint64_t{kEntrySizeField} + size;
    }
    return {entries, bytes, alike ? first + kEntrySizeField : 0, kEntrySizeField};
}

void elf_sections(PhysMemory& memory, const Info& info, LoaderInfo& loader) {
    const uint32_t count = info.symbols[0], entry_bytes = info.symbols[1];
    const uint64_t table = info.symbols[2], bytes = uint64_t{count} * entry_bytes;
    if (bytes == 0)
        return;
    if (bytes > kMostSectionBytes || !memory.reach(table, bytes)) {
        loader.left_out |= PROLOGUE_LEFT_OUT_SYMBOLS;
        return;
    }
    loader.may_occupy(table, bytes);
    mark_elf_sections(memory.seen<const uint8_t>(table), count, entry_bytes, loader);
}

// What this boot does not read, and a kernel may want to.
void mark_the_rest(PhysMemory& memory, const Info& info, LoaderInfo& loader) {
    const uint32_t flags = info.flags;
    if ((flags & kElfSections) != 0)
        elf_sections(memory, info, loader);
    else if ((flags & kAoutSymbols) != 0)
        loader.may_occupy(info.symbols[2],
                          kAoutSizeFields + info.symbols[0] + uint64_t{info.symbols[1]});
    if ((flags & kDrives) != 0)
        loader.may_occupy(info.drives, info.drives_bytes);
    if ((flags & kConfigTable) != 0)
        loader.may_occupy(info.config_table, kConfigTableBytes);
    if ((flags & kApmTable) != 0)
        loader.may_occupy(info.apm_table, kApmBytes);
    if ((flags & kVbe) != 0) {
        loader.may_occupy(info.vbe_control, kVbeControlBytes);
        loader.may_occupy(info.vbe_mode, kVbeModeBytes);
    }
    if ((flags & kFramebuffer) != 0 && info.framebuffer_kind == kIndexedColour)
        loader.may_occupy(read_unaligned<uint32_t>(colours_of(info)),
                          kPaletteEntryBytes * read_unaligned<uint16_t>(colours_of(info) + 4));
}

} // namespace

void prologue_parse_multiboot1(PhysMemory& memory, uint64_t address, LoaderInfo& loader) {
    const auto& info = *memory.at<Info>("multiboot1 information", address);
    const uint32_t flags = info.flags;
    if ((flags & kMemoryMap) == 0 || info.mmap_bytes == 0)
        fail(Error::multiboot1_memory, address, flags);

    loader.loader = PROLOGUE_LOADER_MULTIBOOT1;
    loader.occupies(address, sizeof info);
    loader.memory = memory_map(memory, info);
    loader.occupies(info.mmap, info.mmap_bytes);

    if ((flags & kModules) != 0 && info.module_count != 0) {
        if (info.module_count > kMostModules)
            fail_in("multiboot1 module list", Error::too_many_entries, info.module_count,
                    kMostModules);
        const uint64_t bytes = uint64_t{info.module_count} * sizeof(ModuleEntry);
        memory.at("multiboot1 module list", info.modules, bytes);
        loader.modules = {info.modules, info.modules + bytes};
        loader.module_count = info.module_count;
        loader.occupies(info.modules, bytes);
    }
    Text name;
    if ((flags & kLoaderName) != 0 && info.loader_name != 0) {
        name = text_at(memory, nullptr, info.loader_name);
        if (name.start == nullptr)
            loader.left_out |= PROLOGUE_LEFT_OUT_STRING;
        else
            loader.may_occupy(info.loader_name, name.bytes + 1);
    }
    if ((flags & kCmdline) != 0 && info.cmdline != 0) {
        const Text whole = text_at(memory, "multiboot1 command line", info.cmdline);
        loader.occupies(info.cmdline, whole.bytes + 1);
        loader.cmdline = without_image_path(whole, name);
    }
    if ((flags & kFramebuffer) != 0) {
        loader.framebuffer = {
            .phys = info.framebuffer,
            .pitch = info.framebuffer_pitch,
            .width = info.framebuffer_width,
            .height = info.framebuffer_height,
            .bits_per_pixel = info.framebuffer_bits,
            .kind = info.framebuffer_kind,
        };
        if (info.framebuffer_kind == kDirectColour)
            set_colours(loader.framebuffer, colours_of(info));
    }
    if ((flags & kLessUsual) != 0)
        mark_the_rest(memory, info, loader);
}

bool prologue_next_multiboot1_module(PhysMemory& memory, ModuleCursor& cursor,
                                     LoaderModule& module) {
    if (cursor.at == cursor.end)
        return false;
    const auto& entry = *memory.at<ModuleEntry>("multiboot1 module list", cursor.at);
    if (entry.end < entry.start)
        fail_in("multiboot1", Error::module_backwards, entry.end, entry.start);
    cursor.at += sizeof entry;
    module.bytes = {entry.start, entry.end};
    module.set_cmdline(memory, entry.string);
    return true;
}

} // namespace prologue
