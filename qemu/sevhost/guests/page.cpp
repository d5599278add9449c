// The GHCB page's protocol (AMD 56421, 2.6 and 4.1): the events that stand for an instruction.
#include "exceptions.h"
#include "ghcb_page.h"
#include "snp.h"

constexpr uint64_t kGeneralProtection = 0x8000030d; // without its error code
constexpr uint64_t kApicVersion = 0xfee00030;
constexpr uint16_t kPciAddress = 0xcf8, kUartScratch = 0x3ff, kDebugPort = 0xea;

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

const Scene scenes[] = {
    {"cpuid", cpuid},
    {"registers-are-not-read", registers_are_not_read},
    {"answer-is-marked", answer_is_marked},
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
};
const unsigned scene_count = sizeof scenes / sizeof scenes[0];
