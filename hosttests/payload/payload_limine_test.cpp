// The Limine protocol for a payload: which files ask, what is answered where, and what is refused.

#include "payload/limine.h"

#include "dice.h"
#include "payload_files.h"
#include "refusing.h"

#include <gtest/gtest.h>

#include <utility>

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
    std::vector<uint8_t> room = std::vector<uint8_t>(limine_bytes(1, 16, 4));
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
        return refusal_of([&] { limine_wishes(file.data(), read()); });
    }
    LimineWishes wishes() const { return limine_wishes(file.data(), read()); }
    // Another request in the last one's place, with its fields; it has revision 1.
    void ask(uint64_t a, uint64_t b, uint64_t first = 0, uint64_t second = 0) {
        for (const uint64_t value : {a, b, uint64_t{1}, uint64_t{0}, first, second})
            put(std::exchange(next_, next_ + 8), value);
        next_ = kLimineRequests + 48 * kAskUnknown + 16;
    }
    size_t next_ = kLimineRequests + 48 * kAskUnknown + 16;
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
    EXPECT_EQ(wishes().stack_bytes, kLimineStack);
    ask(0x224ef0460a8e8926, 0xe1cb0fc25f46ea3d, 0x20001);
    EXPECT_EQ(wishes().stack_bytes, 0x21000u);
    put(kLimineRequests + 48 * kAskUnknown + 48, ~uint64_t{0});
    EXPECT_EQ(refusal(), refused(Refusal::limine, {~uint64_t{0}, 16 * kMiB}, "a stack's bytes"));
}

TEST_F(Limine, WhatIsMoreThanAnAnswerIsWishedFor) {
    EXPECT_FALSE(wishes().wants_processors || wishes().wants_file || wishes().wants_time);
    EXPECT_EQ(wishes().entry, 0u);
    ask(0x95a67b819a1b857e, 0xa0b61b723b6a73e0);
    EXPECT_TRUE(wishes().wants_processors);
    ask(0xad97e90e83f1ed67, 0x31eb5d1c5ff23b69);
    EXPECT_TRUE(wishes().wants_file);
    ask(0x502746e184c088aa, 0xfbc5ec83e6327893);
    EXPECT_TRUE(wishes().wants_time);
    ask(0x13d86c035a1cd3e1, 0x2b0caa89d8f3026a, kElfVirtual + 0x20);
    EXPECT_EQ(wishes().entry, kElfVirtual + 0x20);
}

TEST_F(Limine, FiveLevelsAreWantedOrNeeded) {
    std::memset(&file[kLimineRequests + 48 * kAskPaging], 0, 48); // the one there is
    file.resize(file.size() + 16);
    put(64 + 56 + 32, 0x210); // p_filesz
    EXPECT_FALSE(wishes().wants_five_levels);
    ask(0x95c1a0edab0944cb, 0xa4e5cb3842f7488a, 1, 1);
    put(next_ + 48, 0);
    EXPECT_TRUE(wishes().wants_five_levels);
    EXPECT_FALSE(wishes().needs_five_levels);
    put(next_ + 48, 1);
    EXPECT_TRUE(wishes().needs_five_levels);
    put(next_ + 16, 0); // of revision 0 there is no such field
    EXPECT_FALSE(wishes().needs_five_levels);
}

TEST_F(Limine, ProcessorsAreListed) {
    auto* const list = reinterpret_cast<LimineProcessor*>(room.data() + room.size() - 0x100);
    list[0] = {7, 0x10, 0, 0, 0};
    list[1] = {8, 0x11, 1, 0, 0}; // it did not come
    list[2] = {9, 0x12, 0, 0, 0};
    ask(0x95a67b819a1b857e, 0xa0b61b723b6a73e0);
    answer_limine(file.data(), read(), {handoff, window, 0x200000, kElfVirtual, {list, 3, true}},
                  room.data());
    EXPECT_EQ(answered(kAskUnknown, 1), 0x1000000001u) << "x2APIC; this one's id";
    EXPECT_EQ(answered(kAskUnknown, 2), 2u);
    const uint64_t pointers = answered(kAskUnknown, 3) - kMap;
    EXPECT_EQ(word(room, pointers), kMap + room.size() - 0x100);
    EXPECT_EQ(word(room, pointers + 8), kMap + room.size() - 0x100 + 64);
}

TEST_F(Limine, WhatUefiToldIsAnswered) {
    const auto answered_to = [&](uint64_t a, uint64_t b) {
        ask(a, b);
        answer();
        return answer_at(kAskUnknown) != room.size();
    };
    EXPECT_TRUE(answered_to(0x8c2f75d90bef28a8, 0x7045a4688eac00c3));
    EXPECT_EQ(answered(kAskUnknown, 1), 0u) << "a BIOS";
    EXPECT_FALSE(answered_to(0x9e9046f11e095391, 0xaa4a520fefbde5ee));
    EXPECT_FALSE(answered_to(0x5ceba5163eaaf6d6, 0x0a6981610cf65fcc));
    EXPECT_FALSE(answered_to(0x7df62a431d6872d5, 0xa4fcdfb3e57306c8));
    EXPECT_FALSE(answered_to(0x502746e184c088aa, 0xfbc5ec83e6327893)) << "nobody knows the time";
    handoff.efi = {0x7000, room.data() + 0x80, 96, 48, 1, 64, 0, 0};
    handoff.smbios_phys = 0x8000;
    EXPECT_TRUE(answered_to(0x8c2f75d90bef28a8, 0x7045a4688eac00c3));
    EXPECT_EQ(answered(kAskUnknown, 1), 2u);
    EXPECT_TRUE(answered_to(0x9e9046f11e095391, 0xaa4a520fefbde5ee));
    EXPECT_EQ(answered(kAskUnknown, 1), 0x8000u);
    EXPECT_EQ(answered(kAskUnknown, 2), 0u);
    EXPECT_TRUE(answered_to(0x5ceba5163eaaf6d6, 0x0a6981610cf65fcc));
    EXPECT_EQ(answered(kAskUnknown, 1), 0x7000u);
    EXPECT_TRUE(answered_to(0x7df62a431d6872d5, 0xa4fcdfb3e57306c8));
    EXPECT_EQ(answered(kAskUnknown, 1), kMap + 0x80);
    EXPECT_EQ(answered(kAskUnknown, 2), 96u);
    EXPECT_EQ(answered(kAskUnknown, 3), 48u);
}

TEST_F(Limine, RequestsAreBetweenTheirMarks) {
    constexpr size_t kStart = 0x1900 - 0x20; // in the middle of the requests: two are before it
    const uint64_t start[] = {0xf6b8f4b39de7d1ae, 0xfab91a6940fcb9cf, 0x785c6ed015d3e316,
                              0x181e920a7852b9d9};
    const uint64_t end[] = {0xadc0e0531bb10d03, 0x9572709f31764c62};
    std::memcpy(&file[kStart], start, sizeof start); // over the fifth
    std::memcpy(&file[kLimineRequests + 48 * kAskUnknown], end, sizeof end);
    std::memcpy(&file[kLimineRequests], &file[kLimineRequests + 48 * kAskMap], 32);
    EXPECT_FALSE(refusal()) << "a second one outside of them is none";
    answer();
    EXPECT_EQ(answer_at(0), room.size());
    EXPECT_EQ(answer_at(kAskPaging), room.size());
    EXPECT_NE(answer_at(kAskCmdline), room.size());
    EXPECT_NE(answer_at(kAskMap), room.size());
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
