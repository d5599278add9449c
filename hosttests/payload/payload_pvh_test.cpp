// The start info that a payload gets by PVH is read back by the loaders' parser.

#include "payload/pvh_info.h"

#include "parsing.h"

#include <gtest/gtest.h>

namespace prologue::test {
namespace {

TEST(MadePvh, IsReadBack) {
    constexpr uint64_t kInfo = 0x1000, kText = 0x3000;
    FakeMemory memory(0x4000);
    memory.put_text(kText, "the line");
    memory.put_text(kText + 0x100, "one");
    const auto text = [&](uint64_t at) { return reinterpret_cast<const char*>(memory.at(at)); };
    const prologue_range ranges[] = {{0x1000, 0x9f000, PROLOGUE_MEMORY_LOADER, 0},
                                     {0x100000, 0x200000, PROLOGUE_MEMORY_ACPI, 0}};
    const prologue_module modules[] = {{0x300001, 5000, text(kText + 0x100), 3}};
    prologue_handoff handoff = {};
    handoff.memory = ranges;
    handoff.memory_count = 2;
    handoff.modules = modules;
    handoff.module_count = 1;
    handoff.cmdline = text(kText);
    handoff.rsdp_phys = 0xf59d0;
    ASSERT_LE(pvh_info_bytes(1, 2), 0x1000u);
    make_pvh_info(handoff, memory.window(), memory.at(kInfo), kInfo);

    LoaderInfo loader;
    prologue_parse_pvh(memory.seen, kInfo, loader);
    EXPECT_EQ(str(loader.cmdline), "the line");
    EXPECT_EQ(loader.rsdp_phys, 0xf59d0u);
    EXPECT_EQ(ranges_of(loader.memory),
              (std::vector<StatedRange>{{0x1000, 0x9e000, 1}, {0x100000, 0x100000, 3}}));
    ASSERT_EQ(loader.module_count, 1u);
    LoaderModule module;
    ASSERT_TRUE(prologue_next_pvh_module(memory.seen, loader.modules, module));
    EXPECT_EQ(module.bytes.start, 0x300001u);
    EXPECT_EQ(module.bytes.bytes(), 5000u);
    EXPECT_EQ(str(module.cmdline), "one");
}

} // namespace
} // namespace prologue::test
