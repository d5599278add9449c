// The GHCB page's protocol as HOST=vmm serves it.
#include "exceptions.h"
#include "ghcb_page.h"

constexpr uint32_t kMsrPat = 0x277;

alignas(kPageBytes) static uint8_t page[kPageBytes];

// Only what the answer consists of, and nothing else stands in the page.
static void only_the_answer_is_marked() {
    set_up_ghcb();
    begin_request();
    set(field::kRbx, 0x1234);
    set(field::kRcx, kMsrPat);
    EXPECT_DONE(event::kMsr, 0);
    EXPECT(is_valid(field::kRax));
    EXPECT(is_valid(field::kRdx));
    EXPECT(is_valid(field::kExitInfo1));
    EXPECT(is_valid(field::kExitInfo2));
    EXPECT(!is_valid(field::kRbx));
    EXPECT(!is_valid(field::kRcx));
    EXPECT(!is_valid(field::kExitCode));
    EXPECT_EQUAL(get(field::kExitCode), 0);
}

// An MSR that it does not have is an exception behind VMGEXIT, and what is written there is
// dropped.
static void few_msrs() {
    constexpr uint32_t kMsrMtrrDefault = 0x2ff, kMsrDeCfg = 0xc0011029, kMsrPatchLevel = 0x8b;
    set_up_ghcb();
    begin_request();
    set(field::kRcx, kMsrDeCfg);
    EXPECT_DONE(event::kMsr, 0);
    EXPECT_EQUAL(get(field::kRax), 2);
    begin_request();
    set(field::kRcx, kMsrPatchLevel);
    EXPECT_DONE(event::kMsr, 0);
    EXPECT_EQUAL(get(field::kRax), 0);
    begin_request();
    set(field::kRcx, kMsrMtrrDefault);
    set(field::kRax, 0);
    set(field::kRdx, 0);
    EXPECT_DONE(event::kMsr, 1);
    begin_request();
    set(field::kRcx, kMsrMtrrDefault);
    set(field::kExitCode, event::kMsr);
    set(field::kExitInfo1, 0);
    set(field::kExitInfo2, 0);
    write_msr(kMsrGhcb, address_of(&ghcb_private));
    Registers r = {};
    RAISE("rep; vmmcall\n nop", r);
    EXPECT_EXCEPTION(13);
    EXPECT(is_valid(field::kRax) && is_valid(field::kRdx));
}

// It keeps the first, and so does not find the request.
static void another_page() {
    set_up_ghcb();
    begin_request();
    set(field::kRcx, kMsrPat);
    EXPECT_DONE(event::kMsr, 0);
    write_msr(kMsrGhcb, address_of(page));
    vmgexit();
}

// What is written to PAT is not the processor's.
static void shadowed_pat() {
    set_up_ghcb();
    begin_request();
    set(field::kRcx, kMsrPat);
    EXPECT_DONE(event::kMsr, 0);
    EXPECT_EQUAL(get(field::kRdx) << 32 | get(field::kRax), 0x0007010600070106);
    begin_request();
    set(field::kRcx, kMsrPat);
    set(field::kRax, 0x00070406);
    set(field::kRdx, 0x00070406);
    EXPECT_DONE(event::kMsr, 1);
    begin_request();
    set(field::kRcx, kMsrPat);
    EXPECT_DONE(event::kMsr, 0);
    EXPECT_EQUAL(get(field::kRax), 0x00070406);
}

const Scene scenes[] = {
    {"only-the-answer-is-marked", only_the_answer_is_marked},
    {"another-page", another_page},
    {"shadowed-pat", shadowed_pat},
    {"few-msrs", few_msrs},
};
const unsigned scene_count = sizeof scenes / sizeof scenes[0];
