// What prologue-pack puts behind the loader image: read whole, and each lie in it refused.

#include "payload/packed.h"

#include "refusing.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

namespace prologue::test {
namespace {

constexpr uint64_t kPhys = 0x200000;

// Two modules of 3 and 4 bytes behind the lists, and strings behind them.
struct Packed : testing::Test {
    std::vector<uint8_t> bytes = std::vector<uint8_t>(0x100);
    PackedHead head = {kPackedMagic, kPackedVersion, 2, 0xc0, 3};
    PackedModule modules[2] = {{0x80, 3, 0xd0, 2}, {0x90, 4, 0xd8, 0}};
    prologue_module given = {0x500000, 9, "given", 5};
    prologue_handoff handoff = {};
    PackedRoom room;

    Packed() {
        std::memcpy(&bytes[0xc0], "a b", 4);
        std::memcpy(&bytes[0xd0], "is", 3);
        handoff.modules = &given;
        handoff.module_count = 1;
        handoff.cmdline = "c";
        handoff.cmdline_bytes = 1;
    }
    void add() {
        std::memcpy(bytes.data(), &head, sizeof head);
        std::memcpy(bytes.data() + sizeof head, modules, sizeof modules);
        add_packed(bytes.data(), bytes.size(), kPhys, handoff, room);
    }
    std::optional<Refused> refusal() {
        return refusal_of([&] { add(); });
    }
};

TEST_F(Packed, ComesBeforeWhatTheLoaderGave) {
    add();
    ASSERT_EQ(handoff.module_count, 3u);
    EXPECT_EQ(handoff.modules[0].start, kPhys + 0x80);
    EXPECT_EQ(handoff.modules[0].bytes, 3u);
    EXPECT_STREQ(handoff.modules[0].cmdline, "is");
    EXPECT_STREQ(handoff.modules[1].cmdline, "");
    EXPECT_STREQ(handoff.modules[2].cmdline, "given");
    EXPECT_STREQ(handoff.cmdline, "a b c");
    EXPECT_EQ(handoff.cmdline_bytes, 5u);
}

TEST_F(Packed, WithoutACommandLineLeavesTheLoaders) {
    head.cmdline_bytes = 0;
    head.cmdline = 0xc3;
    add();
    EXPECT_STREQ(handoff.cmdline, "c");
}

TEST_F(Packed, AloneHasNoSpaceAtItsEnd) {
    handoff.cmdline_bytes = 0;
    add();
    EXPECT_STREQ(handoff.cmdline, "a b");
}

TEST_F(Packed, IsNothingWhereNothingIs) {
    head.magic = 0;
    add();
    EXPECT_EQ(handoff.module_count, 1u);
    add_packed(bytes.data(), 0, kPhys, handoff, room);
    EXPECT_EQ(handoff.module_count, 1u);
}

TEST_F(Packed, EachLieIsRefused) {
    const auto lie = [&](auto& field, uint64_t value, const char* what) {
        const auto before = field;
        field = static_cast<std::remove_reference_t<decltype(field)>>(value);
        const auto is = refusal();
        ASSERT_TRUE(is) << what;
        EXPECT_EQ(is->refusal, Refusal::packed);
        EXPECT_EQ(is->what, what);
        field = before;
        handoff.modules = &given;
        handoff.module_count = 1;
    };
    lie(head.version, 2, "its version");
    lie(head.modules, 128, "modules, with the loader's");
    lie(head.modules, ~uint32_t{0}, "modules, with the loader's");
    lie(modules[1].start, 0xfd, "a module");
    lie(modules[1].start, ~uint64_t{0}, "a module");
    lie(modules[1].bytes, ~uint64_t{0}, "a module");
    lie(modules[0].string, 0x100, "a module's string");
    lie(modules[0].string_bytes, 1, "a module's string");
    lie(modules[0].string_bytes, ~uint64_t{0}, "a module's string");
    lie(head.cmdline, ~uint64_t{0}, "the command line");
    lie(head.cmdline_bytes, ~uint64_t{0}, "the command line");
    lie(head.cmdline_bytes, 2, "the command line");
    lie(handoff.cmdline_bytes, PackedRoom::kMostCmdline, "the command line");
}

TEST_F(Packed, IsRefusedWhereverItIsCutOff) {
    add();
    for (uint64_t left = sizeof head; left != 0xd9; ++left) {
        std::vector<uint8_t> cut(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(left));
        handoff.module_count = 0;
        EXPECT_TRUE(refusal_of([&] { add_packed(cut.data(), left, kPhys, handoff, room); }))
            << left;
    }
}

} // namespace
} // namespace prologue::test
