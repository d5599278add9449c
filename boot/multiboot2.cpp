// Multiboot 2's information: a list of tags. Source: Multiboot2 Specification
// 2.0, section 3.6.
#include "efi_map.h"
#include "errors.h"
#include "loader_info.h"

namespace prologue {
namespace {

struct Header {
    uint32_t bytes, reserved;
} __attribute__((packed));

struct Tag {
    uint32_t type, bytes;
} __attribute__((packed));

enum TagType : uint32_t {
    kEnd = 0,
    kCmdline = 1,
    kLoaderName = 2,
    kModule = 3,
    kMemoryMap = 6,
    kFramebuffer = 8,
    kElfSections = 9,
    kEfi32 = 11,
    kEfi64 = 12,
    kRsdp1 = 14,
    kRsdp2 = 15,
    kEfiMemoryMap = 17,
    kBootServices = 18,
};

struct ModuleTag {
    Tag tag;
    uint32_t start, end;
} __attribute__((packed));

struct MemoryMapTag {
    Tag tag;
    uint32_t entry_bytes, entry_version;
} __attribute__((packed));

// Behind it one reserved byte, by the specification's table, or two, by GRUB's header
// and whoever goes by that; then the colours.
struct FramebufferTag {
    Tag tag;
    uint64_t address;
    uint32_t pitch, width, height;
    uint8_t bits, kind;
} __attribute__((packed));
constexpr uint64_t kReservedByGrub = 2, kReservedByTable = 1;

struct Efi32Tag {
    Tag tag;
    uint32_t system_table;
} __attribute__((packed));

struct Efi64Tag {
    Tag tag;
    uint64_t system_table;
} __attribute__((packed));

struct EfiMemoryMapTag {
    Tag tag;
    uint32_t descriptor_bytes, descriptor_version;
} __attribute__((packed));

struct ElfSectionsTag {
    Tag tag;
    uint32_t count, entry_bytes, names;
} __attribute__((packed));

constexpr uint64_t kRsdp1Bytes = 20, kRsdp2Bytes = 36;
constexpr uint64_t kSystemTable32Bytes = 72, kSystemTable64Bytes = 120;

constexpr uint64_t kMostBytes = 16 * kMiB;
constexpr uint32_t kLeastEntryBytes = 20;

// Tags from `cursor.at` on, which moves to the next one; null at the end tag.
const Tag* next_tag(PhysMemory& memory, ModuleCursor& cursor) {
    const uint64_t left = cursor.end - cursor.at;
    if (left < sizeof(Tag))
        fail(Error::multiboot2_no_end, cursor.end);
    const auto* tag = memory.at<Tag>("multiboot2 tag", cursor.at);
    if (tag->type == kEnd)
        return nullptr;
    if (tag->bytes < sizeof(Tag))
        fail(Error::multiboot2_tag, tag->type, cursor.at, tag->bytes, sizeof(Tag));
    if (tag->bytes > left)
        fail(Error::multiboot2_past_end, tag->type, cursor.at, tag->bytes, left);
    const uint64_t padded = (uint64_t{tag->bytes} + 7) & ~uint64_t{7};
    cursor.at += padded < left ? padded : left;
    return tag;
}

// A tag's structure, of a tag that is needed: as long as that, or the end.
template <class T>
const T& as(const Tag* tag, uint64_t phys) {
    if (tag->bytes < sizeof(T))
        fail(Error::multiboot2_tag, tag->type, phys, tag->bytes, sizeof(T));
    return *reinterpret_cast<const T*>(tag);
}

// ... of one that can be done without: null where it is too short.
template <class T>
const T* if_long_enough(const Tag* tag) {
    return tag->bytes < sizeof(T) ? nullptr : reinterpret_cast<const T*>(tag);
}

// The string that ends a tag. It should end in a NUL; the tag's end will do.
Text text_in(const Tag* tag, uint64_t offset) {
    const auto* start = reinterpret_cast<const char*>(tag) + offset;
    uint64_t bytes = 0;
    while (bytes < tag->bytes - offset && start[bytes] != 0)
        ++bytes;
    return {start, bytes};
}

void framebuffer(const Tag* tag, LoaderInfo& loader) {
    const auto* from = if_long_enough<FramebufferTag>(tag);
    if (from == nullptr) {
        loader.left_out |= PROLOGUE_LEFT_OUT_FRAMEBUFFER;
        return;
    }
    prologue_framebuffer& to = loader.framebuffer;
    to = {};
    to.phys = from->address;
    to.pitch = from->pitch;
    to.width = from->width;
    to.height = from->height;
    to.bits_per_pixel = from->bits;
    to.kind = from->kind;
    if (from->kind != kDirectColour)
        return;
    const uint64_t behind = tag->bytes - sizeof *from;
    const auto* colours = reinterpret_cast<const uint8_t*>(from + 1);
    if (behind >= kReservedByGrub + kColourBytes)
        set_colours(to, colours + kReservedByGrub);
    else if (behind == kReservedByTable + kColourBytes)
        set_colours(to, colours + kReservedByTable);
    else
        loader.left_out |= PROLOGUE_LEFT_OUT_FRAMEBUFFER;
}

RawMap memory_map(const Tag* tag, uint64_t phys) {
    const auto& map = as<MemoryMapTag>(tag, phys);
    if (map.entry_bytes < kLeastEntryBytes)
        fail(Error::multiboot2_entry_size, phys, map.entry_bytes);
    const uint64_t bytes = tag->bytes - sizeof map;
    return {reinterpret_cast<const uint8_t*>(&map + 1), bytes - bytes % map.entry_bytes,
            map.entry_bytes, 0};
}

// The firmware's own map, for a kernel that calls its runtime services. What the
// kernel gets as memory is the loader's map, as with any loader.
void efi_memory_map(const Tag* tag, LoaderInfo& loader) {
    const auto* map = if_long_enough<EfiMemoryMapTag>(tag);
    if (map == nullptr || map->descriptor_bytes < kLeastDescriptorBytes) {
        loader.left_out |= PROLOGUE_LEFT_OUT_EFI;
        return;
    }
    const uint32_t stride = map->descriptor_bytes;
    const uint64_t bytes = tag->bytes - sizeof *map;
    loader.uefi.memory_map = map + 1;
    loader.uefi.memory_map_bytes = bytes - bytes % stride;
    loader.uefi.descriptor_bytes = stride;
    loader.uefi.descriptor_version = map->descriptor_version;
}

template <class T>
void efi_system_table(const Tag* tag, uint32_t bits, LoaderInfo& loader) {
    loader.efi = true;
    const auto* table = if_long_enough<T>(tag);
    if (table == nullptr) {
        loader.left_out |= PROLOGUE_LEFT_OUT_EFI;
        return;
    }
    loader.uefi.system_table_phys = table->system_table;
    loader.uefi.bits = bits;
    loader.may_occupy(table->system_table, bits == 64 ? kSystemTable64Bytes : kSystemTable32Bytes);
}

// A copy of the RSDP; the newer one wins.
void rsdp(const Tag* tag, uint64_t least, LoaderInfo& loader) {
    const uint64_t bytes = tag->bytes - sizeof(Tag);
    if (bytes < least)
        loader.left_out |= PROLOGUE_LEFT_OUT_RSDP;
    else if (tag->type == kRsdp2 || loader.rsdp_copy.bytes == 0)
        loader.rsdp_copy = {reinterpret_cast<const char*>(tag + 1), bytes};
}

// GRUB loads the image's symbols and debug sections, too, behind it.
void elf_sections(const Tag* tag, LoaderInfo& loader) {
    const auto* sections = if_long_enough<ElfSectionsTag>(tag);
    if (sections == nullptr || sections->entry_bytes == 0) {
        loader.left_out |= PROLOGUE_LEFT_OUT_SYMBOLS;
        return;
    }
    mark_elf_sections(reinterpret_cast<const uint8_t*>(sections + 1),
                      (tag->bytes - sizeof *sections) / sections->entry_bytes,
                      sections->entry_bytes, loader);
}

} // namespace

void prologue_parse_multiboot2(PhysMemory& memory, uint64_t info, LoaderInfo& loader) {
    const uint64_t bytes = memory.at<Header>("multiboot2 information", info)->bytes;
    if (bytes < sizeof(Header) + sizeof(Tag) || bytes > kMostBytes)
        fail(Error::multiboot2_size, info, bytes);
    memory.at("multiboot2 information", info, bytes);

    loader.loader = PROLOGUE_LOADER_MULTIBOOT2;
    loader.occupies(info, bytes);
    loader.modules = {info + sizeof(Header), info + bytes};

    Text name;
    ModuleCursor cursor = loader.modules;
    uint64_t phys = cursor.at;
    for (const Tag* tag; (tag = next_tag(memory, cursor)) != nullptr; phys = cursor.at) {
        switch (tag->type) {
        case kCmdline:
            loader.cmdline = text_in(tag, sizeof(Tag));
            break;
        case kLoaderName:
            name = text_in(tag, sizeof(Tag));
            break;
        case kModule:
            if (++loader.module_count > kMostModules)
                fail_in("multiboot2 module list", Error::too_many_entries, loader.module_count,
                        kMostModules);
            break;
        case kMemoryMap:
            loader.memory = memory_map(tag, phys);
            break;
        case kElfSections:
            elf_sections(tag, loader);
            break;
        case kFramebuffer:
            framebuffer(tag, loader);
            break;
        case kRsdp1:
            rsdp(tag, kRsdp1Bytes, loader);
            break;
        case kRsdp2:
            rsdp(tag, kRsdp2Bytes, loader);
            break;
        case kEfi32:
            efi_system_table<Efi32Tag>(tag, 32, loader);
            break;
        case kEfi64:
            efi_system_table<Efi64Tag>(tag, 64, loader);
            break;
        case kEfiMemoryMap:
            efi_memory_map(tag, loader);
            break;
        case kBootServices:
            if (loader.uefi.boot_services == 0) // no wish has seen to them
                fail(Error::multiboot2_boot_services, phys);
            break;
        default:
            break;
        }
    }
    if (loader.memory.bytes == 0)
        fail(Error::multiboot2_memory, info);
    loader.cmdline = without_image_path(loader.cmdline, name);
}

bool prologue_next_multiboot2_module(PhysMemory& memory, ModuleCursor& cursor,
                                     LoaderModule& module) {
    uint64_t phys = cursor.at;
    for (const Tag* tag; (tag = next_tag(memory, cursor)) != nullptr; phys = cursor.at) {
        if (tag->type != kModule)
            continue;
        const auto& from = as<ModuleTag>(tag, phys);
        if (from.end < from.start)
            fail_in("multiboot2", Error::module_backwards, from.end, from.start);
        module.bytes = {from.start, from.end};
        module.cmdline = text_in(tag, sizeof from);
        return true;
    }
    return false;
}

} // namespace prologue
