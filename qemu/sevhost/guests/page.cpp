// The GHCB page's protocol (AMD 56421, 2.6 and 4.1): every event, and what is refused.
#include "ghcb_page.h"
#include "exceptions.h"
#include "snp.h"

constexpr uint64_t kGeneralProtection = 0x8000030d; // without its error code
constexpr uint32_t kMsrPat = 0x277;
constexpr uint64_t kApicVersion = 0xfee00030;
constexpr uint16_t kPciAddress = 0xcf8, kUartScratch = 0x3ff, kDebugPort = 0xea;

// IOIO's SW_EXITINFO1
constexpr uint64_t kIn = 1, kString = 4, kRep = 8, kByte = 0x10, kLongSize = 0x40,
                   kAddress32 = 0x100;
constexpr uint64_t port(uint16_t number, uint64_t what) {
    return uint64_t{number} << 16 | what;
}

static void ask_cpuid(uint32_t leaf, uint32_t subleaf) {
    begin_request();
    set(field::kRax, leaf);
    set(field::kRcx, subleaf);
    set(field::kXcr0, 1);
    EXPECT_DONE(event::kCpuid);
}

static void cpuid() {
    set_up_ghcb();
    ask_cpuid(0x8000001f, 0);
    for (const unsigned offset : List<unsigned>{field::kRax, field::kRbx, field::kRcx, field::kRdx})
        EXPECT(is_valid(offset));
    EXPECT_EQUAL(get(field::kRax) >> 1 & 1, true);
    EXPECT_EQUAL(get(field::kRax) >> 3 & 1, true);
    EXPECT_EQUAL(get(field::kRax) >> 4 & 1, snp());
    EXPECT_EQUAL(get(field::kRbx) & 0x3f, ghcb_msr_at_entry() >> 24 & 0xff);
    ask_cpuid(7, 0);
    const uint64_t first = get(field::kRbx);
    ask_cpuid(7, 1);
    EXPECT(get(field::kRbx) != first);
    ask_cpuid(1, 0);
    const uint64_t basic = get(field::kRcx);
    ask_cpuid(0xd, 0);
    expect_one_cpu({static_cast<uint32_t>(basic), static_cast<uint32_t>(first),
                    static_cast<uint32_t>(get(field::kRax))});
}

// What the guest has in its registers is not the host's to use.
static void registers_are_not_read() {
    set_up_ghcb();
    begin_request();
    set(field::kRax, 0x8000001f);
    set(field::kRcx, 0);
    set(field::kExitCode, event::kCpuid);
    set(field::kExitInfo1, 0);
    set(field::kExitInfo2, 0);
    write_msr(kMsrGhcb, address_of(&ghcb_private));
    Registers r = {.a = 0x1111, .b = 0x2222, .c = 0x3333, .d = 0x4444, .si = 0x5555, .di = 0x6666};
    RAISE("rep; vmmcall", r);
    resume_at = 0;
    EXPECT_EQUAL(r.a, 0x1111);
    EXPECT_EQUAL(r.b, 0x2222);
    EXPECT_EQUAL(r.c, 0x3333);
    EXPECT_EQUAL(r.d, 0x4444);
    EXPECT_EQUAL(get(field::kRbx) & 0x3f, ghcb_msr_at_entry() >> 24 & 0xff);
}

// The four registers are, whatever was asked: the answer's, or as the guest gave them, or 0.
static void answer_is_marked() {
    set_up_ghcb();
    begin_request();
    set(field::kRbx, 0x1234);
    put<uint64_t>(field::kRcx, 0x5678); // not marked: not given
    EXPECT_DONE(event::kRdtsc);
    for (const unsigned offset : List<unsigned>{field::kRax, field::kRbx, field::kRcx, field::kRdx,
                                                field::kExitInfo1, field::kExitInfo2})
        EXPECT(is_valid(offset));
    EXPECT_EQUAL(get(field::kRbx), 0x1234);
    EXPECT_EQUAL(get(field::kRcx), 0);
    EXPECT(!is_valid(field::kExitCode));
    EXPECT(!is_valid(field::kXcr0));
}

// HOST=vmm: only what the answer consists of, and nothing else stands in the page.
// HOST=vmm: an MSR that it does not have is an exception behind VMGEXIT, and what is written there
// is dropped.
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

static uint64_t read_tsc(uint64_t which) {
    begin_request();
    EXPECT_DONE(which);
    return get(field::kRdx) << 32 | get(field::kRax);
}

static void timestamps() {
    set_up_ghcb();
    const uint64_t first = read_tsc(event::kRdtsc);
    const uint64_t second = read_tsc(event::kRdtscp);
    EXPECT(first != 0);
    EXPECT(second > first);
    EXPECT(is_valid(field::kRcx));
}

static void counters() {
    set_up_ghcb();
    begin_request();
    set(field::kRcx, 0);
    const Answer answer = send(event::kRdpmc);
    EXPECT_EQUAL(answer.info1, kException);
    EXPECT_EQUAL(answer.info2, kGeneralProtection);
}

static void msrs() {
    constexpr uint32_t kMsrApicBase = 0x1b, kMsrMtrrDefault = 0x2ff;
    set_up_ghcb();
    begin_request();
    set(field::kRcx, kMsrApicBase);
    EXPECT_DONE(event::kMsr, 0);
    EXPECT_EQUAL(get(field::kRax) & 0xfffff000, kApicVersion & 0xfffff000);
    begin_request();
    set(field::kRcx, kMsrMtrrDefault);
    EXPECT_DONE(event::kMsr, 0);
    const uint64_t low = get(field::kRax), high = get(field::kRdx);
    begin_request();
    set(field::kRcx, kMsrMtrrDefault);
    set(field::kRax, low ^ 0x400);
    set(field::kRdx, high);
    EXPECT_DONE(event::kMsr, 1);
    begin_request();
    set(field::kRcx, kMsrMtrrDefault);
    EXPECT_DONE(event::kMsr, 0);
    EXPECT_EQUAL(get(field::kRax), low ^ 0x400);
    for (const uint32_t refused : List<uint32_t>{kMsrSevStatus, kMsrGhcb}) {
        begin_request();
        set(field::kRcx, refused);
        const Answer answer = send(event::kMsr, 0);
        EXPECT_EQUAL(answer.info1, kException);
        EXPECT_EQUAL(answer.info2, kGeneralProtection);
    }
}

static void ports() {
    set_up_ghcb();
    for (const uint64_t value : List<uint64_t>{0x80001000, 0x80000800}) {
        begin_request();
        set(field::kRax, value);
        EXPECT_DONE(event::kIoio, port(kPciAddress, kLongSize));
        begin_request();
        EXPECT_DONE(event::kIoio, port(kPciAddress, kLongSize | kIn));
        EXPECT_EQUAL(get(field::kRax), value);
    }
    for (const uint64_t value : List<uint64_t>{0x5a, 0xa5}) {
        begin_request();
        set(field::kRax, value);
        EXPECT_DONE(event::kIoio, port(kUartScratch, kByte));
        begin_request();
        set(field::kRax, 0x11223300);
        EXPECT_DONE(event::kIoio, port(kUartScratch, kByte | kIn));
        EXPECT_EQUAL(get(field::kRax), 0x11223300 | value);
    }
}

static void port_strings() {
    static const char kText[] = "a string by the GHCB\n";
    constexpr uint64_t kBytes = sizeof kText - 1;
    set_up_ghcb();
    for (unsigned i = 0; i != kBytes; ++i)
        shared_buffer()[i] = static_cast<uint8_t>(kText[i]);
    begin_request();
    set(field::kScratch, shared_buffer_address());
    EXPECT_DONE(event::kIoio, port(kDebugPort, kByte | kString | kRep | kAddress32), kBytes);
    begin_request();
    set(field::kRax, 0x80000800);
    EXPECT_DONE(event::kIoio, port(kPciAddress, kLongSize));
    begin_request();
    set(field::kScratch, shared_buffer_address());
    EXPECT_DONE(event::kIoio, port(kPciAddress, kLongSize | kIn | kString | kRep | kAddress32), 3);
    for (unsigned i = 0; i != 3; ++i)
        EXPECT_EQUAL(reinterpret_cast<volatile uint32_t*>(shared_buffer())[i], 0x80000800);
}

static void devices() {
    constexpr uint64_t kApicDivider = 0xfee003e0;
    set_up_ghcb();
    begin_request();
    set(field::kScratch, shared_buffer_address());
    EXPECT_DONE(event::kMmioRead, kApicVersion, 4);
    EXPECT_EQUAL(*reinterpret_cast<volatile uint32_t*>(shared_buffer()) & 0xf0, 0x10);
    for (const uint32_t value : List<uint32_t>{3, 8}) {
        *reinterpret_cast<volatile uint32_t*>(shared_buffer()) = value;
        begin_request();
        set(field::kScratch, shared_buffer_address());
        EXPECT_DONE(event::kMmioWrite, kApicDivider, 4);
        *reinterpret_cast<volatile uint32_t*>(shared_buffer()) = 0;
        begin_request();
        set(field::kScratch, shared_buffer_address());
        EXPECT_DONE(event::kMmioRead, kApicDivider, 4);
        EXPECT_EQUAL(*reinterpret_cast<volatile uint32_t*>(shared_buffer()), value);
    }
    // Where memory is, it is that which is written, as the host sees it.
    *reinterpret_cast<volatile uint32_t*>(shared_buffer()) = 0x5a5a1234;
    begin_request();
    set(field::kScratch, shared_buffer_address());
    EXPECT_DONE(event::kMmioWrite, shared_buffer_address() + 8, 4);
    EXPECT_EQUAL(*reinterpret_cast<volatile uint32_t*>(shared_buffer() + 8), 0x5a5a1234);
}

static void caches() {
    set_up_ghcb();
    begin_request();
    EXPECT_DONE(event::kWbinvd);
    begin_request();
    EXPECT_DONE(event::kInvd);
}

static void debug_register() {
    set_up_ghcb();
    for (const uint64_t value : List<uint64_t>{0x400, 0x455}) {
        begin_request();
        set(field::kRax, value);
        EXPECT_DONE(event::kWriteDr7);
        begin_request();
        EXPECT_DONE(event::kReadDr7);
        EXPECT_EQUAL(get(field::kRax), value);
    }
}

static void hypercall() {
    set_up_ghcb();
    begin_request();
    set(field::kRax, 1);
    mark_valid_cpl();
    EXPECT_DONE(event::kVmmcall);
    EXPECT_EQUAL(get(field::kRax), static_cast<uint64_t>(int64_t{-1000})); // there is no such call
}

static void waiting() {
    set_up_ghcb();
    begin_request();
    for (const unsigned offset : List<unsigned>{field::kRax, field::kRcx, field::kRdx})
        set(offset, 0);
    EXPECT_DONE(event::kMonitor);
    begin_request();
    set(field::kRax, 0);
    set(field::kRcx, 0);
    EXPECT_DONE(event::kMwait);
}

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
    share_page(pages[0]);
    begin_request();
    EXPECT_DONE(event::kRdtsc);
    const uint8_t* registered = shared(&ghcb_private)->bytes;
    uint8_t* other = shared(pages[0]);
    for (unsigned i = 0; i != kPageBytes; ++i)
        other[i] = registered[i];
    write_msr(kMsrGhcb, address_of(pages[0]));
    vmgexit();
}

// HOST=vmm keeps the first, and so does not find the request.
static void another_page() {
    set_up_ghcb();
    begin_request();
    set(field::kRcx, kMsrPat);
    EXPECT_DONE(event::kMsr, 0);
    write_msr(kMsrGhcb, address_of(pages[0]));
    vmgexit();
}

// HOST=vmm: what is written to PAT is not the processor's.
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
    {"cpuid", cpuid},
    {"registers-are-not-read", registers_are_not_read},
    {"answer-is-marked", answer_is_marked},
    {"only-the-answer-is-marked", only_the_answer_is_marked},
    {"timestamps", timestamps},
    {"counters", counters},
    {"msrs", msrs},
    {"ports", ports},
    {"port-strings", port_strings},
    {"devices", devices},
    {"caches", caches},
    {"debug-register", debug_register},
    {"hypercall", hypercall},
    {"waiting", waiting},
    {"nmi-complete", nmi_complete},
    {"ap-jump-table", ap_jump_table},
    {"features", features},
    {"ap-creation", ap_creation},
    {"page-states", page_states},
    {"page-state-list-wrong", page_state_list_wrong},
    {"attestation", attestation},
    {"events-of-snp", events_of_snp},
    {"no-event", no_event},
    {"usage", usage},
    {"version", version},
    {"fields-missing", fields_missing},
    {"fields-not-marked", fields_not_marked},
    {"scratch-outside", scratch_outside},
    {"not-registered", not_registered},
    {"another-page", another_page},
    {"shadowed-pat", shadowed_pat},
    {"few-msrs", few_msrs},
    {"page-in-private-memory", page_in_private_memory},
    {"page-that-is-not-shared", page_that_is_not_shared},
    {"page-outside-memory", page_outside_memory},
    {"ap-reset-hold", ap_reset_hold},
    {"unsupported", unsupported},
    {"termination", termination},
    {"termination-by-reason", termination_by_reason},
};
const unsigned scene_count = sizeof scenes / sizeof scenes[0];
