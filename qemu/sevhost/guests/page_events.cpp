// The GHCB page's protocol (AMD 56421, 4.1): the events that no instruction stands for.
#include "ghcb_page.h"
#include "snp.h"

static void nmi_complete() {
    set_up_ghcb();
    begin_request();
    EXPECT_DONE(event::kNmiComplete);
}

static void ap_jump_table() {
    set_up_ghcb();
    begin_request();
    EXPECT_DONE(event::kApJumpTable, 0, 0x9000);
    begin_request();
    const Answer answer = send(event::kApJumpTable, 1);
    EXPECT_EQUAL(answer.info1, kDone);
    EXPECT_EQUAL(answer.info2, 0x9000);
}

static void features() {
    set_up_ghcb();
    begin_request();
    const Answer answer = send(event::kFeatures);
    EXPECT_EQUAL(answer.info1, kDone);
    EXPECT_EQUAL(answer.info2, 3); // SNP, and AP creation, to every guest
}

// Of a processor that there is not.
static void ap_creation() {
    set_up_ghcb();
    begin_request();
    set(field::kRax, 0);
    EXPECT_MALFORMED(kInvalidInput, event::kApCreation, uint64_t{1} << 32 | 1, 0x5000);
}

alignas(kPageBytes) static uint8_t pages[4][kPageBytes];

static void set_list(uint16_t current, uint16_t end) {
    auto* header = reinterpret_cast<volatile uint16_t*>(shared_buffer());
    header[0] = current;
    header[1] = end;
    header[2] = 0;
    header[3] = 0;
}

static void set_entry(unsigned i, PageState state) {
    reinterpret_cast<volatile uint64_t*>(
        shared_buffer())[1 + i] = static_cast<uint64_t>(state) << 52 | address_of(pages[i]);
}

static Answer send_list() {
    begin_request();
    set(field::kScratch, shared_buffer_address());
    return send(event::kPageStateChange);
}

static void page_states() {
    set_up_ghcb();
    set_list(0, 3);
    for (unsigned i = 0; i != 4; ++i) {
        EXPECT_EQUAL(pvalidate(pages[i], PageSize::small, false).code, 0);
        set_entry(i, PageState::shared);
    }
    const Answer shared_answer = send_list();
    EXPECT_EQUAL(shared_answer.info1, kDone);
    EXPECT_EQUAL(shared_answer.info2, 0);
    EXPECT_EQUAL(*reinterpret_cast<volatile uint16_t*>(shared_buffer()), 4);
    for (auto& page : pages) // the host would refuse it if they were not
        *shared(reinterpret_cast<volatile uint64_t*>(page)) = 1;
    set_list(1, 1);
    set_entry(1, PageState::private_);
    EXPECT_EQUAL(send_list().info2, 0);
    EXPECT_EQUAL(pvalidate(pages[1], PageSize::small, true).carry, false);
}

static void page_state_list_wrong() {
    set_up_ghcb();
    set_list(1, 0); // behind its end: done
    EXPECT_EQUAL(send_list().info2, 0);
    set_list(0, 253);
    EXPECT_EQUAL(send_list().info2, uint64_t{1} << 32 | 1);
    set_list(0, 0);
    reinterpret_cast<volatile uint64_t*>(shared_buffer())[1] =
        uint64_t{1} << 56 | uint64_t{1} << 52 | 0x1000; // large, and not aligned to it
    EXPECT_EQUAL(send_list().info2, uint64_t{1} << 32 | 2);
}

static void attestation() {
    set_up_ghcb();
    share_page(pages[0]);
    share_page(pages[1]);
    begin_request();
    const Answer answer = send(event::kGuestRequest, address_of(pages[0]), address_of(pages[1]));
    EXPECT_EQUAL(answer.info1, kDone);
    EXPECT_EQUAL(answer.info2, uint64_t{0xffffffff} << 32);
    begin_request(); // the host reads another page than the guest's own
    EXPECT_EQUAL(send(event::kGuestRequest, address_of(pages[2]), address_of(pages[1])).info1,
                 kDone);
}

// These end with the host's word.
static void ap_reset_hold() {
    set_up_ghcb();
    begin_request();
    send(event::kApResetHold);
}
static void unsupported() {
    set_up_ghcb();
    begin_request();
    send(event::kUnsupported, 0x8d, 0x1234);
}
static void termination_by_reason() {
    write_msr(kMsrGhcb, uint64_t{1} << 16 | kGhcbTerminate);
    vmgexit();
}
static void termination() {
    set_up_ghcb();
    begin_request();
    send(0x8000fffe, 0x5a3);
}

const Scene scenes[] = {
    {"nmi-complete", nmi_complete},
    {"ap-jump-table", ap_jump_table},
    {"features", features},
    {"ap-creation", ap_creation},
    {"page-states", page_states},
    {"page-state-list-wrong", page_state_list_wrong},
    {"attestation", attestation},
    {"ap-reset-hold", ap_reset_hold},
    {"unsupported", unsupported},
    {"termination", termination},
    {"termination-by-reason", termination_by_reason},
};
const unsigned scene_count = sizeof scenes / sizeof scenes[0];
