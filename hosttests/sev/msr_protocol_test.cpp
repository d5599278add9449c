// The GHCB MSR protocol, against a host that says anything.
#include "cpuid_page.h"
#include "scripted_host.h"
#include "sev_features.h"

#include <gtest/gtest.h>

#include <set>

namespace prologue::test {
namespace {

constexpr uint64_t info(uint64_t highest, uint64_t lowest, uint64_t c_bit) {
    return highest << 48 | lowest << 32 | c_bit << 24 | 1;
}

TEST(MsrProtocol, APresetAnswerIsNotAskedForAgain) {
    ScriptedHost host;
    const SevInfo found = negotiate(info(2, 1, 51), 1);
    EXPECT_EQ(found.version, 2u);
    EXPECT_EQ(found.c_bit, 51u);
    EXPECT_TRUE(host.msr_requests.empty());
}

TEST(MsrProtocol, WhereNothingIsPresetTheHostIsAskedOnce) {
    ScriptedHost host;
    host.on_msr = [](uint64_t) { return info(3, 1, 47); };
    const SevInfo found = negotiate(0x7000, 2);
    EXPECT_EQ(found.version, 2u) << "the newest that this guest speaks";
    EXPECT_EQ(found.c_bit, 47u);
    EXPECT_EQ(host.msr_requests, std::vector<uint64_t>{0x002});
}

// OpenBSD's vmm ends the VM at such a request. SNP, which it has not, needs the answer.
TEST(MsrProtocol, AHostThatPresetsZeroIsNotAskedForWhatItMayNotAnswer) {
    ScriptedHost host;
    const SevInfo found = negotiate(0, kLeastVersion);
    EXPECT_EQ(found.version, 1u);
    EXPECT_EQ(found.c_bit, kNoCBit);
    EXPECT_TRUE(host.msr_requests.empty());
    host.on_msr = [](uint64_t) { return info(2, 1, 51); };
    EXPECT_EQ(negotiate(0, kLeastVersionOfSnp).c_bit, 51u);
    EXPECT_EQ(host.msr_requests.size(), 1u);
}

// Whatever the rest of the MSR is: a request's code that nobody has sent, an address.
TEST(MsrProtocol, BehindAFirmwareTheHostIsAsked) {
    for (const uint64_t left : {uint64_t{0x7fe5d000}, uint64_t{0x1'0000'0000}, uint64_t{0x005}}) {
        ScriptedHost host;
        host.on_msr = [](uint64_t) { return info(2, 1, 51); };
        EXPECT_EQ(negotiate(left, kLeastVersion).version, 2u);
        EXPECT_EQ(host.msr_requests, std::vector<uint64_t>{0x002}) << left;
    }
}

TEST(MsrProtocol, VersionsMustMeet) {
    ScriptedHost host;
    EXPECT_EQ(negotiate(info(1, 1, 51), 1).version, 1u);
    for (const uint64_t wrong : {info(1, 1, 51), info(5, 3, 51), info(0, 0, 51), info(1, 2, 51)})
        EXPECT_EQ(end_of([&] { negotiate(wrong, 2); }), unsigned{PROLOGUE_SEV_VERSION}) << wrong;
}

TEST(MsrProtocol, ACBitLiesBetween32And51) {
    ScriptedHost host;
    for (const uint64_t c_bit : {0, 31, 52, 63, 255})
        EXPECT_EQ(end_of([&] { negotiate(info(2, 1, c_bit), 1); }),
                  unsigned{PROLOGUE_SEV_C_BIT_RANGE});
    EXPECT_EQ(negotiate(info(2, 1, 32), 1).c_bit, 32u);
}

TEST(MsrProtocol, CpuidIsTheUpperHalfOfTheRegisterAskedFor) {
    ScriptedHost host;
    host.on_msr = [](uint64_t request) {
        return uint64_t{0x1234abcd} << 32 | (request & 0xc0000000) | 0x3ffff000 | 0x005;
    };
    EXPECT_EQ(ask_cpuid(0x8000001f, kEbx), 0x1234abcdu);
    EXPECT_EQ(host.msr_requests, std::vector<uint64_t>{0x8000001f40000004});
}

TEST(MsrProtocol, EveryOtherCodeAndEveryOtherRegisterIsRefused) {
    ScriptedHost host;
    for (unsigned code = 0; code != 0x1000; ++code) {
        host.on_msr = [&](uint64_t request) { return (request & ~uint64_t{0xfff}) | code; };
        const auto end = end_of([] { ask_cpuid(1, kEdx); });
        if (code == GHCB_MSR_CPUID)
            EXPECT_EQ(end, std::nullopt);
        else
            EXPECT_EQ(end, unsigned{PROLOGUE_SEV_MSR_RESPONSE}) << code;
    }
    host.on_msr = [](uint64_t request) { return (request ^ 0x40000000) + 1; };
    EXPECT_EQ(end_of([] { ask_cpuid(1, kEdx); }), unsigned{PROLOGUE_SEV_MSR_RESPONSE});
}

TEST(MsrProtocol, SubleavesAreNotGuessed) {
    EXPECT_TRUE(can_ask_cpuid(0, 99));
    EXPECT_TRUE(can_ask_cpuid(0x80000001, 1));
    EXPECT_TRUE(can_ask_cpuid(7, 0));
    EXPECT_FALSE(can_ask_cpuid(7, 1));
    for (const uint32_t leaf : {0x4u, 0xbu, 0xdu, 0x8000001du})
        EXPECT_FALSE(can_ask_cpuid(leaf, 0)) << leaf;
}

TEST(MsrProtocol, ARegistrationIsEchoed) {
    ScriptedHost host;
    host.on_msr = [](uint64_t request) { return request + 1; };
    register_ghcb(0x123000);
    EXPECT_EQ(host.msr_requests, std::vector<uint64_t>{0x123012});
    host.on_msr = [](uint64_t) { return 0x124013; };
    EXPECT_EQ(end_of([] { register_ghcb(0x123000); }), unsigned{PROLOGUE_SEV_GHCB_REFUSED});
    host.on_msr = [](uint64_t) { return 0xfffffffffffff013; };
    EXPECT_EQ(end_of([] { register_ghcb(0x123000); }), unsigned{PROLOGUE_SEV_GHCB_REFUSED});
}

TEST(MsrProtocol, APageStateChangesWithoutAnError) {
    ScriptedHost host;
    host.on_msr = [](uint64_t) { return 0x015; };
    ask_page_state(0x5000, PageState::shared);
    ask_page_state(0x6000, PageState::private_);
    EXPECT_EQ(host.msr_requests, (std::vector<uint64_t>{0x0020000000005014, 0x0010000000006014}));
    host.on_msr = [](uint64_t) { return uint64_t{1} << 32 | 0x015; };
    EXPECT_EQ(end_of([] { ask_page_state(0x5000, PageState::shared); }),
              unsigned{PROLOGUE_SEV_PAGE_STATE});
}

TEST(SevFeatures, EachThatIsNotServedIsNamed) {
    EXPECT_EQ(unserved_feature(1, 0), kNoFeature);
    EXPECT_EQ(unserved_feature(7, 0), kNoFeature);
    const std::set<unsigned> harmless = {7, 8, 9, 10, 11, 14, 17, 23};
    for (unsigned bit = 3; bit != 32; ++bit)
        EXPECT_EQ(unserved_feature(7 | 1u << bit, 0), harmless.count(bit) ? kNoFeature : bit);
    EXPECT_EQ(unserved_feature(7 | kHarmlessFeatures, 0), kNoFeature);
    EXPECT_EQ(unserved_feature(7, 1 << 2), 34u);
    EXPECT_EQ(unserved_feature(6, 0), 0u) << "encrypted in no way";
}

TEST(SevFeatures, RestrictedInjectionIsServedByWishAlone) {
    constexpr uint32_t kRestricted = 7 | 1 << 5, kAlternate = 7 | 1 << 6;
    for (const uint32_t wish : {PROLOGUE_SEV_RESTRICTED_SERVED, PROLOGUE_SEV_RESTRICTED_REQUIRED}) {
        EXPECT_EQ(unserved_feature(kRestricted, 0, wish), kNoFeature);
        EXPECT_EQ(unserved_feature(kAlternate, 0, wish), 6u);
    }
    EXPECT_EQ(unserved_feature(kRestricted, 0, PROLOGUE_SEV_SNP_REQUIRED), 5u);
}

TEST(SevFeatures, WhatAWishRequires) {
    EXPECT_EQ(required_status(PROLOGUE_SEV_NONE), 0u);
    EXPECT_EQ(required_status(PROLOGUE_SEV_SERVED), 0u);
    EXPECT_EQ(required_status(PROLOGUE_SEV_REQUIRED), 1u);
    EXPECT_EQ(required_status(PROLOGUE_SEV_ES_REQUIRED), 3u);
    EXPECT_EQ(required_status(PROLOGUE_SEV_SNP_REQUIRED), 7u);
    EXPECT_EQ(required_status(PROLOGUE_SEV_RESTRICTED_SERVED), 0u);
    EXPECT_EQ(required_status(PROLOGUE_SEV_RESTRICTED_REQUIRED), 0x27u);
}

// APM vol. 3, appendix E, and the SDM's CPUID for the leaves that are Intel's alone.
TEST(CpuidPage, KnowsTheLeavesThatHaveSubleaves) {
    const std::set<uint32_t> have = {0x4,  0x7,  0xb,        0xd,        0xf,
                                     0x10, 0x12, 0x14,       0x17,       0x18,
                                     0x1d, 0x1f, 0x8000001d, 0x80000020, 0x80000026};
    for (const uint32_t first : {0x0u, 0x80000000u})
        for (uint32_t leaf = first; leaf != first + 0x40; ++leaf)
            EXPECT_EQ(has_subleaves(leaf), have.count(leaf) != 0) << std::hex << leaf;
}

TEST(CpuidPage, FindsByLeafAndWhereItMattersBySubleaf) {
    CpuidPage page = {};
    EXPECT_FALSE(page.is_there());
    page.count = 3;
    page.entries[0] = {1, 0, 0, 0, {1, 2, 3, 4}, 0};
    page.entries[1] = {7, 0, 0, 0, {5, 6, 7, 8}, 0};
    page.entries[2] = {7, 1, 0, 0, {9, 10, 11, 12}, 0};
    EXPECT_EQ(page.find(1, 77).ecx, 3u);
    EXPECT_EQ(page.find(7, 1).eax, 9u);
    EXPECT_EQ(page.find(7, 2).eax, 0u);
    EXPECT_EQ(page.find(2, 0).edx, 0u);
    page.count = 1;
    EXPECT_EQ(page.find(7, 0).eax, 0u) << "behind the count";
    page.count = CpuidPage::kMost + 1;
    EXPECT_FALSE(page.is_well_formed());
    EXPECT_EQ(page.find(0x12345, 0).eax, 0u) << "no further than the page";
}

} // namespace
} // namespace prologue::test
