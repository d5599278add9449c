// The GHCB page: what the host gets to see, and what of its answers is believed.
#include "scripted_host.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace prologue::test {
namespace {

bool is_clean(const ScriptedHost& host) {
    return std::all_of(host.page, host.page + kGhcbSaveEnd, [](uint8_t b) { return b == 0; }) &&
           std::all_of(host.page + kGhcbBuffer, host.page + kGhcbBuffer + kGhcbBufferBytes,
                       [](uint8_t b) { return b == 0; });
}

TEST(Ghcb, ARequestHasWhatItIsToldAndNothingElse) {
    ScriptedHost host;
    std::fill(std::begin(host.page), std::end(host.page), 0xee); // the host's own scribbling
    host.on_page = [&] { host.done(); };
    Ghcb().call({.code = 0x7c,
                 .info1 = 1,
                 .fields = kFieldRcx | kFieldRdx,
                 .registers = {0x5ec7e7, 0x5ec7e7, 11, 22}});
    const PageRequest& asked = host.page_requests.at(0);
    EXPECT_EQ(asked.get(kGhcbExitCode), 0x7cu);
    EXPECT_EQ(asked.get(kGhcbExitInfo1), 1u);
    EXPECT_EQ(asked.get(kGhcbRcx), 11u);
    EXPECT_EQ(asked.get(kGhcbRdx), 22u);
    EXPECT_EQ(asked.get(kGhcbRax), 0u);
    EXPECT_EQ(asked.get(kGhcbRbx), 0u);
    for (const unsigned told : {kGhcbRcx, kGhcbRdx, kGhcbExitCode, kGhcbExitInfo1, kGhcbExitInfo2})
        EXPECT_TRUE(asked.valid(told)) << told;
    for (const unsigned untold : {kGhcbRax, kGhcbRbx, kGhcbXcr0, kGhcbScratch, kGhcbCpl})
        EXPECT_FALSE(asked.valid(untold)) << untold;
    EXPECT_EQ(asked.bytes[kGhcbVersion], 2);
    EXPECT_EQ(asked.bytes[kGhcbUsage] | asked.bytes[kGhcbUsage + 3], 0);
}

TEST(Ghcb, AnAnswerIsCopiedOnceAndThePageIsClean) {
    ScriptedHost host;
    host.on_page = [&] {
        host.done(0, 33);
        host.set(kGhcbRax, 44);
    };
    const GhcbAnswer answer = Ghcb().call({.code = 0x72}, kFieldRax);
    EXPECT_EQ(answer.registers[kRax], 44u);
    EXPECT_EQ(answer.info2, 33u);
    EXPECT_EQ(answer.vector, 0u);
    EXPECT_TRUE(is_clean(host));
}

TEST(Ghcb, WhatIsWantedMustBeMarkedValid) {
    ScriptedHost host;
    for (const unsigned missing :
         {kGhcbRax, kGhcbRbx, kGhcbRcx, kGhcbRdx, kGhcbExitInfo1, kGhcbExitInfo2}) {
        host.on_page = [&] {
            host.done();
            for (const unsigned offset : {kGhcbRax, kGhcbRbx, kGhcbRcx, kGhcbRdx})
                host.set(offset, 1);
            host.page[kGhcbValid + missing / 64] ^= 1u << (missing / 8 % 8);
        };
        EXPECT_EQ(end_of([] {
                      Ghcb().call({.code = 0x72}, kFieldRax | kFieldRbx | kFieldRcx | kFieldRdx);
                  }),
                  unsigned{PROLOGUE_SEV_GHCB_MISSING})
            << missing;
    }
}

TEST(Ghcb, AResultIsDoneOrAnExceptionOrTheEnd) {
    ScriptedHost host;
    for (const uint64_t result : {2, 3, 5, 0xffff}) {
        host.on_page = [&] { host.done(result); };
        EXPECT_EQ(end_of([] { Ghcb().call({.code = 0x72}); }), unsigned{PROLOGUE_SEV_GHCB_RESULT})
            << result;
    }
    host.on_page = [&] { host.done(uint64_t{1} << 32); };
    EXPECT_EQ(end_of([] { Ghcb().call({.code = 0x72}); }), std::nullopt) << "the upper half";
}

TEST(Ghcb, OnlyUndefinedAndGeneralProtectionAreBelievable) {
    ScriptedHost host;
    for (unsigned vector = 0; vector != 256; ++vector)
        for (unsigned type = 0; type != 8; ++type)
            for (const uint64_t valid : {0u, 0x80000000u}) {
                host.on_page = [&] { host.done(1, valid | type << 8 | vector); };
                GhcbAnswer answer;
                const auto end = end_of([&] { answer = Ghcb().call({.code = 0x72}, kFieldRax); });
                if (valid != 0 && type == 3 && (vector == 6 || vector == 13))
                    EXPECT_EQ(answer.vector, vector);
                else
                    EXPECT_EQ(end, unsigned{PROLOGUE_SEV_GHCB_EVENT});
                prologue_sev_state.boot.busy = 0;
            }
}

// Also where the host marks all of them valid.
TEST(Ghcb, ARegisterThatIsNotWantedIsNotTaken) {
    ScriptedHost host;
    host.on_page = [&] {
        host.done();
        for (const unsigned field : {kGhcbRax, kGhcbRbx, kGhcbRcx, kGhcbRdx})
            host.set(field, 0xbad);
    };
    for (unsigned wanted = 0; wanted != 16; ++wanted) {
        const GhcbAnswer answer = Ghcb().call({.code = 0x72, .fields = 0xf}, wanted);
        for (unsigned i = 0; i != kGhcbRegisters; ++i)
            EXPECT_EQ(answer.registers[i], (wanted >> i & 1) != 0 ? 0xbadu : 0u) << wanted;
    }
}

TEST(Ghcb, ThePageIsHeldByOne) {
    ScriptedHost host;
    Ghcb first;
    EXPECT_EQ(end_of([] { Ghcb second; }), unsigned{PROLOGUE_SEV_VC_NESTED});
}

TEST(Ghcb, TheBufferIsWipedWhenItIsGivenUp) {
    ScriptedHost host;
    host.on_page = [&] { host.done(); };
    const char secret[] = "what the port gets, and nobody after it";
    {
        Ghcb ghcb;
        ghcb.write_buffer(secret, sizeof secret);
        ghcb.call({.code = 0x7b, .fields = kFieldScratch});
        EXPECT_EQ(host.page_requests[0].get(kGhcbScratch), 0x7000u + kGhcbBuffer);
        EXPECT_EQ(
            std::memcmp(host.page_requests[0].bytes.data() + kGhcbBuffer, secret, sizeof secret),
            0);
    }
    EXPECT_TRUE(is_clean(host));
}

} // namespace
} // namespace prologue::test
