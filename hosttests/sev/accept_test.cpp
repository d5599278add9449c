// Memory of an SNP guest is made private and validated, once, in few exits; whoever waits for
// that sees that it goes on.
#include "accept_memory.h"
#include "ports.h"
#include "range_model.h"
#include "scripted_host.h"

#include <gtest/gtest.h>

namespace prologue::test {
namespace {

constexpr uint64_t kLarge = 2 << 20;
constexpr uint64_t kWindow = 0xffff800000000000;

struct Step {
    uint64_t start;
    bool large;
    bool operator==(const Step&) const = default;
};

// A host that does what it is asked, and knows what it has done.
struct Obliging : ScriptedHost {
    std::vector<Step> asked, validated;
    std::vector<uint64_t> lines; // that were read, each behind what was validated until then
    bool small_pages = false;
    unsigned large_tries = 0;

    Obliging() {
        on_page = [this] {
            const uint64_t header = get(kGhcbBuffer);
            const unsigned last = header >> 16 & 0xffff;
            for (unsigned i = header & 0xffff; i <= last; ++i) {
                const uint64_t entry = get(kGhcbBuffer + 8 + 8 * i);
                EXPECT_EQ(entry >> 52 & 0xf, 1u) << "private";
                EXPECT_EQ(entry & 0xfff, 0u);
                asked.push_back({entry & 0x000ffffffffff000, (entry >> 56 & 1) != 0});
            }
            put(kGhcbBuffer, (header & ~uint64_t{0xffff}) | (last + 1));
            done();
        };
        on_pvalidate = [this](uint64_t virt, bool large, bool validate) -> Validated {
            EXPECT_TRUE(validate);
            large_tries += large;
            if (large && small_pages)
                return {6, true};
            validated.push_back({virt - kWindow, large});
            return {0, false};
        };
        on_read_line = [this](uint64_t virt) {
            EXPECT_TRUE(is_validated(virt - kWindow)) << "not the guest's yet";
            lines.push_back(virt - kWindow);
        };
    }
    // By the last of them: what is read is read at once.
    bool is_validated(uint64_t phys) const {
        for (auto step = validated.rbegin(); step != validated.rend(); ++step)
            if (phys - step->start < (step->large ? kLarge : kPage))
                return true;
        return false;
    }
    void accept(uint64_t start, uint64_t end) { accept_pages(kWindow, {start, end}); }
};

// A memory map of these ranges, accepted up to a mark.
struct Accepted {
    std::vector<prologue_range> map;
    std::vector<Step> validated;
    std::string said;

    Accepted(const std::vector<prologue_range>& ranges, uint64_t mark) {
        fake_ports = {};
        const uint64_t capacity = MemoryMap::storage_for(2 * ranges.size());
        std::vector<prologue_range> storage(capacity);
        MemoryMap accepted(storage.data(), capacity);
        for (const prologue_range& range : ranges)
            accepted.overlay({range.start, range.end}, range.type);
        PhysMemory memory = {.window = kWindow, .mapped = uint64_t{1} << 39};
        Obliging host;
        accepted.retype(PROLOGUE_MEMORY_USABLE, PROLOGUE_MEMORY_UNACCEPTED, kLastPageStart);
        accept_memory(accepted, memory, mark);
        map.assign(accepted.begin(), accepted.end());
        validated = host.validated;
        for (const FakePorts::Write& write : fake_ports.writes)
            if (write.port == 0xe9)
                said += static_cast<char>(write.value);
    }
    uint64_t bytes() const {
        uint64_t sum = 0;
        for (const Step& step : validated)
            sum += step.large ? kLarge : kPage;
        return sum;
    }
};

TEST(Accept, FiveHundredAndTwelveLargePagesTakeThreeExits) {
    Obliging host;
    host.accept(4 * kLarge, 516 * kLarge);
    EXPECT_EQ(host.page_requests.size(), 3u);
    EXPECT_EQ(host.validated.size(), 512u);
    EXPECT_EQ(host.asked, host.validated);
    for (unsigned i = 0; i != 512; ++i)
        EXPECT_EQ(host.validated[i], (Step{(4 + i) * kLarge, true}));
}

TEST(Accept, EdgesAreSmallPages) {
    Obliging host;
    host.accept(kLarge - 0x2000, 2 * kLarge + 0x1000);
    const std::vector<Step> wanted = {
        {kLarge - 0x2000, false}, {kLarge - 0x1000, false}, {kLarge, true}, {2 * kLarge, false}};
    EXPECT_EQ(host.validated, wanted);
    EXPECT_EQ(host.asked, wanted);
    EXPECT_EQ(host.page_requests.size(), 1u);
}

TEST(Accept, WhereTheHostHasSmallPagesTheyAreValidatedOneByOne) {
    Obliging host;
    host.small_pages = true;
    host.accept(kLarge, 2 * kLarge);
    ASSERT_EQ(host.validated.size(), 512u);
    EXPECT_EQ(host.validated[511], (Step{2 * kLarge - 0x1000, false}));
}

// Three tests of CVE-2024-36331 and CVE-2025-38560.
TEST(Accept, TheFirstAndLastByteOfEach4KiBIsReadBehindIt) {
    for (const bool small_pages : {false, true}) {
        Obliging host;
        host.small_pages = small_pages;
        host.accept(kLarge - kPage, 2 * kLarge + kPage);
        ASSERT_EQ(host.lines.size(), 2u * 514);
        for (unsigned i = 0; i != 514; ++i) {
            EXPECT_EQ(host.lines[2 * i], kLarge - kPage + i * kPage);
            EXPECT_EQ(host.lines[2 * i + 1], kLarge + i * kPage - 1);
        }
    }
}

TEST(Accept, APageThatIsTakenBackIsReadToo) {
    Obliging host;
    validate_page(kWindow + 0x5000);
    EXPECT_EQ(host.lines, (std::vector<uint64_t>{0x5000, 0x5fff}));
    host.on_pvalidate = [](uint64_t, bool, bool) { return Validated{0, false}; };
    host.lines.clear();
    rescind_page(kWindow + 0x5000);
    EXPECT_TRUE(host.lines.empty()) << "what goes to the host need not be";
}

TEST(Accept, WhereTheCpuIsCoherentNothingIsRead) {
    Obliging host;
    prologue_sev_state.coherent = 1;
    host.accept(kLarge - kPage, 2 * kLarge + kPage);
    EXPECT_TRUE(host.lines.empty());
}

TEST(Accept, AHostOfSmallPagesIsNotAskedForLargeOnesAgain) {
    Obliging host;
    host.small_pages = true;
    host.accept(kLarge, 9 * kLarge);
    EXPECT_EQ(host.large_tries, 2u);
    host.accept(16 * kLarge, 20 * kLarge);
    EXPECT_EQ(host.large_tries, 2u) << "what was learned is kept";
    EXPECT_EQ(host.validated.size(), 12u * 512);
    EXPECT_EQ(host.page_requests.size(), 2u) << "the host's lists have large pages still";
}

TEST(Accept, ASingleSmallPageSaysNothingOfTheOthers) {
    Obliging host;
    const auto all = host.on_pvalidate;
    host.on_pvalidate = [&](uint64_t virt, bool large, bool validate) {
        host.small_pages = (virt - kWindow) / kLarge % 2 == 1;
        return all(virt, large, validate);
    };
    host.accept(kLarge, 9 * kLarge);
    EXPECT_EQ(host.large_tries, 8u);
    EXPECT_EQ(host.validated.size(), 4u + 4 * 512);
}

TEST(Accept, BelowTheFirstLevelTheGuestEndsBeforeItValidates) {
    ScriptedHost host;
    host.on_rmpadjust = [](uint64_t virt, uint64_t level_and_rights) -> uint32_t {
        EXPECT_EQ(virt, 0x7000u);
        EXPECT_EQ(level_and_rights, 1u) << "no right of level 1";
        return 0;
    };
    EXPECT_EQ(end_of([] { require_vmpl0(0x7000); }), std::nullopt);
    for (const uint32_t wrong : {1, 2, 6}) {
        host.on_rmpadjust = [&](uint64_t, uint64_t) { return wrong; };
        EXPECT_EQ(end_of([] { require_vmpl0(0x7000); }), unsigned{PROLOGUE_SEV_VMPL});
    }
}

TEST(Accept, APageThatIsValidatedTwiceEndsTheGuest) {
    Obliging host;
    host.on_pvalidate = [](uint64_t, bool, bool) { return Validated{0, true}; };
    EXPECT_EQ(end_of([&] { host.accept(0x1000, 0x2000); }), unsigned{PROLOGUE_SEV_PVALIDATE_TWICE});
    host.on_pvalidate = [](uint64_t, bool, bool) { return Validated{1, false}; };
    EXPECT_EQ(end_of([&] { host.accept(0x1000, 0x2000); }), unsigned{PROLOGUE_SEV_PVALIDATE});
    host.on_pvalidate = [](uint64_t, bool, bool) { return Validated{6, false}; };
    EXPECT_EQ(end_of([&] { host.accept(0x1000, 0x2000); }), unsigned{PROLOGUE_SEV_PVALIDATE})
        << "4 KiB cannot mismatch";
}

TEST(Accept, AListThatIsWorkedOffInPartsGoesOn) {
    Obliging host;
    const auto all = host.on_page;
    host.on_page = [&] {
        const uint64_t header = host.get(kGhcbBuffer);
        host.put(kGhcbBuffer, header + 1);
        host.done();
    };
    host.accept(0x1000, 0x4000);
    EXPECT_EQ(host.page_requests.size(), 3u);
    EXPECT_EQ(host.validated.size(), 3u);
}

// What the host may not do with the list's first eight bytes, or its result.
TEST(Accept, AListThatComesBackWrongEndsTheGuest) {
    const std::pair<uint64_t, uint64_t> wrong[] = {
        {0x00010000, 0},                     // no step further
        {0x00010003, 0},                     // too far
        {0x00020002, 0},                     // longer
        {0x00000001, 0},                     // shorter
        {uint64_t{1} << 32 | 0x00010002, 0}, // reserved
        {0x00010002, 7},                     // and an error
    };
    for (const auto& [header, info2] : wrong) {
        Obliging host;
        host.on_page = [&, header = header, info2 = info2] {
            host.put(kGhcbBuffer, header);
            host.done(0, info2);
        };
        EXPECT_EQ(end_of([&] { host.accept(0x1000, 0x3000); }), unsigned{PROLOGUE_SEV_PAGE_STATE})
            << header;
        EXPECT_TRUE(host.validated.empty());
    }
}

constexpr uint32_t kUsable = PROLOGUE_MEMORY_USABLE, kReserved = PROLOGUE_MEMORY_RESERVED,
                   kUnaccepted = PROLOGUE_MEMORY_UNACCEPTED;

TEST(AcceptMemory, ALineStandsBehindEach4GiB) {
    const Accepted one({{4 * kGiB, 17 * kGiB, kUsable, 0}}, kLastPageStart);
    EXPECT_EQ(one.bytes(), 13 * kGiB);
    EXPECT_EQ(one.said, "prologue: accepted memory up to 0x200000000\n"
                        "prologue: accepted memory up to 0x300000000\n"
                        "prologue: accepted memory up to 0x400000000\n");
}

// What counts is what was accepted, not where it lies.
TEST(AcceptMemory, WhatIsBetweenRangesDoesNotCount) {
    const Accepted holes({{kGiB, 3 * kGiB, kUsable, 0},
                          {3 * kGiB, 4 * kGiB, kReserved, 0},
                          {4 * kGiB, 5 * kGiB + kPage, kUsable, 0},
                          {6 * kGiB, 8 * kGiB, kUsable, 0}},
                         kLastPageStart);
    EXPECT_EQ(holes.bytes(), 5 * kGiB + kPage);
    EXPECT_EQ(holes.said, "prologue: accepted memory up to 0x1bffff000\n");
    EXPECT_EQ(Accepted({{4 * kGiB, 8 * kGiB - kPage, kUsable, 0}}, kLastPageStart).said, "");
}

TEST(AcceptMemory, AboveTheMarkNothingIs) {
    const Accepted half({{kGiB, 3 * kGiB, kUsable, 0},
                         {3 * kGiB, 4 * kGiB, kReserved, 0},
                         {4 * kGiB, 6 * kGiB, kUsable, 0}},
                        2 * kGiB);
    EXPECT_EQ(half.bytes(), kGiB);
    EXPECT_EQ(half.said, "");
    const std::vector<prologue_range> wanted = {{kGiB, 2 * kGiB, kUsable, 0},
                                                {2 * kGiB, 3 * kGiB, kUnaccepted, 0},
                                                {3 * kGiB, 4 * kGiB, kReserved, 0},
                                                {4 * kGiB, 6 * kGiB, kUnaccepted, 0}};
    EXPECT_EQ(half.map, wanted);
}

// What a firmware has accepted is accepted by nobody again.
TEST(AcceptMemory, OnlyWhatIsUnacceptedIs) {
    const uint64_t capacity = MemoryMap::storage_for(8);
    std::vector<prologue_range> storage(capacity);
    MemoryMap map(storage.data(), capacity);
    map.overlay({kGiB, 3 * kGiB}, kUsable);
    map.overlay({2 * kGiB, 3 * kGiB}, kUnaccepted);
    map.overlay({4 * kGiB, 5 * kGiB}, kUnaccepted);
    PhysMemory memory = {.window = kWindow, .mapped = uint64_t{1} << 39};
    Obliging host;
    accept_memory(map, memory, 4 * kGiB);
    EXPECT_EQ(host.validated.size(), 512u);
    EXPECT_EQ(host.validated[0], (Step{2 * kGiB, true}));
    const std::vector<prologue_range> wanted = {{kGiB, 3 * kGiB, kUsable, 0},
                                                {4 * kGiB, 5 * kGiB, kUnaccepted, 0}};
    EXPECT_EQ(std::vector<prologue_range>(map.begin(), map.end()), wanted);
}

} // namespace
} // namespace prologue::test
