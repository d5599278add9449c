// A kernel for restricted injection: it shows the host a page, by which interrupts come as #HV, and
// waits for three of the timer's.
#include "console.h"
#include "prologue/handoff.h"
#include "prologue/sev.h"
#include "prologue/wishes.h"

PROLOGUE_WISH_QEMU_EXIT;
PROLOGUE_WISH_SEV(PROLOGUE_SEV_RESTRICTED_SERVED);

namespace {

using kernel::print;

constexpr uint64_t kPage = 0x1000;
constexpr unsigned kVectorHv = 28, kVectors = 32;
constexpr unsigned kWanted = 3;
constexpr uint64_t kRestricted = 1 << 5; // of SEV_STATUS

// The request (56421, 4.1), and the first word of its page.
constexpr uint64_t kDoorbell = 0x80000014, kPrefer = 0, kSet = 1, kQuery = 2, kClear = 3;
constexpr unsigned kVectorMask = 0xff;

constexpr uint8_t kTimerVector = 0x40;

alignas(kPage) uint8_t page[kPage];

struct Gate {
    uint64_t low, high;
};
alignas(16) Gate idt[kVectors];
struct [[gnu::packed]] TableRegister {
    uint16_t limit;
    uint64_t base;
};

volatile unsigned signals;

void out(uint16_t port, uint8_t value) {
    asm volatile("outb %0, %1" : : "a"(value), "d"(port));
}

// #HV may come at any instruction, in a #VC's handler too, and so asks the host for nothing.
extern "C" void kernel_hv() {
    signals = signals + 1;
}
extern "C" void kernel_hv_entry();
asm(".text\n"
    "kernel_hv_entry:\n\t"
    "pushq %rax\n\tpushq %rcx\n\tpushq %rdx\n\tpushq %rsi\n\tpushq %rdi\n\t"
    "pushq %r8\n\tpushq %r9\n\tpushq %r10\n\tpushq %r11\n\tcld\n\t"
    "call kernel_hv\n\t"
    "popq %r11\n\tpopq %r10\n\tpopq %r9\n\tpopq %r8\n\tpopq %rdi\n\tpopq %rsi\n\t"
    "popq %rdx\n\tpopq %rcx\n\tpopq %rax\n\tiretq\n");

// Prologue's IDT, but for #HV's gate, whose stack is the one that ends everything else.
void load_idt() {
    TableRegister now;
    asm volatile("sidt %0" : "=m"(now));
    for (unsigned i = 0; i != kVectors; ++i)
        idt[i] = reinterpret_cast<const Gate*>(now.base)[i];
    const auto at = reinterpret_cast<uint64_t>(kernel_hv_entry);
    Gate& gate = idt[kVectorHv];
    gate.low = (gate.low & 0x0000ffffffff0000) | (at & 0xffff) | (at >> 16 & 0xffff) << 48;
    gate.high = at >> 32;
    now.base = reinterpret_cast<uint64_t>(idt);
    now.limit = sizeof idt - 1;
    asm volatile("lidt %0" : : "m"(now));
}

// The first PIC (8259A) and the PIT (82C54)
constexpr uint16_t kPic = 0x20, kPicMask = 0x21, kPit = 0x40, kPitControl = 0x43;
constexpr uint8_t kEndOfInterrupt = 0x20;

void start_timer() {
    constexpr uint8_t kBegin = 0x11, kSecondAtLine2 = 1 << 2, k8086 = 1, kAllButTimer = 0xfe;
    constexpr uint8_t kRate = 0x34, kLow = 0x9c, kHigh = 0x2e; // 100 Hz
    out(kPic, kBegin);
    out(kPicMask, kTimerVector);
    out(kPicMask, kSecondAtLine2);
    out(kPicMask, k8086);
    out(kPicMask, kAllButTimer);
    out(kPitControl, kRate);
    out(kPit, kLow);
    out(kPit, kHigh);
}

uint64_t ask(uint64_t operation, uint64_t address = 0) {
    prologue_ghcb_request request = {.code = kDoorbell, .info1 = operation, .info2 = address};
    return prologue_sev_vmgexit(&request) == 0 ? request.info2 : 0;
}

// What has come since, and none where nothing has.
unsigned take() {
    return __atomic_exchange_n(reinterpret_cast<uint16_t*>(page), uint16_t{0}, __ATOMIC_SEQ_CST) &
           kVectorMask;
}

bool serve_timer() {
    for (unsigned i = 0; i != kWanted; ++i) {
        unsigned vector;
        while ((vector = take()) == 0)
            asm volatile("sti\n\thlt\n\tcli");
        if (vector != kTimerVector)
            return false;
        out(kPic, kEndOfInterrupt);
    }
    return true;
}

} // namespace

void kernel_main(const prologue_handoff* handoff) {
    if ((handoff->sev.status & kRestricted) == 0) {
        print("doorbell: none, where interrupts come as anywhere\nresult: ok\n");
        kernel::finish(PROLOGUE_EXIT_SUCCESS);
    }
    prologue_table_pages pages = {handoff->spare_start, handoff->spare_end};
    const uint64_t phys = reinterpret_cast<uint64_t>(page) - handoff->kernel_offset;
    if (prologue_sev_share(reinterpret_cast<uint64_t>(page), kPage, &pages) != PROLOGUE_SEV_DONE)
        kernel::finish(PROLOGUE_EXIT_FATAL);
    for (uint8_t& byte : page)
        byte = 0;
    load_idt();
    const bool told = ask(kPrefer) == ~uint64_t{0} && ask(kSet, phys) == phys &&
                      ask(kQuery) == phys;
    print(told ? "doorbell: the host knows its page\n" : "doorbell: refused\n");
    if (!told)
        kernel::finish(PROLOGUE_EXIT_FATAL);
    start_timer();
    const bool served = serve_timer();
    ask(kClear);
    print(served && signals >= kWanted ? "doorbell: three of the timer's, by #HV\n"
                                       : "doorbell: another, or without #HV\n");
    print(served ? "result: ok\n" : "result: wrong\n");
    kernel::finish(served ? PROLOGUE_EXIT_SUCCESS : PROLOGUE_EXIT_FATAL);
}
