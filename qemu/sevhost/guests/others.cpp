// For a host that lies about them: two other processors are started, each says who it is and waits to
// be held and released, and what came of it is noted, as probe.cpp does.
#include "other_processor.h"

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
        fill(page, others_main, stacks[id] + sizeof stacks[id], id);
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
        put_real_mode_code(others_start, others_end);
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
    begin_request();
    EXPECT_DONE(event::kApCreation, uint64_t{1} << 32 | kDestroy, 0);
    note("rmpadj", make_vmsa(vmsas[1], false));
}

const Scene scenes[] = {
    {"others", others},
};
const unsigned scene_count = sizeof scenes / sizeof scenes[0];
