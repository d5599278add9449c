// A guest that looks for lies: it asks for all that there is to ask, and notes each answer as it
// came, believing none. A test holds the notes against those that it makes of an honest host.
#include "exceptions.h"
#include "ghcb_page.h"
#include "snp.h"
#include "start_info.h"
#include "tables.h"

static uint64_t sum(const volatile uint8_t* bytes, uint64_t count) {
    uint64_t result = 0xcbf29ce484222325;
    for (uint64_t i = 0; i != count; ++i)
        result = (result ^ bytes[i]) * 0x100000001b3;
    return result;
}

static void ask_by_msr_and_note(const char* name, uint64_t request) {
    note(name, ask_by_msr(request));
}

static void ask_cpuid_by_msr(const char* name, uint32_t leaf, uint64_t which) {
    ask_by_msr_and_note(name, uint64_t{leaf} << 32 | which << 30 | 0x004);
}

// Memory that is the guest's alone. It is touched just before the host is asked, and is another
// each time, so that what was once there shows.
constexpr unsigned kOwnPages = 4;
alignas(kPageBytes) static volatile uint8_t own[kOwnPages][kPageBytes];

static void fill_own_memory() {
    static unsigned times;
    ++times;
    for (unsigned page = 0; page != kOwnPages; ++page)
        for (unsigned i = 0; i != kPageBytes; ++i)
            own[page][i] = static_cast<uint8_t>(page + i * 7 + times);
}

static void note_own_memory() {
    note("own-mem", sum(&own[0][0], sizeof own));
    fill_own_memory();
}

static void msr_protocol() {
    ask_by_msr_and_note("info", 0x002);
    ask_by_msr_and_note("info2", 0x002);
    ask_cpuid_by_msr("m-vendor", 0, 1);
    ask_cpuid_by_msr("m-leaf0", 0, 0);
    ask_cpuid_by_msr("m-feat-c", 1, 2);
    ask_cpuid_by_msr("m-feat-d", 1, 3);
    ask_cpuid_by_msr("m-leaf8", 0x80000000, 0);
    ask_cpuid_by_msr("m-ext-d", 0x80000001, 3);
    ask_cpuid_by_msr("m-width", 0x80000008, 0);
    ask_cpuid_by_msr("m-sev-a", 0x8000001f, 0);
    ask_cpuid_by_msr("m-sev-b", 0x8000001f, 1);
    ask_cpuid_by_msr("m-sev-b2", 0x8000001f, 1);
    ask_by_msr_and_note("features", 0x080);
    note_own_memory();
    ask_by_msr_and_note("feature2", 0x080);
    note_own_memory();
    if (snp())
        ask_by_msr_and_note("prefer", 0x010);
}

#ifdef __x86_64__

// As set_up_ghcb, but with eyes open.
static void set_up_ghcb_noting() {
    if (snp()) {
        note("validate", pvalidate(&ghcb_private, PageSize::small, false).code);
        note("m-state", change_page_state(&ghcb_private, PageState::shared));
        ask_by_msr_and_note("register", address_of(&ghcb_private) | 0x012);
    }
    put<uint32_t>(field::kUsage, 0);
    put<uint16_t>(field::kVersion, 2);
}

static uint64_t bitmap(unsigned half) {
    return get(field::kValidBitmap + 8 * half);
}

// What a request came back with.
static void note_answer(const char* name) {
    note(name, get(field::kExitInfo1));
    note("  info2", get(field::kExitInfo2));
    note("  valid0", bitmap(0));
    note("  valid1", bitmap(1));
    note("  code", get(field::kExitCode));
    note("  scratc", get(field::kScratch));
    note("  versio",
         *reinterpret_cast<volatile uint16_t*>(shared(&ghcb_private)->bytes + field::kVersion));
    note("  usage",
         *reinterpret_cast<volatile uint32_t*>(shared(&ghcb_private)->bytes + field::kUsage));
}

static void note_register(const char* name, unsigned offset) {
    const uint64_t first = get(offset);
    note(name, first);
    note("  again", get(offset) - first); // the host may write meanwhile
}

static void begin_with_scratch() {
    begin_request();
    put<uint32_t>(field::kUsage, 0);
    put<uint16_t>(field::kVersion, 2);
    set(field::kScratch, shared_buffer_address());
    for (unsigned i = 0; i != 64; ++i)
        shared_buffer()[i] = 0;
}

static void page_cpuid(const char* name, uint32_t leaf) {
    begin_with_scratch();
    set(field::kRax, leaf);
    set(field::kRcx, 0);
    set(field::kXcr0, 1);
    send(event::kCpuid);
    note_answer(name);
    note_register("  rax", field::kRax);
    note_register("  rbx", field::kRbx);
    note_register("  rcx", field::kRcx);
    note_register("  rdx", field::kRdx);
}

static void page_ports() {
    constexpr uint64_t kLong = 0x40, kByte = 0x10, kIn = 1, kRepString = 0xc | 0x100;
    constexpr uint64_t kPci = 0xcf8 << 16, kUart = 0x3ff << 16;
    begin_with_scratch();
    set(field::kRax, 0x80000800);
    send(event::kIoio, kPci | kLong);
    note_answer("p-out");
    begin_with_scratch();
    send(event::kIoio, kPci | kLong | kIn);
    note_answer("p-in");
    note_register("  rax", field::kRax);
    begin_with_scratch();
    set(field::kRax, 0x5a);
    send(event::kIoio, kUart | kByte);
    begin_with_scratch();
    set(field::kRax, 0);
    send(event::kIoio, kUart | kByte | kIn);
    note_answer("p-in8");
    note_register("  rax", field::kRax);
    begin_with_scratch();
    put<uint64_t>(field::kRcx, 0);
    send(event::kIoio, kPci | kLong | kIn | kRepString, 4);
    note_answer("p-ins");
    note("  buffer", sum(shared_buffer(), 64));
    note("  rcx", get(field::kRcx));
}

static void page_msr(const char* name, uint64_t msr) {
    begin_with_scratch();
    set(field::kRcx, msr);
    send(event::kMsr);
    note_answer(name);
    note_register("  rax", field::kRax);
    note_register("  rdx", field::kRdx);
}

static void page_msrs() {
    page_msr("p-rdmsr", 0x1b);
    page_msr("p-lstar", 0xc0000082);
    page_msr("p-pat", 0x277);
}

static uint64_t page_tsc(const char* name, uint64_t which) {
    begin_with_scratch();
    send(which);
    note_answer(name);
    return get(field::kRdx) << 32 | get(field::kRax);
}

static void page_rest() {
    const uint64_t first = page_tsc("p-tsc", event::kRdtsc);
    note("  later", page_tsc("p-tsc2", event::kRdtscp) > first);
    note("  who", get(field::kRcx));
    begin_with_scratch();
    send(event::kMmioRead, 0xfee00030, 4);
    note_answer("p-mmio");
    note("  buffer", sum(shared_buffer(), 64));
    begin_with_scratch();
    send(event::kWbinvd);
    note_answer("p-wbinvd");
    begin_with_scratch();
    send(event::kFeatures);
    note_answer("p-featur");
    begin_with_scratch();
    send(event::kApJumpTable, 0, 0x9000);
    begin_with_scratch();
    send(event::kApJumpTable, 1);
    note_answer("p-jumpta");
}

constexpr unsigned kListed = 4;
alignas(kPageBytes) static volatile uint8_t listed[kListed][kPageBytes];

static void send_list(PageState state, const char* name) {
    begin_with_scratch();
    auto* list = reinterpret_cast<volatile uint64_t*>(shared_buffer());
    list[0] = uint64_t{kListed - 1} << 16;
    for (unsigned i = 0; i != kListed; ++i)
        list[1 + i] = static_cast<uint64_t>(state) << 52 | address_of(listed[i]);
    send(event::kPageStateChange);
    note_answer(name);
    note("  list", sum(shared_buffer(), 8 + 8 * kListed));
}

static void validate_listed(bool validate, const char* name) {
    uint64_t results = 0;
    for (const auto& page : listed) {
        const PageResult r = pvalidate(const_cast<uint8_t*>(page), PageSize::small, validate);
        results = results << 8 | r.code << 1 | r.carry;
    }
    note(name, results);
}

static void page_states() {
    validate_listed(false, "invalid");
    send_list(PageState::shared, "p-shared");
    for (auto& page : listed)
        *shared(&page[0]) = 1;
    send_list(PageState::private_, "p-privat");
    validate_listed(true, "valid");
    for (auto& page : listed)
        page[0] = 1;
}

// Two shared pages, and none to answer.
static void attestation() {
    for (unsigned i = 0; i != 2; ++i) {
        pvalidate(const_cast<uint8_t*>(listed[i]), PageSize::small, false);
        change_page_state(const_cast<uint8_t*>(listed[i]), PageState::shared);
    }
    begin_with_scratch();
    send(event::kGuestRequest, address_of(listed[0]), address_of(listed[1]));
    note_answer("p-attest");
    begin_with_scratch();
    set(field::kRax, address_of(listed[0]));
    set(field::kRbx, 1);
    send(event::kExtendedGuestRequest, address_of(listed[0]), address_of(listed[1]));
    note_answer("p-extatt");
    note("  rbx", get(field::kRbx));
}

#endif

// Exceptions: the one that was asked for, with its code, and how many came.
static void raise(const char* name) {
    Registers r = {.a = 0x8000001f};
    RAISE("cpuid", r);
    note(name, uint64_t{caught.count} << 32 | caught.frame.vector << 16 | caught.frame.error_code);
}

// What the loader hands over.
static void handed_over() {
    const StartInfo& info = start_info();
    note("map-n", info.memory_map_count);
    note("map", sum(pointer<uint8_t>(info.memory_map), info.memory_map_count * 24));
    note("cmdline", sum(pointer<uint8_t>(info.cmdline), 8));
}

#ifdef __x86_64__

extern "C" {
alignas(kPageBytes) uint8_t cpuid_page[kPageBytes];
alignas(kPageBytes) uint8_t secrets_page[kPageBytes];
alignas(kPageBytes) uint8_t blob[40];
}
asm(".pushsection .note.SEV, \"a\", @note\n"
    ".balign 4\n"
    ".long 8, 8, 1\n .asciz \"SEV-SNP\"\n .quad cpuid_page\n"
    ".long 8, 8, 2\n .asciz \"SEV-SNP\"\n .quad secrets_page\n"
    ".long 8, 8, 3\n .asciz \"SEV-SNP\"\n .quad blob\n"
    ".popsection");

static void firmwares_pages() {
    note("cp-carry", pvalidate(cpuid_page, PageSize::small, true).carry);
    note("cp-count", *reinterpret_cast<uint64_t*>(cpuid_page));
    note("cp", sum(cpuid_page, sizeof cpuid_page));
    note("secrets", *reinterpret_cast<uint64_t*>(secrets_page));
    note("blob", sum(blob, sizeof blob));
}

// A page that was not part of the launch; and 2 MiB.
static void launched_pages() {
    constexpr Word kUnused = Word{16} << 20, kLarge = Word{18} << 20;
    Registers r = {.di = kUnused};
    RAISE("movl (%%rdi), %%eax", r);
    note("unused", uint64_t{caught.count} << 32 | caught.frame.error_code);
    resume_at = 0;
    const PageResult result = pvalidate(reinterpret_cast<void*>(kUnused), PageSize::small, true);
    note("use-it", result.code << 1 | result.carry);
    *reinterpret_cast<volatile uint8_t*>(kUnused) = 1;
    begin_with_scratch();
    auto* list = reinterpret_cast<volatile uint64_t*>(shared_buffer());
    list[0] = 0;
    list[1] = uint64_t{1} << 56 | uint64_t{1} << 52 | kLarge;
    send(event::kPageStateChange);
    const PageResult large = pvalidate(reinterpret_cast<void*>(kLarge), PageSize::large, true);
    note("large", large.code << 1 | large.carry);
}

// Whether the timer ticks, within a second or so.
static void timer() {
    constexpr unsigned kRounds = 3'000'000;
    ignore_timer();
    asm volatile("sti");
    for (unsigned i = 0; i != kRounds && ticks == 0; ++i)
        asm volatile("pause");
    asm volatile("cli");
    note("timer", ticks != 0);
}

static void all() {
    fill_own_memory();
    note("reset", ghcb_msr_at_entry());
    raise("vc");
    raise("vc2");
    handed_over();
    msr_protocol();
    set_up_ghcb_noting();
    page_cpuid("p-cpuid0", 0);
    page_cpuid("p-cpuid1", 1);
    page_cpuid("p-cpuids", 0x8000001f);
    page_cpuid("p-cpuide", 0x80000001);
    page_cpuid("p-cpuid8", 0x80000008);
    page_ports();
    page_msrs();
    page_rest();
    note_own_memory();
    if (snp()) {
        firmwares_pages();
        page_states();
        attestation();
        launched_pages();
    }
    raise("vc3");
    note_own_memory();
    timer();
}
#endif

// Without a C-bit in use: the lies about it decide nothing yet.
static void early() {
    fill_own_memory();
    note("reset", ghcb_msr_at_entry());
    raise("vc");
    handed_over();
    msr_protocol();
}

const Scene scenes[] = {
#ifdef __x86_64__
    {"all", all},
#endif
    {"early", early},
};
const unsigned scene_count = sizeof scenes / sizeof scenes[0];
