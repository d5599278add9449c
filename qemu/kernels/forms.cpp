// Each instruction that an SEV-ES guest finds in a #VC, in each of its forms, with what
// it left in registers and memory: a line a form. What runs plain must print the same.
#include "console.h"
#include "prologue/handoff.h"
#include "prologue/wishes.h"

#ifndef KERNEL_PAGING
#define KERNEL_PAGING PROLOGUE_PAGING_FOUR
#endif

PROLOGUE_WISH_PAGING(KERNEL_PAGING);
PROLOGUE_WISH_QEMU_EXIT;

// The I/O APIC: its index register keeps what is written to it, in any size.
#define IO_APIC 0xffffffffc0000000
#define RAM_WINDOW 0xffffffffc0001000
PROLOGUE_WISH_WINDOW(RAM_WINDOW, 0x3000000, 0x1000, PROLOGUE_WINDOW_WRITE);
PROLOGUE_WISH_WINDOW(IO_APIC, 0xfec00000, 0x1000, PROLOGUE_WINDOW_WRITE | PROLOGUE_WINDOW_UNCACHED);

namespace {

using kernel::print;
using kernel::print_hex;

constexpr uint64_t kPattern = 0x1122334455667788;
constexpr uint64_t kIoApicWindow = IO_APIC + 0x10;

// COM1's scratch register, 8 bits; PCI's configuration address and data, 32 and 16.
constexpr uint64_t kScratch = 0x3ff, kPciAddress = 0xcf8, kPciData = 0xcfc;
constexpr uint64_t kPciFirst = 0x80000000;
constexpr uint64_t kNobody = 0xe0;

// All that an instruction can read and write here. The order is the assembly's.
struct Registers {
    uint64_t rax = kPattern, rbx = kPattern, rcx = kPattern, rdx = kPattern, rsi = kPattern,
             rdi = kPattern, r9 = kPattern, flags = 0x2;
};

uint8_t buffer[8192];

uint64_t address(const void* thing) {
    return reinterpret_cast<uint64_t>(thing);
}

// Runs the instruction with these registers, and leaves in them what it made of them.
#define RUN(registers, instruction)                                                                \
    do {                                                                                           \
        Registers* at_ = &(registers);                                                             \
        asm volatile("pushq %%rbp\n\tpushq %%rbx\n\t"                                              \
                     "movq %0, %%rbp\n\t"                                                          \
                     "pushq 56(%%rbp)\n\tpopfq\n\t"                                                \
                     "movq 0(%%rbp), %%rax\n\tmovq 8(%%rbp), %%rbx\n\t"                            \
                     "movq 16(%%rbp), %%rcx\n\tmovq 24(%%rbp), %%rdx\n\t"                          \
                     "movq 32(%%rbp), %%rsi\n\tmovq 40(%%rbp), %%rdi\n\t"                          \
                     "movq 48(%%rbp), %%r9\n\t" instruction "\n\t"                                 \
                     "movq %%rax, 0(%%rbp)\n\tmovq %%rbx, 8(%%rbp)\n\t"                            \
                     "movq %%rcx, 16(%%rbp)\n\tmovq %%rdx, 24(%%rbp)\n\t"                          \
                     "movq %%rsi, 32(%%rbp)\n\tmovq %%rdi, 40(%%rbp)\n\t"                          \
                     "movq %%r9, 48(%%rbp)\n\t"                                                    \
                     "pushfq\n\tpopq 56(%%rbp)\n\tcld\n\tpopq %%rbx\n\tpopq %%rbp"                 \
                     : "+r"(at_)                                                                   \
                     :                                                                             \
                     : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",  \
                       "r14", "r15", "memory", "cc");                                              \
    } while (false)

void show(const char* form, const Registers& r) {
    print(form);
    print(":");
    const uint64_t all[] = {r.rax, r.rbx, r.rcx, r.rdx, r.rsi, r.rdi, r.r9, r.flags};
    for (const uint64_t value : all) {
        print(" ");
        print_hex(value);
    }
    print("\n");
}

#define FORM(instruction, ...)                                                                     \
    do {                                                                                           \
        Registers registers_ = {__VA_ARGS__};                                                      \
        RUN(registers_, instruction);                                                              \
        show(instruction, registers_);                                                             \
    } while (false)

void show_buffer(const char* what, unsigned bytes) {
    uint64_t sum = 0;
    for (unsigned i = 0; i != bytes; ++i)
        sum = sum * 31 + buffer[i];
    print(what);
    print(" left: ");
    print_hex(sum);
    print("\n");
}

void cpuid() {
    const uint64_t leaves[][2] = {{1, 0},   {7, 0},          {7, 1},
                                  {0xd, 0}, {0x80000002, 5}, {0x80000008, 0}};
    for (const auto& leaf : leaves)
        FORM("cpuid", .rax = leaf[0], .rcx = leaf[1]);
    FORM(".byte 0x48; cpuid", .rax = 0xffffffff00000007, .rcx = 0xffffffff00000000);
}

void msr() {
    FORM("rdmsr", .rcx = 0xffffffff0000001b); // the APIC's address: the upper half is ignored
    FORM("wrmsr", .rax = 0xabcd000000000806, .rcx = 0x200, .rdx = 0x1234000000000000);
    FORM("rdmsr", .rcx = 0x200);
}

void ports() {
    FORM("outb %%al, %%dx", .rax = kPattern, .rdx = kScratch | 0xabcd0000);
    FORM("inb %%dx, %%al", .rax = ~kPattern, .rdx = kScratch);
    FORM("outl %%eax, %%dx", .rax = 0xffffffff00000000 | kPciFirst, .rdx = kPciAddress);
    FORM("inl %%dx, %%eax", .rax = ~kPattern, .rdx = kPciAddress);
    FORM("inw %%dx, %%ax", .rax = ~kPattern, .rdx = kPciData);
    FORM("inb %%dx, %%al", .rax = ~kPattern, .rdx = kPciData + 1);
    FORM("outw %%ax, %%dx", .rax = 0x0107, .rdx = kPciData + 4); // the command register
    FORM("inw %%dx, %%ax", .rdx = kPciData);
    FORM("outb %%al, $0x70", .rax = kPattern);
    FORM("inb $0x71, %%al", .rax = kPattern);
    FORM("inw $0x92, %%ax", .rax = kPattern);
    FORM("inl $0x92, %%eax", .rax = kPattern);
    FORM("outw %%ax, $0xe0", .rax = kPattern);
    FORM("outl %%eax, $0xe0", .rax = kPattern);
}

void strings() {
    for (unsigned i = 0; i != sizeof buffer; ++i)
        buffer[i] = static_cast<uint8_t>(i * 7);
    const uint64_t at = address(buffer);
    FORM("outsb", .rdx = kScratch, .rsi = at + 3);
    FORM("insb", .rdx = kScratch, .rdi = at);
    FORM("rep insb", .rcx = 5, .rdx = kScratch, .rdi = at + 8);
    FORM("rep outsb", .rcx = 3000, .rdx = kScratch, .rsi = at);
    FORM("rep insb", .rcx = 3000, .rdx = kScratch, .rdi = at + 16);
    FORM("rep insw", .rcx = 1100, .rdx = kPciData, .rdi = at + 3000);
    FORM("rep insl", .rcx = 600, .rdx = kPciData, .rdi = at + 5500);
    FORM("rep outsw", .rcx = 2, .rdx = kScratch - 1, .rsi = at);
    FORM("rep outsl", .rcx = 2, .rdx = kNobody, .rsi = at);
    FORM("rep insw", .rcx = 4, .rdx = kPciData, .rdi = at + 8000, .flags = 0x402); // downwards
    FORM("rep outsb", .rcx = 4, .rdx = kScratch, .rsi = at + 8000, .flags = 0x402);
    FORM("rep insb", .rcx = 0, .rdx = kScratch, .rdi = 1); // no byte is touched
    show_buffer("ins", sizeof buffer);
}

// Addresses of 32 bits reach what lies in the identity map.
void narrow_strings(uint64_t low) {
    FORM("addr32 rep outsb", .rcx = 0xffffffff00000003, .rdx = kScratch, .rsi = low);
    FORM("addr32 rep insb", .rcx = 0xffffffff00000003, .rdx = kScratch,
         .rdi = 0xffffffff00000000 | low);
    FORM("addr32 insw", .rdx = kPciData, .rdi = 0xffffffff00000000 | low);
    FORM("gs outsb", .rdx = kScratch, .rsi = low);
}

void loads() {
    FORM("movl %%eax, (%%rdi)", .rax = 0x12, .rdi = IO_APIC);
    FORM("movb (%%rdi), %%al", .rdi = IO_APIC);
    FORM("movb (%%rdi), %%ah", .rdi = IO_APIC);
    FORM("movb (%%rdi), %%r9b", .rdi = IO_APIC);
    FORM("movw (%%rdi), %%ax", .rdi = IO_APIC);
    FORM("movl (%%rdi), %%eax", .rdi = IO_APIC);
    FORM("movq (%%rdi), %%rax", .rdi = IO_APIC);
    FORM("movl 0x7f(%%rdi), %%edx", .rdi = IO_APIC - 0x7f);
    FORM("movl -0x1000(%%rdi), %%r9d", .rdi = IO_APIC + 0x1000);
    FORM("movl (%%rbx, %%rcx, 8), %%eax", .rbx = IO_APIC - 0x80, .rcx = 0x10);
    FORM("movl 0xffffffffc0000000, %%eax", .rax = 0); // an address without a register
    FORM("movabsl 0xffffffffc0000000, %%eax", .rax = 0);
    FORM("movzbl (%%rdi), %%eax", .rdi = IO_APIC);
    FORM("movzbw (%%rdi), %%ax", .rdi = IO_APIC);
    FORM("movzwl (%%rdi), %%eax", .rdi = IO_APIC);
    FORM("movzwq (%%rdi), %%rax", .rdi = IO_APIC);
    FORM("movl %%eax, (%%rdi)", .rax = 0xf2, .rdi = IO_APIC);
    FORM("movsbl (%%rdi), %%eax", .rdi = IO_APIC);
    FORM("movsbw (%%rdi), %%ax", .rdi = IO_APIC);
    FORM("movsbq (%%rdi), %%r9", .rdi = IO_APIC);
    FORM("movswl (%%rdi), %%eax", .rdi = IO_APIC);
    FORM("movslq (%%rdi), %%rax", .rdi = IO_APIC);
    FORM("movl %%eax, (%%rdi)", .rax = 1, .rdi = IO_APIC);
    FORM("movl (%%rdi), %%eax", .rdi = kIoApicWindow); // the version
}

void stores() {
#define STORED(instruction, ...)                                                                   \
    FORM(instruction, __VA_ARGS__);                                                                \
    FORM("movl (%%rdi), %%eax", .rdi = IO_APIC)
    STORED("movb %%al, (%%rdi)", .rax = 0x03, .rdi = IO_APIC);
    STORED("movb %%ah, (%%rdi)", .rax = 0x0400, .rdi = IO_APIC);
    STORED("movb %%r9b, (%%rdi)", .rdi = IO_APIC, .r9 = 0x05);
    STORED("movb %%dil, (%%rdi)", .rdi = IO_APIC);
    STORED("movw %%cx, (%%rdi)", .rcx = 0xff07, .rdi = IO_APIC);
    STORED("movl %%ecx, (%%rdi)", .rcx = kPattern, .rdi = IO_APIC);
    STORED("movb $0x11, (%%rdi)", .rdi = IO_APIC);
    STORED("movw $0x1112, (%%rdi)", .rdi = IO_APIC);
    STORED("movl $0x11121314, (%%rdi)", .rdi = IO_APIC);
    STORED("movl $0x15, io_apic(%%rip)", .rax = 0);
    STORED("movabsl %%eax, 0xffffffffc0000000", .rax = 0x16);
    STORED("stosb", .rax = 0x17, .rdi = IO_APIC);
    STORED("stosl", .rax = 0x18, .rdi = IO_APIC);
    STORED("rep stosb", .rax = 0x19, .rcx = 4, .rdi = IO_APIC);
    STORED("rep stosl", .rax = 0x1a, .rcx = 2, .rdi = IO_APIC + 4, .flags = 0x402);
    STORED("movq %%rcx, (%%rdi)", .rcx = 0x1b, .rdi = IO_APIC);
    STORED("movq $0x1c, (%%rdi)", .rdi = IO_APIC);
}

// Numbers that are another each time: that they grow is all there is to compare.
void times() {
    Registers before, after, with_processor;
    RUN(before, "rdtsc");
    RUN(after, "rdtsc");
    RUN(with_processor, "rdtscp");
    const uint64_t first = before.rdx << 32 | before.rax, second = after.rdx << 32 | after.rax;
    const uint64_t third = with_processor.rdx << 32 | with_processor.rax;
    print(first <= second && second <= third ? "rdtsc: grows\n" : "rdtsc: shrinks\n");
    print("rdtscp: ");
    print_hex(with_processor.rcx);
    print("\n");
}

void others(bool encrypted) {
    FORM("wbinvd", .rax = kPattern);
    FORM("invd", .rax = kPattern);
    FORM("movq %%rax, %%dr7", .rax = 0x500);
    FORM("movq %%dr7, %%r9", .rax = 0);
    FORM("movq %%r9, %%dr7", .r9 = 0x400);
    FORM("movq %%dr7, %%rax", .rax = 0);
    FORM("monitor", .rax = address(buffer), .rcx = 0, .rdx = 0);
    Registers wait = {.rax = 0, .rcx = 0};
    if (encrypted) // elsewhere it may wait for ever
        RUN(wait, "mwait");
    show("mwait", wait);
}

// By the command line: an instruction that has no answer, or one that ends the guest.
bool is(const char* text, const char* other) {
    for (; *text == *other; ++text, ++other)
        if (*text == 0)
            return true;
    return false;
}

// An MSR by its number in hexadecimal, behind "rdmsr-" or "wrmsr-".
constexpr unsigned kNumberAt = 6;
uint64_t number_in(const char* name) {
    uint64_t number = 0;
    for (name += kNumberAt; *name != 0; ++name)
        number = number << 4 | static_cast<uint64_t>(*name <= '9' ? *name - '0' : *name - 'a' + 10);
    return number;
}

void one(const char* name) {
    if (name[0] == 'r' && name[kNumberAt - 1] == '-')
        FORM("rdmsr", .rcx = number_in(name));
    if (name[0] == 'w' && name[kNumberAt - 1] == '-')
        FORM("wrmsr", .rax = kPattern, .rcx = number_in(name), .rdx = kPattern);
    if (is(name, "c-bit"))
        FORM("cpuid", .rax = 0x8000001f, .rcx = 0);
    if (is(name, "processor")) { // which it is, its kernel says in TSC_AUX
        Registers told = {.rax = 5, .rcx = 0xc0000103, .rdx = 0};
        RUN(told, "wrmsr");
        RUN(told, "rdtscp");
        print("processor: ");
        print_hex(told.rcx);
        print("\n");
    }
    if (is(name, "window")) // of RAM: what is written there, no host sees
        *reinterpret_cast<volatile uint64_t*>(RAM_WINDOW) = 0x5ec7e7a1b2c3d4e5;
    if (is(name, "rdpmc"))
        FORM("rdpmc", .rcx = 0);
    if (is(name, "vmmcall"))
        FORM("vmmcall", .rax = 5);
    if (is(name, "no-msr"))
        FORM("rdmsr", .rcx = 0xdead);
    if (is(name, "breakpoint"))
        FORM("int3", .rax = 0);
    if (is(name, "injected"))
        FORM("int $29", .rax = 0);
    if (is(name, "xchg-device"))
        FORM("xchgl %%eax, (%%rdi)", .rdi = IO_APIC);
    if (is(name, "add-device"))
        FORM("addl %%eax, (%%rdi)", .rdi = IO_APIC);
    if (is(name, "across-device"))
        FORM("movl (%%rdi), %%eax", .rdi = IO_APIC + 0xffe);
    if (is(name, "xsetbv"))
        FORM("xsetbv", .rax = 1, .rcx = 0, .rdx = 0);
    if (is(name, "bad-stack"))
        asm volatile("movq %%rsp, %%r12; movq $8, %%rsp; cpuid; movq %%r12, %%rsp"
                     :
                     : "a"(0), "c"(0)
                     : "rbx", "rdx", "r12");
    if (is(name, "nested")) // the data of an OUTS is itself a device's
        FORM("outsb", .rdx = kScratch, .rsi = IO_APIC);
}

} // namespace

void kernel_main(const prologue_handoff* handoff) {
    if (handoff->cmdline_bytes != 0) {
        one(handoff->cmdline);
        print("result: went on\n");
        kernel::finish(PROLOGUE_EXIT_FATAL);
    }
    cpuid();
    msr();
    ports();
    strings();
    narrow_strings(handoff->spare_start);
    loads();
    stores();
    times();
    others((handoff->sev.status & PROLOGUE_SEV_STATUS_ES) != 0);
    print("result: ok\n");
    kernel::finish(PROLOGUE_EXIT_SUCCESS);
}
