// The AP jump table (AMD 56421, 4.1.8): an SEV-ES guest's other processor begins in real mode, where it
// says, and does what it is asked by a mailbox. Without paging all that it sees is private.
#include "other_processor.h"

constexpr Word kMailbox = 0x9000, kNmiVector = 2 * 4;

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

static void put_code_and_mailbox() {
    put_real_mode_code(real_mode_start, real_mode_end);
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

static void start_by_jump_table() {
    set_up_ghcb();
    put_code_and_mailbox();
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

static void no_state() {
    set_up_ghcb();
    command(kOther, kInit);
    command(kOther, kStartup | 8);
}

static void nobody_runs() {
    asm volatile("cli; hlt");
}

const Scene scenes[] = {
    {"no-state", no_state},
    {"jump-table", jump_table},
    {"hold-by-msr", hold_by_msr},
    {"hold-by-page", hold_by_page},
    {"init-while-it-runs", init_while_it_runs},
    {"nmi", nmi},
    {"nobody-runs", nobody_runs},
};
const unsigned scene_count = sizeof scenes / sizeof scenes[0];
