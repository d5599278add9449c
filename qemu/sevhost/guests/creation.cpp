// AP creation (AMD 56421): how an SNP guest's other processors are started and stopped.
#include "other_processor.h"

constexpr uint32_t kNobody = 77; // APIC id
constexpr uint64_t kOfOther = uint64_t{kOther} << 32;

static Vmsa vmsa, another_vmsa;
alignas(16) static uint8_t other_stack[4096];

struct Seen {
    uint32_t comes, counts;
    uint64_t own, initial_id;
};
static volatile Seen seen;

// With a GHCB MSR of its own, and with an APIC id of its own.
extern "C" [[noreturn]] void other_main(uint64_t own) {
    constexpr uint64_t kLeaf1Ebx = 0x1'40000004;
    seen.own = own;
    seen.initial_id = ask_by_msr(kLeaf1Ebx) >> 56;
    seen.comes = seen.comes + 1;
    for (;;) {
        seen.counts = seen.counts + 1;
        pause();
    }
}

static void fill(Vmsa& page, uint64_t own) {
    fill(page, other_main, other_stack + sizeof other_stack, own);
}

static void create(const Vmsa& page, uint64_t how) {
    begin_request();
    set(field::kRax, kFeatures);
    EXPECT_DONE(event::kApCreation, kOfOther | how, address_of(&page));
}

static void destroy() {
    begin_request();
    EXPECT_DONE(event::kApCreation, kOfOther | kDestroy, 0);
}

static void creation() {
    set_up_ghcb();
    fill(vmsa, 0x1234567890);
    EXPECT_EQUAL(make_vmsa(vmsa, true), 0);
    create(vmsa, kNow);
    EXPECT_SOON(seen.comes == 1);
    EXPECT_EQUAL(seen.own, 0x1234567890);
    EXPECT_EQUAL(seen.initial_id, kOther);
    EXPECT_SOON(seen.counts > 100);
}

// What is taken away runs no further, and its page is the guest's again; not before.
static void destruction() {
    constexpr uint32_t kFailInUse = 3;
    creation();
    EXPECT_EQUAL(make_vmsa(vmsa, false), kFailInUse);
    destroy();
    const uint32_t counted = seen.counts;
    stay_a_while();
    EXPECT_EQUAL(seen.counts, counted);
    EXPECT_EQUAL(make_vmsa(vmsa, false), 0);
    fill(vmsa, 99);
    EXPECT_EQUAL(make_vmsa(vmsa, true), 0);
    create(vmsa, kNow);
    EXPECT_SOON(seen.comes == 2);
    EXPECT_EQUAL(seen.own, 99);
}

// A processor that runs goes on as another page has it.
static void another_state() {
    creation();
    fill(another_vmsa, 5);
    EXPECT_EQUAL(make_vmsa(another_vmsa, true), 0);
    create(another_vmsa, kNow);
    EXPECT_SOON(seen.comes == 2);
    EXPECT_EQUAL(seen.own, 5);
    EXPECT_EQUAL(make_vmsa(vmsa, false), 0);
}

static void creation_at_init() {
    set_up_ghcb();
    fill(vmsa, 7);
    EXPECT_EQUAL(make_vmsa(vmsa, true), 0);
    create(vmsa, kAtInit);
    stay_a_while();
    EXPECT_EQUAL(seen.comes, 0);
    command(kOther, kInit);
    stay_a_while();
    EXPECT_EQUAL(seen.comes, 0);
    command(kOther, kStartup);
    EXPECT_SOON(seen.comes == 1);
    command(kOther, kStartup); // one more is nothing to who runs
    stay_a_while();
    EXPECT_EQUAL(seen.comes, 1);
}

static void creation_refused() {
    alignas(kLargePageBytes) static Vmsa aligned;
    set_up_ghcb();
    const struct {
        uint64_t info1, page, features;
    } wrong[] = {
        {kOfOther | kNow, address_of(&aligned), kFeatures}, // the erratum
        {kOfOther | kNow, address_of(&vmsa) + 8, kFeatures},
        {kOfOther | kNow, uint64_t{1} << 46 | kPageBytes, kFeatures},
        {kOfOther | kNow, address_of(&vmsa), 0},
        {kOfOther | kNow, address_of(&vmsa), kFeatures | 1 << 3},
        {kOfOther | kAtInit, address_of(&vmsa), 0},
        {kOfOther | 1 << 16 | kNow, address_of(&vmsa), kFeatures}, // VMPL 1
        {kOfOther | 3, address_of(&vmsa), kFeatures},
        {uint64_t{kNobody} << 32 | kNow, address_of(&vmsa), kFeatures},
    };
    for (const auto& request : wrong) {
        begin_request();
        set(field::kRax, request.features);
        EXPECT_MALFORMED(kInvalidInput, event::kApCreation, request.info1, request.page);
    }
    begin_request(); // the features are not marked valid
    EXPECT_MALFORMED(kMissingInput, event::kApCreation, kOfOther | kNow, address_of(&vmsa));
    stay_a_while();
    EXPECT_EQUAL(seen.comes, 0);
}

// These end with the host's word.
static void no_vmsa() {
    set_up_ghcb();
    fill(vmsa, 1);
    create(vmsa, kNow);
}
static void vmsa_of_other_features() {
    set_up_ghcb();
    fill(vmsa, 1);
    vmsa.put<uint64_t>(0x3b0, 0);
    EXPECT_EQUAL(make_vmsa(vmsa, true), 0);
    create(vmsa, kNow);
}
static void vmsa_without_svme() {
    set_up_ghcb();
    fill(vmsa, 1);
    vmsa.put<uint64_t>(0xd0, 0x500);
    EXPECT_EQUAL(make_vmsa(vmsa, true), 0);
    create(vmsa, kNow);
}

const Scene scenes[] = {
    {"creation", creation},
    {"destruction", destruction},
    {"another-state", another_state},
    {"creation-at-init", creation_at_init},
    {"creation-refused", creation_refused},
    {"no-vmsa", no_vmsa},
    {"vmsa-of-other-features", vmsa_of_other_features},
    {"vmsa-without-svme", vmsa_without_svme},
};
const unsigned scene_count = sizeof scenes / sizeof scenes[0];
