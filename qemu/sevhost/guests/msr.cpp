// The GHCB MSR's protocol (AMD 56421, 2.3.1): every request. It needs no paging.
#include "exceptions.h"
#include "ghcb.h"
#include "snp.h"

constexpr uint64_t kSevInfoRequest = 0x002, kCpuidRequest = 0x004, kApResetHold = 0x006,
                   kPreferredRequest = 0x010, kRegisterRequest = 0x012, kVmplRequest = 0x016,
                   kFeaturesRequest = 0x080;
constexpr uint64_t kNoFrame = 0xfffffffffffff000;
enum CpuidRegister : unsigned { eax, ebx, ecx, edx };

alignas(4096) static uint8_t page[4096];

static uint32_t cpuid_by_msr(uint32_t leaf, CpuidRegister which) {
    const uint64_t answer = ask_by_msr(uint64_t{leaf} << 32 | uint64_t{which} << 30 |
                                       kCpuidRequest);
    EXPECT_EQUAL(answer & 0xffffffff, uint64_t{which} << 30 | 0x005);
    return static_cast<uint32_t>(answer >> 32);
}

static uint64_t page_address() {
    return reinterpret_cast<Word>(page);
}

static void at_reset() {
    const uint64_t first = ghcb_msr_at_entry();
    EXPECT_EQUAL(first & kGhcbCode, 0x001);
    EXPECT_EQUAL(first >> 48, 2);
    EXPECT_EQUAL(first >> 32 & 0xffff, 1);
    EXPECT_EQUAL(first >> 24 & 0xff, cpuid_by_msr(0x8000001f, ebx) & 0x3f);
}

static void sev_information() {
    EXPECT_EQUAL(ask_by_msr(kSevInfoRequest), ghcb_msr_at_entry());
}

static void cpuid() {
    // A vendor in EBX, EDX, ECX: letters.
    for (const CpuidRegister which : List<CpuidRegister>{ebx, edx, ecx})
        EXPECT_EQUAL(cpuid_by_msr(0, which) & 0x80808080, 0);
    EXPECT(cpuid_by_msr(0, ebx) != cpuid_by_msr(0, ecx));
    EXPECT_EQUAL(cpuid_by_msr(0x80000000, eax) >> 16, 0x8000);
    const uint32_t features = cpuid_by_msr(0x8000001f, eax);
    EXPECT_EQUAL(features >> 1 & 1, true);
    EXPECT_EQUAL(features >> 3 & 1, true);
    EXPECT_EQUAL(features >> 4 & 1, snp());
    EXPECT_EQUAL(cpuid_by_msr(0x8000000a, eax), 0); // SVM is not for a guest
    expect_one_cpu({cpuid_by_msr(1, ecx), cpuid_by_msr(7, ebx), cpuid_by_msr(0xd, eax)});
}

// VMGEXIT changes the MSR, and no register.
static void registers_stay() {
    write_msr(kMsrGhcb, kCpuidRequest);
    Registers r = {.a = 0xa0a0a0a0,
                   .b = 0xb0b0b0b0,
                   .c = 0xc0c0c0c0,
                   .d = 0xd0d0d0d0,
                   .si = 0x51515151,
                   .di = 0xd1d1d1d1};
    RAISE("rep; vmmcall", r);
    resume_at = 0;
    EXPECT_EQUAL(caught.count, 0);
    EXPECT_EQUAL(r.a, 0xa0a0a0a0);
    EXPECT_EQUAL(r.b, 0xb0b0b0b0);
    EXPECT_EQUAL(r.c, 0xc0c0c0c0);
    EXPECT_EQUAL(r.d, 0xd0d0d0d0);
    EXPECT_EQUAL(r.si, 0x51515151);
    EXPECT_EQUAL(r.di, 0xd1d1d1d1);
    EXPECT_EQUAL(read_msr(kMsrGhcb) & kGhcbCode, 0x005);
}

// The page it names does not matter to the MSR's protocol, nor do its registers.
static void registers_are_not_read() {
    write_msr(kMsrGhcb, uint64_t{0x8000001f} << 32 | uint64_t{ebx} << 30 | kCpuidRequest);
    Registers r = {.a = 0, .c = 5};
    RAISE("rep; vmmcall", r);
    resume_at = 0;
    EXPECT_EQUAL(read_msr(kMsrGhcb) >> 32 & 0x3f, ghcb_msr_at_entry() >> 24 & 0xff);
}

static void features() {
    EXPECT_EQUAL(ask_by_msr(kFeaturesRequest), 0x3081); // SNP, and AP creation, to every guest
}

static void preferred_address() {
    EXPECT_EQUAL(ask_by_msr(kPreferredRequest), kNoFrame | 0x011);
}

static void registration() {
    EXPECT_EQUAL(ask_by_msr(page_address() | kRegisterRequest), page_address() | 0x013);
    constexpr uint64_t kNowhere = uint64_t{1} << 40; // found out when it is used
    EXPECT_EQUAL(ask_by_msr(kNowhere | kRegisterRequest), kNowhere | 0x013);
}

static void page_states() {
    EXPECT_EQUAL(change_page_state(page, PageState::shared), kPageStateDone);
    EXPECT_EQUAL(change_page_state(page, PageState::private_), kPageStateDone);
    for (const PageState other :
         List<PageState>{PageState::psmash, PageState::unsmash, PageState{5}})
        EXPECT_EQUAL(change_page_state(page, other), uint64_t{1} << 32 | kPageStateDone);
    EXPECT_EQUAL(change_page_state(reinterpret_cast<void*>(Word{0xd0000000}), PageState::shared),
                 uint64_t{1} << 32 | kPageStateDone);
}

// What the host does not serve stays in the MSR as it is.
static void stays(uint64_t request) {
    EXPECT_EQUAL(ask_by_msr(request), request);
}
static void vmpl() {
    stays(uint64_t{1} << 32 | kVmplRequest);
}
static void no_request() {
    stays(0x003);
}
static void answer_as_request() {
    stays(0x013);
}
static void vmgexit_at_reset() { // the MSR holds SEV_INFO, which asks for nothing
    vmgexit();
    EXPECT_EQUAL(read_msr(kMsrGhcb), ghcb_msr_at_entry());
}

// What stands there beside a request is not looked at.
static void reserved_bits() {
    EXPECT_EQUAL(ask_by_msr(uint64_t{1} << 12 | kFeaturesRequest), 0x3081);
}

// HOST=vmm, and HOST=firmware.
static void nothing_at_first() {
    EXPECT_EQUAL(ghcb_msr_at_entry(), 0);
}
static void old_page_at_first() {
    EXPECT(ghcb_msr_at_entry() != 0);
    EXPECT_EQUAL(ghcb_msr_at_entry() & kGhcbCode, 0);
}

static void termination() {
    write_msr(kMsrGhcb, uint64_t{0x5a} << 16 | uint64_t{3} << 12 | kGhcbTerminate);
    vmgexit();
}

// These end with the host's word.
static void ap_reset_hold() {
    ask_by_msr(kApResetHold);
}

const Scene scenes[] = {
    {"at-reset", at_reset},
    {"sev-information", sev_information},
    {"cpuid", cpuid},
    {"registers-stay", registers_stay},
    {"registers-are-not-read", registers_are_not_read},
    {"features", features},
    {"preferred-address", preferred_address},
    {"registration", registration},
    {"page-states", page_states},
    {"vmpl", vmpl},
    {"preferred-address-of-snp", preferred_address},
    {"registration-of-snp", registration},
    {"page-states-of-snp", page_states},
    {"termination", termination},
    {"ap-reset-hold", ap_reset_hold},
    {"no-request", no_request},
    {"answer-as-request", answer_as_request},
    {"reserved-bits", reserved_bits},
    {"vmgexit-at-reset", vmgexit_at_reset},
    {"nothing-at-first", nothing_at_first},
    {"old-page-at-first", old_page_at_first},
};
const unsigned scene_count = sizeof scenes / sizeof scenes[0];
