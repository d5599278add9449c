// The Limine protocol for a payload: which files ask, what is answered where, and what is refused.

#include "payload/limine.h"

#include "dice.h"
#include "payload_files.h"
#include "refusing.h"

#include <gtest/gtest.h>

namespace prologue::test {
namespace {

uint64_t word(const std::vector<uint8_t>& bytes, size_t at) {
    uint64_t value;
    std::memcpy(&value, bytes.data() + at, sizeof value);
    return value;
}

// A handoff as the payload gets it, in a window that is the room's own address; its direct map is
// a thousand pages above.
struct Limine : testing::Test {
    std::vector<uint8_t> file = limine_file();
    std::vector<uint8_t> room = std::vector<uint8_t>(limine_bytes(1, 16));
    uint64_t window = reinterpret_cast<uint64_t>(room.data());
    static constexpr uint64_t kMap = 0xffff900000000000;
    prologue_range memory[3] = {{0x1000, 0x9f000, PROLOGUE_MEMORY_USABLE, 0},
                                {0x100000, 0x800000, PROLOGUE_MEMORY_KERNEL, 0},
                                {0xf0000000, 0xff000000, PROLOGUE_MEMORY_RESERVED, 0}};
    prologue_module module = {0x300000, 9, "string", 6};
    prologue_handoff handoff = {};

    Limine() {
        handoff.direct_map = kMap;
        handoff.paging_levels = 4;
        handoff.memory = memory;
        handoff.memory_count = 3;
        handoff.modules = &module;
        handoff.module_count = 1;
        handoff.rsdp_phys = 0xf5000;
        handoff.cmdline = "a b";
    }
    ElfPayload read() const { return read_elf(file.data(), file.size()); }
    void answer() {
        answer_limine(file.data(), read(), {handoff, window, 0x200000, kElfVirtual}, room.data());
    }
    // The answer to request `index`, in the room; none where there is none.
    size_t answer_at(unsigned index) const {
        const uint64_t pointer = word(file, kLimineRequests + 48 * index + 40);
        return pointer == 0 ? room.size() : pointer - kMap;
    }
    uint64_t answered(unsigned index, unsigned number) const {
        return word(room, answer_at(index) + 8 * number);
    }
    std::optional<Refused> refusal() const {
        return refusal_of([&] { limine_stack(file.data(), read()); });
    }
    void put(size_t at, uint64_t value) { std::memcpy(file.data() + at, &value, sizeof value); }
};

TEST_F(Limine, AsksByARequestOrABaseRevision) {
    EXPECT_TRUE(asks_limine(file.data(), file.size()));
    EXPECT_FALSE(asks_limine(elf_file().data(), elf_file().size()));
    EXPECT_EQ(read().contract, Contract::limine);
    EXPECT_EQ(read().segments[0].phys, 0x200000u) << "p_paddr means nothing";
}

TEST_F(Limine, EachRequestIsAnswered) {
    answer();
    EXPECT_EQ(word(file, kLimineRevision + 8), 3u);
    EXPECT_EQ(word(file, kLimineRevision + 16), 0u);
    EXPECT_EQ(answered(kAskHhdm, 1), kMap);
    EXPECT_EQ(answered(kAskRsdp, 1), 0xf5000u);
    EXPECT_EQ(answered(kAskAddress, 1), 0x200000u);
    EXPECT_EQ(answered(kAskAddress, 2), kElfVirtual);
    EXPECT_EQ(answered(kAskPaging, 1), 0u);
    EXPECT_EQ(answered(kAskModules, 1), 1u);
    EXPECT_EQ(answered(kAskCmdline, 1),
              reinterpret_cast<uint64_t>(handoff.cmdline) - window + kMap);
    EXPECT_EQ(answer_at(kAskScreen), room.size()) << "there is none";
    EXPECT_EQ(answer_at(kAskUnknown), room.size());
    const uint64_t files = answered(kAskModules, 2) - kMap, first = word(room, files) - kMap;
    EXPECT_EQ(word(room, first + 8), kMap + 0x300000);
    EXPECT_EQ(word(room, first + 16), 9u);
}

TEST_F(Limine, WhatIsNotThereIsNotAnswered) {
    handoff.rsdp_phys = 0;
    handoff.module_count = 0;
    put(kLimineRevision + 16, 7);
    answer();
    EXPECT_EQ(answer_at(kAskRsdp), room.size());
    EXPECT_EQ(answer_at(kAskModules), room.size());
    EXPECT_EQ(word(file, kLimineRevision + 8), 3u) << "the latest there is";
    EXPECT_EQ(word(file, kLimineRevision + 16), 7u) << "which is not what was asked for";
}

TEST_F(Limine, TheFramebufferIsInTheMapOnce) {
    for (const uint64_t phys : {uint64_t{0xf0000000}, uint64_t{0xf8000000}, uint64_t{0xff000000},
                                uint64_t{0x900000}, uint64_t{0xfefff000}}) {
        file = limine_file();
        handoff.framebuffer = {phys, 0x1000, 1024, 16, 32, 1, 16, 8, 8, 8, 0, 8};
        answer();
        const uint64_t count = answered(kAskMap, 1), list = answered(kAskMap, 2) - kMap;
        uint64_t end = 0, screens = 0;
        for (uint64_t i = 0; i != count; ++i) {
            const uint64_t entry = word(room, list + 8 * i) - kMap;
            EXPECT_GE(word(room, entry), end) << "sorted, without overlaps";
            end = word(room, entry) + word(room, entry + 8);
            if (word(room, entry + 16) == 7) {
                ++screens;
                EXPECT_EQ(word(room, entry), phys);
                EXPECT_EQ(word(room, entry + 8), 0x10000u);
            }
        }
        EXPECT_EQ(screens, 1u) << phys;
        EXPECT_EQ(answered(kAskScreen, 1), 1u);
    }
}

TEST_F(Limine, TheStackThatIsAskedForIsGivenWithinReason) {
    EXPECT_EQ(limine_stack(file.data(), read()), kLimineStack);
    put(kLimineRequests + 48 * kAskUnknown + 16, 0x224ef0460a8e8926);
    put(kLimineRequests + 48 * kAskUnknown + 24, 0xe1cb0fc25f46ea3d);
    put(kLimineRequests + 48 * kAskUnknown + 48, 0x20001);
    EXPECT_EQ(limine_stack(file.data(), read()), 0x21000u);
    put(kLimineRequests + 48 * kAskUnknown + 48, ~uint64_t{0});
    EXPECT_EQ(refusal(), refused(Refusal::limine, {~uint64_t{0}, 16 * kMiB}, "a stack's bytes"));
}

TEST_F(Limine, WhatCannotBeServedIsRefused) {
    put(kLimineRevision + 16, 2);
    EXPECT_EQ(refusal(), refused(Refusal::limine, {2, 3}, "base revision"));
    put(kLimineRevision, 0);
    EXPECT_EQ(refusal(), refused(Refusal::limine, {0, 3}, "base revision")) << "no tag: 0";
    file = limine_file();
    std::memcpy(&file[kLimineRequests + 48 * kAskUnknown], &file[kLimineRequests], 32);
    EXPECT_EQ(refusal()->what, "a request that stands twice");
    file = limine_file();
    put(64 + 16, 0x200000); // p_vaddr
    EXPECT_EQ(refusal()->what, "is not in the last 2 GiB");
}

TEST_F(Limine, IsRefusedWhereverItIsCutOff) {
    for (size_t bytes = 0; bytes != file.size(); ++bytes) {
        const std::vector<uint8_t> cut(file.begin(), file.begin() + static_cast<ptrdiff_t>(bytes));
        ASSERT_TRUE(refusal_of([&] { read_elf(cut.data(), bytes); })) << bytes;
    }
}

} // namespace
} // namespace prologue::test
