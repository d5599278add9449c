// The GHCB page's protocol (AMD 56421, 2.3 and 2.6): malformed requests, and pages that are no
// GHCB.
#include "ghcb_page.h"
#include "snp.h"

constexpr uint64_t kApicVersion = 0xfee00030;
constexpr uint16_t kUartScratch = 0x3ff, kDebugPort = 0xea;

alignas(kPageBytes) static uint8_t page[kPageBytes];

// Of SNP, to a machine that is none.
static void events_of_snp() {
    set_up_ghcb();
    begin_request();
    set(field::kScratch, shared_buffer_address());
    EXPECT_MALFORMED(kInvalidEvent, event::kPageStateChange);
    begin_request();
    EXPECT_MALFORMED(kInvalidEvent, event::kGuestRequest, 0x1000, 0x2000);
}

static void no_event() {
    set_up_ghcb();
    begin_request();
    EXPECT_MALFORMED(kInvalidEvent, 0x99);
}

static void usage() {
    set_up_ghcb();
    begin_request();
    put<uint32_t>(field::kUsage, 1);
    EXPECT_MALFORMED(kBadUsage, event::kRdtsc);
}

static void version() {
    set_up_ghcb();
    begin_request();
    put<uint16_t>(field::kVersion, 3);
    EXPECT_DONE(event::kRdtsc);
    begin_request();
    put<uint16_t>(field::kVersion, 1);
    EXPECT_DONE(event::kRdtsc);
    begin_request(); // which version 1 does not know
    EXPECT_EQUAL(send(event::kFeatures).info1, kDone);
}

// Each field that an event needs, not marked valid.
static void fields_missing() {
    set_up_ghcb();
    begin_request();
    EXPECT_MALFORMED(kMissingInput, event::kCpuid);
    begin_request();
    set(field::kRax, 1);
    EXPECT_MALFORMED(kMissingInput, event::kCpuid);
    begin_request();
    EXPECT_MALFORMED(kMissingInput, event::kMsr);
    begin_request();
    EXPECT_MALFORMED(kMissingInput, event::kIoio, port(kDebugPort, kByte));
    begin_request();
    EXPECT_MALFORMED(kBadScratch, event::kMmioRead, kApicVersion, 4);
    begin_request();
    set(field::kExitCode, event::kRdtsc);
    set(field::kExitInfo1, 0);
    send_as_it_is(); // SW_EXITINFO2 is missing
    EXPECT_EQUAL(get(field::kExitInfo1), kMalformed);
    EXPECT_EQUAL(get(field::kExitInfo2), kMissingInput);
}

// What stands in a field that is not marked valid does not exist.
static void fields_not_marked() {
    set_up_ghcb();
    begin_request();
    set(field::kRax, 0x5a);
    EXPECT_DONE(event::kIoio, port(kUartScratch, kByte));
    begin_request();
    put<uint64_t>(field::kRax, 0x11223300); // the upper bits of IN's result, if it were valid
    EXPECT_DONE(event::kIoio, port(kUartScratch, kByte | kIn));
    EXPECT_EQUAL(get(field::kRax), 0x5a);
}

static void scratch_outside() {
    set_up_ghcb();
    for (const uint64_t at : List<uint64_t>{shared_buffer_address() - 8,
                                            shared_buffer_address() + 0x7f0, uint64_t{1} << 40}) {
        begin_request();
        set(field::kScratch, at);
        EXPECT_MALFORMED(kBadScratch, event::kMmioRead, kApicVersion, 4);
    }
}

// SNP: a GHCB that is not the registered one.
static void not_registered() {
    set_up_ghcb();
    share_page(page);
    begin_request();
    EXPECT_DONE(event::kRdtsc);
    const uint8_t* registered = shared(&ghcb_private)->bytes;
    uint8_t* other = shared(page);
    for (unsigned i = 0; i != kPageBytes; ++i)
        other[i] = registered[i];
    write_msr(kMsrGhcb, address_of(page));
    vmgexit();
}

// The page that the guest writes privately is another one.
static void page_in_private_memory() {
    set_up_ghcb();
    begin_request();
    EXPECT_DONE(event::kRdtsc);
    for (uint8_t& byte : ghcb_private.bytes) // of SNP the page is shared: this is for ES
        byte = 0xff;
    begin_request();
    EXPECT_DONE(event::kRdtsc);
    EXPECT_EQUAL(ghcb_private.bytes[field::kExitInfo1], 0xff);
}

static void vmgexit_with(uint64_t ghcb) {
    constexpr uint64_t kRegister = 0x012;
    turn_paging_on();
    if (snp())
        ask_by_msr(ghcb | kRegister);
    write_msr(kMsrGhcb, ghcb);
    vmgexit();
}

// The host looks at the shared page of that address, and the guest gets no answer.
static void page_that_is_not_shared() {
    vmgexit_with(address_of(&ghcb_private));
    EXPECT_EQUAL(ghcb_private.bytes[field::kExitInfo1], 0);
}

// The host cannot map it, and the guest gets no answer.
static void page_outside_memory() {
    vmgexit_with(uint64_t{1} << 40);
    EXPECT_EQUAL(read_msr(kMsrGhcb), uint64_t{1} << 40);
}

const Scene scenes[] = {
    {"events-of-snp", events_of_snp},
    {"no-event", no_event},
    {"usage", usage},
    {"version", version},
    {"fields-missing", fields_missing},
    {"fields-not-marked", fields_not_marked},
    {"scratch-outside", scratch_outside},
    {"not-registered", not_registered},
    {"page-in-private-memory", page_in_private_memory},
    {"page-that-is-not-shared", page_that_is_not_shared},
    {"page-outside-memory", page_outside_memory},
};
const unsigned scene_count = sizeof scenes / sizeof scenes[0];
