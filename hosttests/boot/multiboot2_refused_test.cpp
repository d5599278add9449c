// Multiboot 2: how each lie in its tags is named, and what is left out of those that a kernel can
// boot without.

#include "multiboot2_parsing.h"

namespace prologue::test {
namespace {

TEST_F(Multiboot2, ASizeThatCannotBeTrueIsNamed) {
    tags.add_memory_map(kRam);
    tags.end();
    tags.put(memory, kInfo);
    for (const uint32_t bytes : {0u, 8u, 15u, 16u * 1024 * 1024 + 1, 0xffffffffu}) {
        memory.put(kInfo, bytes);
        EXPECT_EQ(parse_fails(), failure(Error::multiboot2_size, {kInfo, bytes}));
    }
}

TEST_F(Multiboot2, InformationThatRunsPastMemoryIsNamed) {
    tags.add_memory_map(kRam);
    tags.end();
    info = memory.end();
    EXPECT_EQ(parse_fails(), failure(Error::out_of_reach, {8, info}, "multiboot2 information"));
    tags.put(memory, kInfo);
    info = kInfo;
    const auto bytes = static_cast<uint32_t>(memory.end() - kInfo + 1);
    memory.put(kInfo, bytes);
    EXPECT_EQ(parse_fails(),
              failure(Error::out_of_reach, {bytes, kInfo}, "multiboot2 information"));
}

TEST_F(Multiboot2, ATagSmallerThanATagIsNamed) {
    const uint64_t odd = tags.add(99, "");
    tags.add_memory_map(kRam);
    tags.end();
    tags.put(memory, kInfo);
    for (const uint32_t bytes : {0u, 1u, 7u}) {
        memory.put(kInfo + odd + 4, bytes);
        EXPECT_EQ(parse_fails(), failure(Error::multiboot2_tag, {99, kInfo + odd, bytes, 8}));
    }
}

TEST_F(Multiboot2, ATagSmallerThanItsContentIsNamed) {
    const struct {
        uint32_t type;
        std::string payload;
        uint64_t needs;
    } cases[] = {
        {kMemoryMap, std::string(7, '\0'), 16},
    };
    for (const auto& one : cases) {
        tags = {};
        const uint64_t tag = tags.add(one.type, one.payload);
        tags.add_memory_map(kRam);
        tags.end();
        EXPECT_EQ(put_and_parse_fails(),
                  failure(Error::multiboot2_tag,
                          {one.type, kInfo + tag, 8 + one.payload.size(), one.needs}));
    }
}

// What a kernel can boot without.
TEST_F(Multiboot2, AnOptionalTagSmallerThanItsContentIsLeftOut) {
    const struct {
        uint32_t type;
        uint64_t least; // of its payload
        uint32_t left_out;
    } optional[] = {
        {9, 12, PROLOGUE_LEFT_OUT_SYMBOLS},
        {kFramebuffer, 22, PROLOGUE_LEFT_OUT_FRAMEBUFFER},
        {kEfi32, 4, PROLOGUE_LEFT_OUT_EFI},
        {kEfi64, 8, PROLOGUE_LEFT_OUT_EFI},
        {kRsdp1, 20, PROLOGUE_LEFT_OUT_RSDP},
        {kRsdp2, 36, PROLOGUE_LEFT_OUT_RSDP},
        {kEfiMemoryMap, 8, PROLOGUE_LEFT_OUT_EFI},
    };
    for (const auto& one : optional)
        for (uint64_t bytes = 0; bytes != one.least; ++bytes) {
            tags = {};
            tags.add(one.type, std::string(bytes, '\0'));
            tags.add_memory_map(kRam);
            tags.end();
            put_and_parse();
            EXPECT_EQ(loader.left_out, one.left_out) << one.type << " of " << bytes;
            EXPECT_EQ(ranges_of(loader.memory), kRam);
            EXPECT_EQ(loader.rsdp_copy.bytes, 0u);
            EXPECT_TRUE(same(loader.framebuffer, {}));
            EXPECT_EQ(loader.uefi.system_table_phys, 0u);
            EXPECT_EQ(loader.uefi.memory_map_bytes, 0u);
        }
}

TEST_F(Multiboot2, AnOlderRsdpTakesThePlaceOfANewerOneThatIsTooShort) {
    tags.add(kRsdp2, std::string(35, '2'));
    tags.add(kRsdp1, std::string(20, '1'));
    tags.add_memory_map(kRam);
    tags.end();
    put_and_parse();
    EXPECT_EQ(str(loader.rsdp_copy), std::string(20, '1'));
    EXPECT_EQ(loader.left_out, uint32_t{PROLOGUE_LEFT_OUT_RSDP});
}

// The specification's table has one reserved byte before the colours, GRUB's header two.
TEST_F(Multiboot2, ColoursStandBehindOneReservedByteOrTwo) {
    Tags whole;
    whole.add_framebuffer(kTrueColour);
    const std::string payload = whole.bytes().substr(Tags::kHeaderBytes + 8, 30);
    for (const uint64_t reserved : {0u, 1u, 2u, 3u}) {
        tags = {};
        tags.add_memory_map(kRam);
        tags.add(kFramebuffer, payload.substr(0, 22) +
                                   std::string(std::min<uint64_t>(reserved, 2), 0) +
                                   payload.substr(24) + std::string(reserved == 3, 'x'));
        tags.end();
        put_and_parse();
        prologue_framebuffer due = kTrueColour;
        if (reserved == 0)
            due.red_shift = due.red_bits = due.green_shift = due.green_bits = due.blue_shift =
                due.blue_bits = 0;
        EXPECT_TRUE(same(loader.framebuffer, due)) << reserved;
        EXPECT_EQ(loader.left_out, reserved == 0 ? uint32_t{PROLOGUE_LEFT_OUT_FRAMEBUFFER} : 0u);
    }
}

TEST_F(Multiboot2, AnEndTagIsTheEndWhateverItsSize) {
    for (const uint32_t bytes : {0u, 7u, 8u, 9u, 0xffffffffu}) {
        tags = {};
        tags.add_memory_map(kRam);
        tags.add_module(1, 2, "one");
        const uint64_t end = tags.end();
        tags.put(memory, kInfo);
        memory.put(kInfo + end + 4, bytes);
        parse();
        EXPECT_EQ(ranges_of(loader.memory), kRam);
        EXPECT_EQ(modules().size(), 1u) << bytes;
        EXPECT_EQ(loader.left_out, 0u);
    }
}

TEST_F(Multiboot2, EfisSystemTableIsOccupied) {
    tags.add_memory_map(kRam);
    tags.add(kEfi64, raw(uint64_t{0x7e00ff0}));
    tags.end();
    put_and_parse();
    EXPECT_EQ(pages_occupied(loader), pages_on({{kInfo, kInfo + 1}, {0x7e00ff0, 0x7e01068}}));
}

TEST_F(Multiboot2, AModuleTagSmallerThanAModuleIsNamed) {
    tags.add_memory_map(kRam);
    const uint64_t tag = tags.add(3, "1234567");
    tags.end();
    tags.put(memory, kInfo);
    EXPECT_EQ(failure_of([&] {
                  parse();
                  modules();
              }),
              failure(Error::multiboot2_tag, {3, kInfo + tag, 15, 16}));
}

TEST_F(Multiboot2, ATagThatRunsPastTheInformationIsNamed) {
    tags.add_memory_map(kRam);
    const uint64_t odd = tags.add(99, "12345678");
    tags.end();
    tags.put(memory, kInfo);
    const uint64_t left = 16 + 8;
    for (const uint32_t bytes : {25u, 0xfffffff8u, 0xffffffffu}) {
        memory.put(kInfo + odd + 4, bytes);
        EXPECT_EQ(parse_fails(),
                  failure(Error::multiboot2_past_end, {99, kInfo + odd, bytes, left}));
    }
}

TEST_F(Multiboot2, WithoutAnEndTagTheInformationIsNamed) {
    tags.add_memory_map(kRam);
    tags.add(99, "12345678");
    EXPECT_EQ(put_and_parse_fails(),
              failure(Error::multiboot2_no_end, {kInfo + tags.bytes().size()}));
    tags.add(99, "123"); // unpadded, it leaves less than a tag
    tags.put(memory, kInfo, false);
    EXPECT_EQ(parse_fails(), failure(Error::multiboot2_no_end, {kInfo + tags.bytes(false).size()}));
}

TEST_F(Multiboot2, APieceOfATagIsNoEndTag) {
    tags.add_memory_map(kRam);
    const auto bytes = static_cast<uint32_t>(tags.bytes().size());
    tags.end();
    tags.put(memory, kInfo);
    for (uint32_t more = 1; more != 8; ++more) {
        memory.put(kInfo, bytes + more);
        EXPECT_EQ(parse_fails(), failure(Error::multiboot2_no_end, {kInfo + bytes + more}));
    }
}

TEST_F(Multiboot2, WithoutAMemoryMapItIsNamed) {
    tags.add_text(1, "quiet");
    tags.end();
    EXPECT_EQ(put_and_parse_fails(), failure(Error::multiboot2_memory, {kInfo}));
    tags = {};
    tags.add_memory_map({});
    tags.end();
    EXPECT_EQ(put_and_parse_fails(), failure(Error::multiboot2_memory, {kInfo}));
}

TEST_F(Multiboot2, MapEntriesThatAreTooSmallAreNamed) {
    const uint64_t map = tags.add_memory_map(kRam);
    tags.end();
    tags.put(memory, kInfo);
    for (const uint32_t entry_bytes : {0u, 1u, 19u}) {
        memory.put(kInfo + map + 8, entry_bytes);
        EXPECT_EQ(parse_fails(), failure(Error::multiboot2_entry_size, {kInfo + map, entry_bytes}));
    }
    memory.put(kInfo + map + 8, 0xffffffffu);
    EXPECT_EQ(parse_fails(), failure(Error::multiboot2_memory, {kInfo})) << "none fits";
}

TEST_F(Multiboot2, BootServicesThatStillRunAreNamed) {
    tags.add_memory_map(kRam);
    const uint64_t tag = tags.add(kBootServices, "");
    tags.end();
    EXPECT_EQ(put_and_parse_fails(), failure(Error::multiboot2_boot_services, {kInfo + tag}));
}

TEST_F(Multiboot2, BootServicesThatAreSeenToNeedNoMapOfTheLoaders) {
    tags.add(1, std::string("a b\0", 4));
    tags.add(kBootServices, "");
    tags.end();
    tags.put(memory, kInfo);
    const uint8_t entries[sizeof(RawRange)] = {};
    LoaderInfo served;
    served.uefi.boot_services = 1;
    served.memory = {entries, sizeof entries, sizeof entries, 0};
    prologue_parse_multiboot2(memory.seen, kInfo, served);
    EXPECT_EQ(str(served.cmdline), "a b");
    EXPECT_EQ(served.memory.entries, entries);
}

TEST_F(Multiboot2, InformationOf16MiBAndNoMore) {
    constexpr uint32_t kMost = 16 << 20;
    FakeMemory large(kInfo + 2 * kMost);
    tags.add_memory_map(kRam);
    tags.end();
    tags.put(large, kInfo);
    large.put<uint32_t>(kInfo, kMost);
    prologue_parse_multiboot2(large.seen, kInfo, loader);
    EXPECT_EQ(pages_occupied(loader).size(), kMost / kPage);
    large.put<uint32_t>(kInfo, kMost + 1);
    EXPECT_EQ(failure_of([&] { prologue_parse_multiboot2(large.seen, kInfo, loader); }),
              failure(Error::multiboot2_size, {kInfo, kMost + 1}));
}

TEST_F(Multiboot2, MoreModulesThanCanBeTrueAreNamed) {
    FakeMemory large(64 * kPage);
    tags.add_memory_map(kRam);
    for (uint32_t i = 0; i != 4096; ++i)
        tags.add_module(i, i, "");
    Tags more = tags;
    tags.end();
    tags.put(large, kInfo);
    prologue_parse_multiboot2(large.seen, kInfo, loader);
    EXPECT_EQ(loader.module_count, 4096u);
    more.add_module(1, 2, "");
    more.end();
    more.put(large, kInfo);
    EXPECT_EQ(failure_of([&] {
                  LoaderInfo again;
                  prologue_parse_multiboot2(large.seen, kInfo, again);
              }),
              failure(Error::too_many_entries, {4097, 4096}, "multiboot2 module list"));
}

TEST_F(Multiboot2, AModuleThatEndsBeforeItStartsIsNamed) {
    tags.add_memory_map(kRam);
    tags.add_module(0x200000, 0x1fffff, "");
    tags.end();
    put_and_parse();
    EXPECT_EQ(failure_of([&] { modules(); }),
              failure(Error::module_backwards, {0x1fffff, 0x200000}, "multiboot2"));
}

} // namespace
} // namespace prologue::test
