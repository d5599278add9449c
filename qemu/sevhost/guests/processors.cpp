// Several processors: how the others are started, held and stopped.
#include "ghcb_page.h"
#include "snp.h"
#include "tables.h"

constexpr uint32_t kOther = 1, kNobody = 77; // APIC ids
constexpr uint64_t kOfOther = uint64_t{kOther} << 32;
constexpr uint64_t kAtInit = 0, kNow = 1, kDestroy = 2; // AP creation
constexpr uint64_t kFeatures = 1;                       // SNP, and no other
constexpr unsigned kPatience = 5000000;

static void pause() {
    asm volatile("pause" : : : "memory");
}

#define EXPECT_SOON(condition)                                                                     \
    do {                                                                                           \
        for (unsigned i_ = 0; i_ != kPatience && !(condition); ++i_)                               \
            pause();                                                                               \
        EXPECT(condition);                                                                         \
    } while (false)

static void stay_a_while() {
    for (unsigned i = 0; i != 2000; ++i)
        pause();
}

// The APIC's commands (APM vol. 2, 16.5)
constexpr uint32_t kInit = 0x4500, kStartup = 0x4600, kNmi = 0x4400;

static void write_apic(uint32_t offset, uint32_t value) {
    *reinterpret_cast<volatile uint32_t*>(shared_buffer()) = value;
    begin_request();
    set(field::kScratch, shared_buffer_address());
    EXPECT_DONE(event::kMmioWrite, 0xfee00000 + offset, 4);
}

static void command(uint32_t apic_id, uint32_t word) {
    write_apic(0x310, apic_id << 24);
    write_apic(0x300, word);
}

// SNP: a processor that begins in 64-bit mode, in these tables.

struct [[gnu::aligned(kPageBytes)]] Vmsa {
    uint8_t bytes[kPageBytes];

    template <typename T>
    void put(unsigned offset, T value) {
        *reinterpret_cast<volatile T*>(bytes + offset) = value;
    }
    void put_segment(unsigned offset, uint16_t selector, uint16_t attributes, uint32_t limit,
                     uint64_t base) {
        put(offset, selector);
        put(offset + 2, attributes);
        put(offset + 4, limit);
        put(offset + 8, base);
    }
};
static Vmsa vmsa, another_vmsa;
alignas(16) static uint8_t other_stack[4096];

struct Seen {
    uint32_t comes, counts;
    uint64_t own, initial_id;
};
static volatile Seen seen;

static uint64_t read_cr0() {
    uint64_t value;
    asm volatile("mov %%cr0, %0" : "=r"(value));
    return value;
}
static uint64_t read_cr3() {
    uint64_t value;
    asm volatile("mov %%cr3, %0" : "=r"(value));
    return value;
}
static uint64_t read_cr4() {
    uint64_t value;
    asm volatile("mov %%cr4, %0" : "=r"(value));
    return value;
}

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
    constexpr uint32_t kMsrEfer = 0xc0000080;
    for (unsigned i = 0; i != kPageBytes; i += 8)
        page.put<uint64_t>(i, 0);
    page.put_segment(0x10, kSelectorCode64, 0xa9b, 0xffffffff, 0);
    for (const unsigned data : List<unsigned>{0x00, 0x20, 0x30, 0x40, 0x50})
        page.put_segment(data, kSelectorData, 0xc93, 0xffffffff, 0);
    page.put_segment(0x60, 0, 0, kGdtEntries * 8 - 1, address_of(gdt));
    page.put_segment(0x70, 0, 0x82, 0xffff, 0);
    page.put_segment(0x80, 0, 0, kVectors * sizeof(Gate) - 1, address_of(idt));
    page.put_segment(0x90, 0, 0x8b, 0xffff, 0);
    page.put(0xd0, read_msr(kMsrEfer));
    page.put(0x148, read_cr4());
    page.put(0x150, read_cr3());
    page.put(0x158, read_cr0());
    page.put<uint64_t>(0x160, 0x400);
    page.put<uint64_t>(0x168, 0xffff0ff0);
    page.put<uint64_t>(0x170, 2);
    page.put(0x178, address_of(other_main));
    page.put(0x1d8, address_of(other_stack) + sizeof other_stack - 8);
    page.put<uint64_t>(0x268, 0x0007040600070406);
    page.put(0x338, own);
    page.put(0x3b0, kFeatures);
}

static uint32_t make_vmsa(const Vmsa& page, bool vmsa) {
    constexpr uint64_t kVmpl1 = 1, kVmsaBit = 1 << 16;
    return rmpadjust(&page, PageSize::small, vmsa ? kVmsaBit | kVmpl1 : kVmpl1).code;
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
static void no_state() {
    set_up_ghcb();
    command(kOther, kInit);
    command(kOther, kStartup | 8);
}

// SEV-ES: a processor that begins in real mode, where the jump table says, and does what it is
// asked by a mailbox. Without paging all that it sees is private.

constexpr Word kRealModeCode = 0x8000, kMailbox = 0x9000, kNmiVector = 2 * 4;

struct Mailbox {
    uint32_t comes, asked, done, nmis;
    uint64_t request, answer;
};
static volatile Mailbox& mailbox = *reinterpret_cast<volatile Mailbox*>(kMailbox);

extern "C" const uint8_t real_mode_start[], real_mode_nmi[], real_mode_end[];
asm(".pushsection .rodata\n"
    ".code16\n"
    ".globl real_mode_start, real_mode_nmi, real_mode_end\n"
    "real_mode_start:\n"
    "    movw $0x900, %ax\n" // kMailbox
    "    movw %ax, %ds\n"
    "    movw %ax, %ss\n"
    "    movw $0xff0, %sp\n"
    "    incl 0\n"
    "1:  pause\n"
    "    movl 4, %eax\n"
    "    cmpl 8, %eax\n"
    "    je 1b\n"
    "    cmpl $0, 16\n" // without a request: HLT, until the NMI comes
    "    jne 2f\n"
    "    hlt\n"
    "    jmp 3f\n"
    "2:  movl $0xc0010130, %ecx\n"
    "    movl 16, %eax\n"
    "    movl 20, %edx\n"
    "    wrmsr\n"
    "    rep; vmmcall\n"
    "    rdmsr\n"
    "    movl %eax, 24\n"
    "    movl %edx, 28\n"
    "3:  movl 4, %eax\n"
    "    movl %eax, 8\n"
    "    jmp 1b\n"
    "real_mode_nmi:\n"
    "    incl 12\n"
    "    iretw\n"
    "real_mode_end:\n"
    ".code64\n"
    ".popsection");

static void put_real_mode_code() {
    auto* to = reinterpret_cast<volatile uint8_t*>(kRealModeCode);
    for (const uint8_t* from = real_mode_start; from != real_mode_end; ++from)
        *to++ = *from;
    for (Word at = kMailbox; at != kMailbox + sizeof(Mailbox); at += 4)
        *reinterpret_cast<volatile uint32_t*>(at) = 0;
    *reinterpret_cast<volatile uint32_t*>(kNmiVector) =
        kRealModeCode >> 4 << 16 | static_cast<uint32_t>(real_mode_nmi - real_mode_start);
}

static void ask(uint64_t request) {
    mailbox.request = request;
    mailbox.asked = mailbox.asked + 1;
}
static bool is_done() {
    return mailbox.done == mailbox.asked;
}

// IP, then CS (56421, 4.1.8)
static void set_jump_table() {
    begin_request();
    const Answer answer = send(event::kApJumpTable, 1);
    EXPECT_EQUAL(answer.info1, kDone);
    EXPECT(answer.info2 != 0);
    auto* table = reinterpret_cast<volatile uint16_t*>(answer.info2);
    table[0] = 0;
    table[1] = kRealModeCode >> 4;
}

static void start_by_jump_table() {
    set_up_ghcb();
    put_real_mode_code();
    set_jump_table();
    command(kOther, kInit);
    stay_a_while();
    EXPECT_EQUAL(mailbox.comes, 0);
    command(kOther, kStartup | 0x77); // the vector is nobody's to use
    EXPECT_SOON(mailbox.comes == 1);
}

static void jump_table() {
    start_by_jump_table();
    command(kOther, kStartup | 0x77);
    stay_a_while();
    EXPECT_EQUAL(mailbox.comes, 1);
    ask(0x1'40000004); // its initial APIC id
    EXPECT_SOON(is_done());
    EXPECT_EQUAL(mailbox.answer >> 56, kOther);
}

static void expect_held() {
    stay_a_while();
    EXPECT(!is_done());
    command(kOther, kStartup); // without INIT
    stay_a_while();
    EXPECT(!is_done());
    command(kOther, kInit);
    stay_a_while();
    EXPECT(!is_done());
    command(kOther, kStartup);
    EXPECT_SOON(is_done());
    EXPECT_EQUAL(mailbox.comes, 1);
}

static void hold_by_msr() {
    start_by_jump_table();
    for (const unsigned times : List<unsigned>{1, 2}) {
        (void)times;
        ask(0x006);
        expect_held();
        EXPECT_EQUAL(mailbox.answer, 0x1007);
    }
}

static GhcbPage others_ghcb;

static void hold_by_page() {
    auto* const page = shared(&others_ghcb)->bytes;
    const auto put_field = [&](unsigned offset, uint64_t value) {
        *reinterpret_cast<volatile uint64_t*>(page + offset) = value;
        page[field::kValidBitmap + offset / 64] |= static_cast<uint8_t>(1u << offset / 8 % 8);
    };
    start_by_jump_table();
    for (unsigned i = 0; i != kPageBytes; ++i)
        page[i] = 0;
    put_field(field::kExitCode, event::kApResetHold);
    put_field(field::kExitInfo1, 0);
    put_field(field::kExitInfo2, 0);
    ask(address_of(&others_ghcb));
    expect_held();
    EXPECT_EQUAL(*reinterpret_cast<volatile uint64_t*>(page + field::kExitInfo1), kDone);
    EXPECT_EQUAL(*reinterpret_cast<volatile uint64_t*>(page + field::kExitInfo2), 1);
}

// INIT stops who runs; as SEV-ES nothing of its state is changed, and a SIPI has it go on.
static void init_while_it_runs() {
    start_by_jump_table();
    command(kOther, kInit);
    ask(0x1'40000004);
    stay_a_while();
    EXPECT(!is_done());
    command(kOther, kStartup);
    EXPECT_SOON(is_done());
    EXPECT_EQUAL(mailbox.comes, 1);
}

static void nmi() {
    start_by_jump_table();
    ask(0); // HLT, with interrupts off
    stay_a_while();
    EXPECT(!is_done());
    command(kOther, kNmi);
    EXPECT_SOON(is_done());
    EXPECT_EQUAL(mailbox.nmis, 1);
    command(0xff, kNmi | 3 << 18); // to all others
    EXPECT_SOON(mailbox.nmis == 2);
}

// For a host that lies about them: two others are started, each says who it is and waits to be held
// and released, and what came of it is noted, as probe.cpp does.

struct Slot {
    uint32_t comes, id, released, reserved;
    uint64_t answer, unused;
};
constexpr uint32_t kOthers = 2;
constexpr Word kSlots = 0xa000; // as SEV-ES, for real mode; by APIC id
static volatile Slot private_slots[kOthers + 1];
static volatile Slot* slots = private_slots;

extern "C" const uint8_t others_start[], others_end[];
asm(".pushsection .rodata\n"
    ".code16\n"
    ".globl others_start, others_end\n"
    "others_start:\n"
    "    movl $0xc0010130, %ecx\n"
    "    movl $0x40000004, %eax\n" // CPUID's leaf 1, EBX
    "    movl $1, %edx\n"
    "    wrmsr\n"
    "    rep; vmmcall\n"
    "    rdmsr\n"
    "    shrl $24, %edx\n"
    "    movw $0xa00, %ax\n" // kSlots
    "    movw %ax, %ds\n"
    "    movw %dx, %si\n"
    "    shlw $5, %si\n"
    "    incl (%si)\n"
    "    movl %edx, 4(%si)\n"
    "1:  movl $6, %eax\n"
    "    xorl %edx, %edx\n"
    "    wrmsr\n"
    "    rep; vmmcall\n"
    "    rdmsr\n"
    "    movl %eax, 16(%si)\n"
    "    incl 8(%si)\n"
    "    jmp 1b\n"
    "others_end:\n"
    ".code64\n"
    ".popsection");

// SNP: `own` is its VMSA's word.
[[noreturn]] static void others_main(uint64_t own) {
    volatile Slot& slot = slots[own];
    slot.id = static_cast<uint32_t>(ask_by_msr(0x1'40000004) >> 56);
    slot.comes = slot.comes + 1;
    for (;;) {
        slot.answer = ask_by_msr(0x006);
        slot.released = slot.released + 1;
    }
}

static void note(const char* name, uint64_t value) {
    uint64_t letters = 0;
    for (unsigned i = 0; name[i]; ++i)
        letters |= uint64_t{static_cast<uint8_t>(name[i])} << 8 * i;
    mark(letters);
    mark(value);
}

static void stay_and_exit() {
    constexpr uint64_t kSevInfoRequest = 2;
    for (unsigned i = 0; i != 400; ++i)
        ask_by_msr(kSevInfoRequest);
}

static Vmsa vmsas[kOthers + 1];
alignas(16) static uint8_t stacks[kOthers + 1][1024];

static void start_other(uint32_t id) {
    if (snp()) {
        Vmsa& page = vmsas[id];
        fill(page, id);
        page.put(0x178, address_of(others_main));
        page.put(0x1d8, address_of(stacks[id]) + sizeof stacks[id] - 8);
        make_vmsa(page, true);
        begin_request();
        set(field::kRax, kFeatures);
        send(event::kApCreation, uint64_t{id} << 32 | kNow, address_of(&page));
    } else {
        command(id, kInit);
        command(id, kStartup);
    }
    stay_and_exit();
}

static void others() {
    set_up_ghcb();
    if (!snp()) {
        slots = reinterpret_cast<volatile Slot*>(kSlots);
        for (Word at = kSlots; at != kSlots + kPageBytes; at += 8)
            *reinterpret_cast<volatile uint64_t*>(at) = 0;
        auto* to = reinterpret_cast<volatile uint8_t*>(kRealModeCode);
        for (const uint8_t* from = others_start; from != others_end; ++from)
            *to++ = *from;
        set_jump_table();
    }
    start_other(1);
    note("come1", slots[1].comes);
    start_other(2);
    note("come2", slots[2].comes);
    stay_and_exit();
    for (const uint32_t id : List<uint32_t>{1, 2}) {
        note(id == 1 ? "last1" : "last2", slots[id].comes);
        note(id == 1 ? "id1" : "id2", slots[id].id);
        note(id == 1 ? "free1" : "free2", slots[id].released);
        note(id == 1 ? "answer1" : "answer2", slots[id].answer);
    }
    if (!snp()) {
        start_other(1);
        note("again1", slots[1].released);
        note("result1", slots[1].answer);
        return;
    }
    destroy();
    note("rmpadj", make_vmsa(vmsas[1], false));
}

static void nobody_runs() {
    asm volatile("cli; hlt");
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
    {"no-state", no_state},
    {"jump-table", jump_table},
    {"hold-by-msr", hold_by_msr},
    {"hold-by-page", hold_by_page},
    {"init-while-it-runs", init_while_it_runs},
    {"nmi", nmi},
    {"others", others}, // tests/sev/hostile.py
    {"nobody-runs", nobody_runs},
};
const unsigned scene_count = sizeof scenes / sizeof scenes[0];
