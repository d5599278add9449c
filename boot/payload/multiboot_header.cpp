#include "multiboot_header.h"

#include "phys_memory.h"
#include "refusals.h"

namespace prologue {
namespace {

struct Header1 {
    uint32_t magic, flags, checksum;
};
constexpr uint32_t kMagic1 = 0x1badb002;
constexpr uint64_t kReach1 = 8192;
constexpr uint32_t kAlignsModules = 1, kKnown1 = 7; // memory, and a screen if there is one
constexpr uint32_t kNeeds1 = 0xffff;                // what a loader must know or give up
constexpr uint32_t kAddressFields = 1 << 16;

struct Addresses {
    uint32_t header, load, load_end, bss_end; // an end of 0: the file's, or no .bss
};
struct Addresses1 {
    Header1 header;
    Addresses addresses;
    uint32_t entry;
};

struct Header2 {
    uint32_t magic, architecture, bytes, checksum;
};
constexpr uint32_t kMagic2 = 0xe85250d6;
constexpr uint64_t kReach2 = 32768;

struct Tag {
    uint16_t type, flags;
    uint32_t bytes;
};
constexpr uint16_t kOptional = 1; // Tag.flags
enum TagType : uint16_t {
    kEnd = 0,
    kInformation = 1,
    kAddresses = 2,
    kEntry = 3,
    kConsole = 4,
    kFramebuffer = 5,
    kModuleAlignment = 6,
    kBootServices = 7,
    kEntryEfi32 = 8,
    kEntryEfi64 = 9,
    kRelocatable = 10,
};
constexpr uint32_t kConsoleRequired = 1; // of the console's flags

struct Relocatable {
    uint32_t least, most, alignment, preference;
};

// What the information has, of what there is: all but the BIOS's disk, VBE, APM, the network, and
// what is UEFI's with its boot services.
constexpr uint32_t kServed = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 6 | 1 << 8 | 1 << 9 |
                             1 << 11 | 1 << 12 | 1 << 13 | 1 << 14 | 1 << 15 | 1 << 17 | 1 << 21;

void check_information(const uint8_t* types, uint64_t count) {
    for (uint64_t i = 0; i != count; ++i) {
        const auto type = read_unaligned<uint32_t>(types + 4 * i);
        if (type > 31 || (kServed >> type & 1) == 0)
            refuse_in("information tag", Refusal::multiboot2, type);
    }
}

// Of a header that lies at `at` in the file.
MultibootAddresses read_addresses(const Addresses& from, uint64_t at, uint64_t file_bytes) {
    const uint64_t before = from.header - from.load;
    if (from.header < from.load || before > at)
        refuse_in("load_addr", Refusal::multiboot_address, from.load, from.header);
    MultibootAddresses to = {at - before, from.load, file_bytes - (at - before), 0};
    if (from.load_end != 0) {
        to.file_bytes = uint64_t{from.load_end} - from.load;
        if (from.load_end < from.load || to.file_bytes > file_bytes - to.file_offset)
            refuse_in("load_end_addr", Refusal::multiboot_address, from.load_end, from.load);
    }
    to.bytes = to.file_bytes;
    if (from.bss_end != 0) {
        to.bytes = uint64_t{from.bss_end} - from.load;
        if (from.bss_end < from.load || to.bytes < to.file_bytes)
            refuse_in("bss_end_addr", Refusal::multiboot_address, from.bss_end, from.load);
    }
    return to;
}

// Its content has `count` words; what is too short says nothing.
void read_tag(const Tag& tag, const uint8_t* content, uint64_t count, MultibootHeader& header) {
    const bool is_needed = (tag.flags & kOptional) == 0;
    const uint32_t first = count != 0 ? read_unaligned<uint32_t>(content) : 0;
    switch (tag.type) {
    case kInformation:
        if (is_needed)
            check_information(content, count);
        return;
    case kEntry:
        header.entry = first;
        return;
    case kConsole:
        header.wants_screen |= is_needed && (first & kConsoleRequired) != 0;
        return;
    case kFramebuffer:
        header.wants_screen |= is_needed;
        return;
    case kModuleAlignment:
        header.aligns_modules = true;
        return;
    case kBootServices:
    case kEntryEfi32:
        return;
    case kEntryEfi64:
        header.entry64 = first;
        return;
    case kRelocatable:
        if (count >= sizeof(Relocatable) / 4) {
            const auto place = read_unaligned<Relocatable>(content);
            header.least = place.least;
            header.most = place.most;
            header.alignment = place.alignment;
        }
        return;
    }
    if (is_needed)
        refuse_in("header tag", Refusal::multiboot2, tag.type);
}

} // namespace

uint64_t find_multiboot1(const uint8_t* file, uint64_t bytes) {
    for (uint64_t at = 0; at + sizeof(Header1) <= bytes && at < kReach1; at += 4) {
        const auto header = read_unaligned<Header1>(file + at);
        if (header.magic == kMagic1 && header.magic + header.flags + header.checksum == 0)
            return at;
    }
    return bytes;
}

uint64_t find_multiboot2(const uint8_t* file, uint64_t bytes) {
    for (uint64_t at = 0; at + sizeof(Header2) <= bytes && at < kReach2; at += 8) {
        const auto header = read_unaligned<Header2>(file + at);
        if (header.magic == kMagic2 &&
            header.magic + header.architecture + header.bytes + header.checksum == 0)
            return at;
    }
    return bytes;
}

MultibootHeader read_multiboot1(const uint8_t* file, uint64_t bytes, uint64_t at) {
    const auto header = read_unaligned<Header1>(file + at);
    if ((header.flags & kNeeds1 & ~kKnown1) != 0)
        refuse_in("the Multiboot header's flags", Refusal::elf_header, header.flags, kKnown1);
    MultibootHeader result;
    result.aligns_modules = (header.flags & kAlignsModules) != 0;
    if ((header.flags & kAddressFields) == 0)
        return result;
    if (bytes - at < sizeof(Addresses1))
        refuse_in("the Multiboot header", Refusal::elf_cut, at + sizeof(Addresses1), bytes);
    const auto fields = read_unaligned<Addresses1>(file + at);
    result.addresses = read_addresses(fields.addresses, at, bytes);
    result.entry = fields.entry;
    return result;
}

MultibootHeader read_multiboot2(const uint8_t* file, uint64_t bytes, uint64_t at) {
    const auto head = read_unaligned<Header2>(file + at);
    if (head.architecture != 0)
        refuse_in("architecture", Refusal::multiboot2, head.architecture);
    if (head.bytes > bytes - at)
        refuse_in("the Multiboot 2 header", Refusal::elf_cut, at + head.bytes, bytes);
    const uint64_t end = at + head.bytes;
    MultibootHeader header;
    bool has_boot_services = false;
    for (uint64_t next = at + sizeof head;;) {
        if (next > end || end - next < sizeof(Tag))
            refuse_in("an end tag", Refusal::multiboot2, next, end);
        const auto tag = read_unaligned<Tag>(file + next);
        if (tag.type == kEnd)
            break;
        if (tag.bytes < sizeof tag || tag.bytes > end - next)
            refuse_in("a header tag's size", Refusal::multiboot2, tag.type, tag.bytes);
        has_boot_services |= tag.type == kBootServices;
        if (tag.type == kAddresses && tag.bytes >= sizeof tag + sizeof(Addresses))
            header.addresses = read_addresses(read_unaligned<Addresses>(file + next + sizeof tag),
                                              at, bytes);
        else
            read_tag(tag, file + next + sizeof tag, (tag.bytes - sizeof tag) / 4, header);
        next += (uint64_t{tag.bytes} + 7) & ~uint64_t{7};
    }
    if (has_boot_services)
        header.entry64 = 0;
    if (header.addresses.bytes != 0 && header.entry == 0)
        refuse_in("an entry address tag", Refusal::multiboot2, kEntry);
    return header;
}

} // namespace prologue
