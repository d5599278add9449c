#include "loader_images.h"

#include <algorithm>

namespace prologue::test {
namespace {

// Puts the modules' texts one after the other; returns where each lies, 0 for none.
std::vector<uint64_t> put_module_texts(FakeMemory& memory, const Stated& stated,
                                       const Places& places) {
    std::vector<uint64_t> where;
    uint64_t next = places.module_texts;
    for (const StatedModule& module : stated.modules) {
        where.push_back(module.cmdline ? next : 0);
        if (!module.cmdline)
            continue;
        memory.put_text(next, *module.cmdline);
        next += module.cmdline->size() + 1;
    }
    return where;
}

void put_range(FakeMemory& memory, uint64_t address, const StatedRange& range) {
    memory.put(address, range.start);
    memory.put(address + 8, range.bytes);
    memory.put(address + 16, range.type);
}

std::string spell(const prologue_framebuffer& framebuffer) {
    return raw(framebuffer.phys) + raw(framebuffer.pitch) + raw(framebuffer.width) +
           raw(framebuffer.height) + raw(framebuffer.bits_per_pixel) + raw(framebuffer.kind);
}

std::string spell_colours(const prologue_framebuffer& framebuffer) {
    return raw(framebuffer.red_shift) + raw(framebuffer.red_bits) + raw(framebuffer.green_shift) +
           raw(framebuffer.green_bits) + raw(framebuffer.blue_shift) + raw(framebuffer.blue_bits);
}

} // namespace

uint64_t put_pvh(FakeMemory& memory, const Stated& stated, const Places& places) {
    const uint64_t info = places.info;
    memory.put(info, std::array<uint8_t, pvh::kBytes>{});
    memory.put<uint32_t>(info + pvh::kMagic, 0x336ec578);
    memory.put<uint32_t>(info + pvh::kVersion, 1);
    memory.put<uint32_t>(info + pvh::kMapEntries, static_cast<uint32_t>(stated.memory.size()));
    memory.put<uint64_t>(info + pvh::kMap, places.map);
    for (size_t i = 0; i != stated.memory.size(); ++i)
        put_range(memory, places.map + i * pvh::kMapEntryBytes, stated.memory[i]);

    if (!stated.modules.empty()) {
        const auto count = static_cast<uint32_t>(stated.modules.size());
        memory.put<uint32_t>(info + pvh::kModuleCount, count);
        memory.put<uint64_t>(info + pvh::kModuleList, places.modules);
        const std::vector<uint64_t> texts = put_module_texts(memory, stated, places);
        for (size_t i = 0; i != texts.size(); ++i) {
            const uint64_t entry = places.modules + i * pvh::kModuleBytes;
            memory.put(entry, stated.modules[i].start);
            memory.put(entry + 8, stated.modules[i].bytes);
            memory.put(entry + 16, texts[i]);
        }
    }
    if (stated.cmdline) {
        memory.put<uint64_t>(info + pvh::kCmdline, places.cmdline);
        memory.put_text(places.cmdline, *stated.cmdline);
    }
    memory.put(info + pvh::kRsdp, stated.rsdp);
    return info;
}

// Ranges are whole pages here. A module's text has no place.
uint64_t put_igvm(FakeMemory& memory, const Stated& stated, const Places& places) {
    const uint64_t info = places.info;
    const uint64_t room = std::max<uint64_t>(igvm::kRoom, stated.memory.size() * igvm::kEntryBytes);
    memory.put(info, std::array<uint8_t, igvm::kBytes>{});
    memory.put<uint32_t>(info + igvm::kMagic, 0x4d564749);
    memory.put<uint32_t>(info + igvm::kVersion, 1);
    memory.put<uint64_t>(info + igvm::kMap, places.map);
    memory.put<uint64_t>(info + igvm::kMapBytes, room);
    memory.put_text(places.map, std::string(room - 1, '\0'));
    for (size_t i = 0; i != stated.memory.size(); ++i) {
        const uint64_t entry = places.map + i * igvm::kEntryBytes;
        const StatedRange& range = stated.memory[i];
        memory.put<uint64_t>(entry, range.start / 4096);
        memory.put<uint64_t>(entry + igvm::kEntryPages, (range.bytes + 4095) / 4096);
        memory.put<uint16_t>(entry + igvm::kEntryType, range.type == 1 ? 0 : 1);
    }
    if (stated.cmdline) {
        memory.put<uint64_t>(info + igvm::kCmdline, places.cmdline);
        memory.put_text(places.cmdline, *stated.cmdline);
    }
    if (!stated.modules.empty()) {
        memory.put(info + igvm::kInitrd, stated.modules[0].start);
        memory.put(info + igvm::kInitrdBytes, stated.modules[0].bytes);
    }
    return info;
}

uint64_t put_multiboot1(FakeMemory& memory, const Stated& stated, const Places& places) {
    const uint64_t info = places.info;
    memory.put(info, std::array<uint8_t, multiboot1::kBytes>{});
    uint32_t flags = 1 << 0 | 1 << 1 | 1 << 6; // base memory, boot device, memory map
    memory.put<uint32_t>(info + 4, 639);
    memory.put<uint32_t>(info + 8, 127 * 1024);
    memory.put(info + multiboot1::kMap, static_cast<uint32_t>(places.map));
    const uint64_t map_bytes = stated.memory.size() * multiboot1::kMapEntryBytes;
    memory.put<uint32_t>(info + multiboot1::kMapBytes, static_cast<uint32_t>(map_bytes));
    for (size_t i = 0; i != stated.memory.size(); ++i) {
        const uint64_t entry = places.map + i * multiboot1::kMapEntryBytes;
        memory.put<uint32_t>(entry, 20);
        put_range(memory, entry + 4, stated.memory[i]);
    }
    if (!stated.modules.empty()) {
        flags |= 1 << 3;
        const auto count = static_cast<uint32_t>(stated.modules.size());
        memory.put<uint32_t>(info + multiboot1::kModuleCount, count);
        memory.put(info + multiboot1::kModuleList, static_cast<uint32_t>(places.modules));
        const std::vector<uint64_t> texts = put_module_texts(memory, stated, places);
        for (size_t i = 0; i != texts.size(); ++i) {
            const StatedModule& module = stated.modules[i];
            const uint64_t entry = places.modules + i * multiboot1::kModuleBytes;
            memory.put(entry, static_cast<uint32_t>(module.start));
            memory.put(entry + 4, static_cast<uint32_t>(module.start + module.bytes));
            memory.put(entry + 8, static_cast<uint32_t>(texts[i]));
        }
    }
    if (stated.cmdline) {
        flags |= 1 << 2;
        memory.put(info + multiboot1::kCmdline, static_cast<uint32_t>(places.cmdline));
        memory.put_text(places.cmdline, *stated.cmdline);
    }
    if (stated.loader_name) {
        flags |= 1 << 9;
        memory.put(info + multiboot1::kLoaderName, static_cast<uint32_t>(places.loader_name));
        memory.put_text(places.loader_name, *stated.loader_name);
    }
    if (stated.framebuffer) {
        flags |= 1 << 12;
        const std::string bytes = spell(*stated.framebuffer) + spell_colours(*stated.framebuffer);
        memory.put_bytes(info + multiboot1::kFramebuffer, bytes.data(), bytes.size());
    }
    memory.put(info + multiboot1::kFlags, flags);
    return info;
}

uint64_t put_multiboot2(FakeMemory& memory, const Stated& stated, const Places& places) {
    Tags tags;
    if (stated.cmdline)
        tags.add_text(1, *stated.cmdline);
    if (stated.loader_name)
        tags.add_text(2, *stated.loader_name);
    for (const StatedModule& module : stated.modules)
        tags.add_module(static_cast<uint32_t>(module.start),
                        static_cast<uint32_t>(module.start + module.bytes),
                        module.cmdline.value_or(""));
    tags.add_memory_map(stated.memory);
    if (stated.framebuffer)
        tags.add_framebuffer(*stated.framebuffer);
    if (!stated.sections.empty())
        tags.add_sections(stated.sections);
    if (stated.efi_descriptors != 0) {
        const std::string descriptors(stated.efi_descriptors * 48, 'd');
        tags.add(12, raw(uint64_t{0xf8ed000}));
        tags.add(14, std::string(20, '1'));
        tags.add(15, std::string(36, '2'));
        tags.add(17, raw(uint32_t{48}) + raw(uint32_t{1}) + descriptors);
    }
    tags.end();
    tags.put(memory, places.info);
    return places.info;
}

uint64_t Tags::add(uint32_t type, const std::string& payload) {
    const uint64_t offset = kHeaderBytes + tags_.size();
    tags_ += raw(type) + raw(static_cast<uint32_t>(8 + payload.size())) + payload;
    unpadded_ = tags_.size();
    tags_.resize((tags_.size() + 7) / 8 * 8);
    return offset;
}

uint64_t Tags::add_text(uint32_t type, const std::string& text) {
    return add(type, text + '\0');
}

uint64_t Tags::add_module(uint32_t start, uint32_t end, const std::string& text) {
    return add(3, raw(start) + raw(end) + text + '\0');
}

uint64_t Tags::add_memory_map(const std::vector<StatedRange>& ranges, uint32_t entry_bytes) {
    std::string payload = raw(entry_bytes) + raw(uint32_t{0});
    for (const StatedRange& range : ranges) {
        std::string entry = raw(range.start) + raw(range.bytes) + raw(range.type);
        entry.resize(entry_bytes);
        payload += entry;
    }
    return add(6, payload);
}

uint64_t Tags::add_framebuffer(const prologue_framebuffer& framebuffer) {
    const bool direct = framebuffer.kind == 1;
    return add(8, spell(framebuffer) + raw(uint16_t{0}) +
                      (direct ? spell_colours(framebuffer) : std::string()));
}

uint64_t Tags::add_sections(const std::vector<StatedSection>& sections, uint32_t entry_bytes) {
    std::string payload = raw(static_cast<uint32_t>(sections.size())) + raw(entry_bytes) +
                          raw(uint32_t{0});
    for (const StatedSection& section : sections) {
        std::string entry = raw(uint32_t{1}) + raw(uint32_t{1}) + raw(section.flags) +
                            raw(section.address) + raw(uint64_t{0}) + raw(section.bytes);
        entry.resize(entry_bytes);
        payload += entry;
    }
    return add(9, payload);
}

std::string Tags::bytes(bool padded) const {
    const std::string tags = padded ? tags_ : tags_.substr(0, unpadded_);
    return raw(static_cast<uint32_t>(kHeaderBytes + tags.size())) + raw(uint32_t{0}) + tags;
}

void Tags::put(FakeMemory& memory, uint64_t address, bool padded) const {
    const std::string all = bytes(padded);
    memory.put_bytes(address, all.data(), all.size());
}

} // namespace prologue::test
