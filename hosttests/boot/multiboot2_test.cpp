// Multiboot 2: what is read out of its tags.

#include "multiboot2_parsing.h"

namespace prologue::test {
namespace {

TEST_F(Multiboot2, IsReadWhole) {
    const Stated stated = {
        .modules = {{0x1000000, 0x12345, "/boot/initrd one"},
                    {0x2000000, 0, ""},
                    {0xfffffffe, 1, "last"}},
        .cmdline = "console=ttyS0 quiet",
        .loader_name = "GRUB 2.06-13",
        .framebuffer = kTrueColour,
    };
    info = put_multiboot2(memory, stated);
    parse();
    EXPECT_EQ(loader.loader, uint32_t{PROLOGUE_LOADER_MULTIBOOT2});
    EXPECT_EQ(ranges_of(loader.memory), stated.memory);
    EXPECT_EQ(loader.memory.most_entries(), stated.memory.size());
    EXPECT_EQ(str(loader.cmdline), stated.cmdline);
    EXPECT_EQ(loader.module_count, 3u);
    EXPECT_EQ(modules(), stated.modules);
    EXPECT_EQ(loader.rsdp_phys, 0u);
    EXPECT_EQ(loader.rsdp_copy.bytes, 0u);
    EXPECT_TRUE(same(loader.framebuffer, kTrueColour));
    const auto bytes = memory.get<uint32_t>(info);
    EXPECT_EQ(pages_occupied(loader), pages_on({{info, info + bytes}}));
}

TEST_F(Multiboot2, NeedsNothingButAMemoryMap) {
    tags.add_memory_map(kRam);
    tags.end();
    put_and_parse();
    EXPECT_EQ(ranges_of(loader.memory), kRam);
    EXPECT_EQ(str(loader.cmdline), "");
    EXPECT_EQ(loader.module_count, 0u);
    EXPECT_EQ(modules(), std::vector<StatedModule>());
    EXPECT_EQ(loader.rsdp_copy.bytes, 0u);
    EXPECT_TRUE(same(loader.framebuffer, {}));
}

TEST_F(Multiboot2, TheImagePathIsTakenOffTheCommandLineOfThoseWhoPutIt) {
    const struct {
        const char *name, *due;
    } loaders[] = {{"GRUB 2.06", "/boot/kernel quiet"},
                   {"GRUB 2.12", "/boot/kernel quiet"},
                   {"Limine 8.0", "/boot/kernel quiet"},
                   {"kexec 2.0.25", "quiet"},
                   {"iPXE 1.0.0+", "quiet"}};
    for (const auto& loader_of : loaders)
        for (const bool name_first : {false, true}) {
            tags = {};
            if (name_first)
                tags.add_text(2, loader_of.name);
            tags.add_text(1, "/boot/kernel quiet");
            if (!name_first)
                tags.add_text(2, loader_of.name);
            tags.add_memory_map(kRam);
            tags.end();
            put_and_parse();
            EXPECT_EQ(str(loader.cmdline), loader_of.due) << loader_of.name;
        }
}

TEST_F(Multiboot2, UnknownTagsAndPaddingAreSteppedOver) {
    for (const uint32_t type : {4u, 5u, 10u, 13u, 16u, 19u, 20u, 21u, 22u, 0xffffffffu})
        tags.add(type, std::string(type % 17, '\xff'));
    tags.add_module(1, 2, "seven"); // with its NUL, 22 bytes
    tags.add(99, std::string(1, '\xff'));
    tags.add_memory_map(kRam);
    tags.add(99, "");
    tags.add_module(3, 5, "");
    tags.end();
    put_and_parse();
    EXPECT_EQ(ranges_of(loader.memory), kRam);
    EXPECT_EQ(loader.module_count, 2u);
    EXPECT_EQ(modules(), (std::vector<StatedModule>{{1, 1, "seven"}, {3, 2, ""}}));
}

TEST_F(Multiboot2, WhatFollowsTheEndTagIsNotRead) {
    tags.add_memory_map(kRam);
    tags.end();
    tags.add_module(1, 2, "not there");
    tags.add(kBootServices, "");
    put_and_parse();
    EXPECT_EQ(loader.module_count, 0u);
    EXPECT_EQ(modules(), std::vector<StatedModule>());
}

TEST_F(Multiboot2, MapEntriesMayBeLargerThanWhatIsKnown) {
    for (const uint32_t entry_bytes : {20u, 24u, 25u, 40u}) {
        tags = {};
        tags.add_memory_map(Stated().memory, entry_bytes);
        tags.end();
        put_and_parse();
        EXPECT_EQ(ranges_of(loader.memory), Stated().memory) << entry_bytes;
        EXPECT_EQ(loader.memory.most_entries(), Stated().memory.size()) << entry_bytes;
    }
}

TEST_F(Multiboot2, APieceOfAMapEntryIsLeftOut) {
    const uint64_t map = tags.add_memory_map(Stated().memory);
    tags.end();
    tags.put(memory, kInfo);
    const auto bytes = memory.get<uint32_t>(kInfo + map + 4);
    memory.put(kInfo + map + 4, bytes - 1);
    parse();
    std::vector<StatedRange> all_but_one = Stated().memory;
    all_but_one.pop_back();
    EXPECT_EQ(ranges_of(loader.memory), all_but_one);
}

TEST_F(Multiboot2, ATextEndsWithItsTagIfNotWithANul) {
    tags.add(1, "quiet"); // and three bytes of padding
    tags.add(2, "GRUB 2.06");
    tags.add(3, raw(uint32_t{1}) + raw(uint32_t{2}) + "initrd12");
    tags.add_memory_map(kRam);
    tags.end();
    put_and_parse();
    EXPECT_EQ(str(loader.cmdline), "quiet");
    EXPECT_EQ(modules(), (std::vector<StatedModule>{{1, 1, "initrd12"}}));
}

TEST_F(Multiboot2, AModuleNeedsNoText) {
    tags.add(3, raw(uint32_t{1}) + raw(uint32_t{2}));
    tags.add_memory_map(kRam);
    tags.end();
    put_and_parse();
    EXPECT_EQ(modules(), (std::vector<StatedModule>{{1, 1, ""}}));
}

TEST_F(Multiboot2, TheLastTagNeedsNoPadding) {
    tags.add_memory_map(kRam);
    tags.add(99, "x");
    tags.end();
    // An end tag may follow only at a multiple of 8, so it is the end tag itself
    // that ends the information, and memory with it.
    put_at_the_end(false);
    parse();
    EXPECT_EQ(ranges_of(loader.memory), kRam);
    EXPECT_EQ(modules(), std::vector<StatedModule>());
}

TEST_F(Multiboot2, TheNewerRsdpWinsWhicheverComesFirst) {
    const std::string first(20, '1'), second(36, '2');
    for (const bool newer_first : {false, true}) {
        tags = {};
        tags.add_memory_map(kRam);
        const uint64_t one = tags.add(newer_first ? kRsdp2 : kRsdp1, newer_first ? second : first);
        const uint64_t two = tags.add(newer_first ? kRsdp1 : kRsdp2, newer_first ? first : second);
        tags.end();
        put_and_parse();
        EXPECT_EQ(str(loader.rsdp_copy), second);
        EXPECT_EQ(memory.seen.phys_of(loader.rsdp_copy.start),
                  kInfo + (newer_first ? one : two) + 8);
        EXPECT_EQ(loader.rsdp_phys, 0u);
    }
}

TEST_F(Multiboot2, TheOlderRsdpWillDo) {
    tags.add_memory_map(kRam);
    tags.add(kRsdp1, std::string(20, '1'));
    tags.end();
    put_and_parse();
    EXPECT_EQ(str(loader.rsdp_copy), std::string(20, '1'));
}

TEST_F(Multiboot2, TheFirmwaresMapIsHandedOnAsItIs) {
    for (const uint32_t stride : {40u, 48u, 200u}) {
        tags = {};
        const std::string descriptors(3 * stride + stride - 1, 'd'); // and most of another
        tags.add_memory_map(kRam);
        const uint64_t tag = tags.add(kEfiMemoryMap, raw(stride) + raw(uint32_t{7}) + descriptors);
        tags.end();
        put_and_parse();
        EXPECT_EQ(memory.seen.phys_of(loader.uefi.memory_map), kInfo + tag + 16);
        EXPECT_EQ(loader.uefi.memory_map_bytes, 3 * stride);
        EXPECT_EQ(loader.uefi.descriptor_bytes, stride);
        EXPECT_EQ(loader.uefi.descriptor_version, 7u);
        EXPECT_EQ(ranges_of(loader.memory), kRam);
    }
}

TEST_F(Multiboot2, TheSystemTableIsOf32Or64Bits) {
    tags.add_memory_map(kRam);
    const Tags without = tags;
    tags.add(kEfi32, raw(uint32_t{0xfedcba98}));
    tags.end();
    put_and_parse();
    EXPECT_EQ(loader.uefi.system_table_phys, 0xfedcba98u);
    EXPECT_EQ(loader.uefi.bits, 32u);
    tags = without;
    tags.add(kEfi64, raw(uint64_t{0x123456789abcdef0}));
    tags.end();
    put_and_parse();
    EXPECT_EQ(loader.uefi.system_table_phys, 0x123456789abcdef0u);
    EXPECT_EQ(loader.uefi.bits, 64u);
    EXPECT_TRUE(loader.efi);
    EXPECT_EQ(loader.uefi.memory_map_bytes, 0u);
}

TEST_F(Multiboot2, EfiDescriptorsThatAreTooSmallAreLeftOut) {
    for (const uint32_t stride : {0u, 1u, 39u}) {
        tags = {};
        tags.add(kEfiMemoryMap, raw(stride) + raw(uint32_t{1}) + std::string(96, 'd'));
        tags.add_memory_map(kRam);
        tags.end();
        put_and_parse();
        EXPECT_EQ(loader.uefi.memory_map_bytes, 0u);
        EXPECT_EQ(loader.left_out, uint32_t{PROLOGUE_LEFT_OUT_EFI});
    }
}

TEST_F(Multiboot2, EfiDescriptorsLargerThanTheTagAreNone) {
    tags.add_memory_map(kRam);
    tags.add(kEfiMemoryMap, raw(~uint32_t{0}) + raw(uint32_t{1}) + std::string(96, 'd'));
    tags.end();
    put_and_parse();
    EXPECT_EQ(loader.uefi.memory_map_bytes, 0u);
}

TEST_F(Multiboot2, AFramebufferWithoutColoursHasNone) {
    for (const uint8_t kind : {0, 2}) {
        prologue_framebuffer framebuffer = kEgaText;
        framebuffer.kind = kind;
        tags = {};
        tags.add_memory_map(kRam);
        tags.add_framebuffer(framebuffer);
        tags.end();
        put_and_parse();
        EXPECT_TRUE(same(loader.framebuffer, framebuffer)) << int{kind};
    }
}

// --- The image's sections, which GRUB loads behind it ------------------------------------------

TEST_F(Multiboot2, SectionsThatAreNoPartOfTheImageAreOccupied) {
    for (const uint32_t entry_bytes : {64u, 72u}) {
        tags = {};
        tags.add_memory_map(kRam);
        tags.add_sections({{0, 0},
                           {0x100000, 0x4000, 2 | 4}, // a part of the image
                           {0x200ff0, 0x20},          // .symtab, on two pages
                           {0x202000, 0x1000},        // touches it
                           {0x300000, 0x10},
                           {0, 0x1000},     // was not loaded
                           {1ull << 52, 1}, // where nothing can be
                           {0x400000, (1ull << 52) - 1}},
                          entry_bytes);
        tags.end();
        put_and_parse();
        EXPECT_EQ(pages_occupied(loader), pages_on({{kInfo, kInfo + tags.bytes().size()},
                                                    {0x200ff0, 0x201010},
                                                    {0x202000, 0x203000},
                                                    {0x300000, 0x300010}}))
            << entry_bytes;
        EXPECT_EQ(loader.left_out, 0u);
    }
}

// An entry of 40 bytes is a section of a 32-bit ELF file, as prologue-elf32 makes them.
TEST_F(Multiboot2, SectionsOfA32BitFileAreOccupied) {
    const auto section = [](uint32_t flags, uint32_t address, uint32_t bytes) {
        return raw(uint32_t{1}) + raw(uint32_t{1}) + raw(flags) + raw(address) +
               raw(uint32_t{0x1000}) + raw(bytes) + std::string(16, 'x');
    };
    tags.add_memory_map(kRam);
    tags.add(9, raw(uint32_t{3}) + raw(uint32_t{40}) + raw(uint32_t{0}) + section(0, 0, 0) +
                    section(2 | 4, 0x100000, 0x4000) + section(0, 0x200ff0, 0x20));
    tags.end();
    put_and_parse();
    EXPECT_EQ(pages_occupied(loader),
              pages_on({{kInfo, kInfo + tags.bytes().size()}, {0x200ff0, 0x201010}}));
}

TEST_F(Multiboot2, SectionsOfAnotherFormatAreLeftOut) {
    for (const uint32_t entry_bytes : {0u, 39u, 41u, 63u}) {
        tags = {};
        tags.add_memory_map(kRam);
        tags.add_sections({{0x200000, 0x1000}, {0x300000, 0x1000}}, entry_bytes);
        tags.end();
        put_and_parse();
        EXPECT_EQ(pages_occupied(loader), pages_on({{kInfo, kInfo + 1}}));
        EXPECT_EQ(loader.left_out, uint32_t{PROLOGUE_LEFT_OUT_SYMBOLS});
    }
}

TEST_F(Multiboot2, SectionsBeyondTheirTagAreNotRead) {
    const uint64_t tag = tags.add_sections({{0x200000, 0x1000}});
    tags.add_memory_map(kRam);
    tags.end();
    tags.put(memory, kInfo);
    memory.put<uint32_t>(kInfo + tag + 8, 0xffffffff);
    parse();
    EXPECT_EQ(pages_occupied(loader), pages_on({{kInfo, kInfo + 1}, {0x200000, 0x201000}}));
}

// There is room for a few spans only, so many become one; but never one that holds what lies
// between the information and the sections: the image does.
TEST_F(Multiboot2, ManyScatteredSectionsAreAllOccupiedAndTheImageIsNot) {
    const Span image = {0x100000, 0x180000};
    for (const bool ascending : {true, false}) {
        std::vector<StatedSection> sections;
        for (uint64_t i = 0; i != 20; ++i)
            sections.push_back({0x200000 + (ascending ? i : 19 - i) * 0x4000, 0x1800});
        tags = {};
        tags.add_memory_map(kRam);
        tags.add_sections(sections);
        tags.end();
        put_and_parse();
        const std::set<uint64_t> occupied = pages_occupied(loader);
        EXPECT_EQ(occupied.count(kInfo / kPage), 1u);
        for (const StatedSection& section : sections)
            EXPECT_EQ(occupied.count((section.address + section.bytes - 1) / kPage), 1u);
        for (unsigned i = 0; i != loader.structure_count; ++i)
            EXPECT_FALSE(loader.structures[i].overlaps(image)) << ascending;
    }
}

} // namespace
} // namespace prologue::test
