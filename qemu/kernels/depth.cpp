// Changes the depth of its paging: to the other, back, and to the other again; and
// says after each what became of the CPU and of memory.
#include "../../arch/x86/cpu/cpu.h"
#include "console.h"
#include "prologue/paging_depth.h"
#include "prologue/wishes.h"

PROLOGUE_WISH_PAGING(KERNEL_PAGING);
PROLOGUE_WISH_QEMU_EXIT;
PROLOGUE_WISH_IDENTITY_MAP(0x80000, PROLOGUE_FROM_PAGE_1);
PROLOGUE_WISH_DIRECT_MAP(0xffff800000000000); // an address with either depth

namespace {

using kernel::print, kernel::print_hex, kernel::print_decimal;
using prologue::read_cr0, prologue::read_cr3, prologue::read_cr4;

constexpr uint64_t kPages = 0x90000; // beyond the identity map
constexpr uint64_t kCr4La57 = 1 << 12, kCr4Pcide = 1 << 17;
constexpr uint64_t kPresent = 1;

alignas(4096) uint64_t other_top[512];

void write_cr4(uint64_t value) {
    asm volatile("mov %0, %%cr4" : : "r"(value) : "memory");
}

struct TableRegister {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed));

// What must be the same before and after.
struct State {
    TableRegister gdt, idt;
    uint64_t cr0, flags, sp;
    uint16_t cs, ds, es, ss, fs, gs, tr;
};

State state() {
    State now = {};
    asm volatile("sgdt %0" : "=m"(now.gdt));
    asm volatile("sidt %0" : "=m"(now.idt));
    asm volatile("pushfq\n\tpopq %0" : "=r"(now.flags));
    asm volatile("mov %%rsp, %0" : "=r"(now.sp));
    asm volatile("mov %%cs, %0" : "=r"(now.cs));
    asm volatile("mov %%ds, %0" : "=r"(now.ds));
    asm volatile("mov %%es, %0" : "=r"(now.es));
    asm volatile("mov %%ss, %0" : "=r"(now.ss));
    asm volatile("mov %%fs, %0" : "=r"(now.fs));
    asm volatile("mov %%gs, %0" : "=r"(now.gs));
    asm volatile("str %0" : "=r"(now.tr));
    now.cr0 = read_cr0();
    return now;
}

bool same(const State& a, const State& b) {
    constexpr uint64_t kArithmetic = 0x8d5; // flags that any instruction may change
    return a.gdt.base == b.gdt.base && a.gdt.limit == b.gdt.limit && a.idt.base == b.idt.base &&
           a.idt.limit == b.idt.limit && a.cr0 == b.cr0 &&
           ((a.flags ^ b.flags) & ~kArithmetic) == 0 && a.sp == b.sp && a.cs == b.cs &&
           a.ds == b.ds && a.es == b.es && a.ss == b.ss && a.fs == b.fs && a.gs == b.gs &&
           a.tr == b.tr;
}

// Calls with all registers that a function keeps full of bits, in both halves.
// Returns the result, and whether they were kept.
prologue_depth_result change(const prologue_depth_change& how, bool& kept) {
    uint64_t lost;
    uint64_t result;
    asm volatile(R"(
        pushq %%rbp
        pushq %%rbx
        movabsq $0xfedcba9876543210, %%rbx
        leaq 1(%%rbx), %%rbp
        leaq 2(%%rbx), %%r12
        leaq 3(%%rbx), %%r13
        leaq 4(%%rbx), %%r14
        leaq 5(%%rbx), %%r15
        call prologue_change_paging_depth
        leaq -1(%%rbp), %%rcx
        xorq %%rbx, %%rcx
        leaq -2(%%r12), %%rdx
        xorq %%rbx, %%rdx
        orq %%rdx, %%rcx
        leaq -3(%%r13), %%rdx
        xorq %%rbx, %%rdx
        orq %%rdx, %%rcx
        leaq -4(%%r14), %%rdx
        xorq %%rbx, %%rdx
        orq %%rdx, %%rcx
        leaq -5(%%r15), %%rdx
        xorq %%rbx, %%rdx
        orq %%rdx, %%rcx
        movabsq $0xfedcba9876543210, %%rdx
        xorq %%rbx, %%rdx
        orq %%rdx, %%rcx
        popq %%rbx
        popq %%rbp
    )"
                 : "=a"(result), "=c"(lost)
                 : "D"(&how)
                 : "rdx", "rsi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory",
                   "cc");
    kept = lost == 0;
    return static_cast<prologue_depth_result>(result);
}

unsigned levels() {
    return (read_cr4() & kCr4La57) != 0 ? 5 : 4;
}

void say(const char* key, uint64_t value) {
    print(key);
    print(": ");
    print_hex(value);
    print("\n");
}

// Each table has its own depth: the first is Prologue's, the second made of it.
struct Tables {
    uint64_t phys[2];
    const uint64_t* seen[2];
};

void change_and_tell(const prologue_handoff* handoff, const Tables& tables, unsigned to) {
    prologue_depth_change how = {
        .top_phys = tables.phys[to],
        .top = tables.seen[to],
        .pages_phys = kPages,
        .pages = prologue_seen(handoff, kPages),
    };
    if (to == 1)
        write_cr4(read_cr4() | kCr4Pcide); // as a kernel may have it
    const State before = state();
    const uint64_t cr4 = read_cr4();
    bool kept;
    say("result", change(how, kept));
    const State after = state();
    say("levels", levels());
    say("registers kept", kept);
    say("state kept", same(before, after));
    say("cr4 changed", cr4 ^ read_cr4());
    say("cr3 as asked", read_cr3() == how.top_phys);
    asm volatile("int3"); // the IDT serves: the test's own handler returns
}

// An IDT of the kernel's, so that it can be seen to serve.
struct Gate {
    uint64_t low, high;
};
alignas(16) Gate idt[32];
int breakpoints;

extern "C" void count_breakpoint() {
    ++breakpoints;
}
asm(R"(
    .globl on_breakpoint
on_breakpoint:
    pushq %rax
    pushq %rcx
    pushq %rdx
    pushq %rsi
    pushq %rdi
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    call count_breakpoint
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rdi
    popq %rsi
    popq %rdx
    popq %rcx
    popq %rax
    iretq
)");
extern "C" void on_breakpoint();

void load_idt() {
    const auto handler = reinterpret_cast<uint64_t>(&on_breakpoint);
    idt[3] = {(handler & 0xffff) | uint64_t{PROLOGUE_SELECTOR_CODE64} << 16 |
                  uint64_t{0x8e00} << 32 | (handler >> 16 & 0xffff) << 48,
              handler >> 32};
    prologue_load_idt(idt, sizeof idt);
}

} // namespace

void kernel_main(const prologue_handoff* handoff) {
    load_idt();
    say("levels", levels());
    say("refused in odd pages", [&] {
        const prologue_depth_change odd = {.pages_phys = kPages + 8};
        return prologue_change_paging_depth(&odd);
    }());
    say("refused in high pages", [&] {
        const prologue_depth_change high = {.pages_phys = 0xfffff000};
        return prologue_change_paging_depth(&high);
    }());

    // The page where it happens, at its own address: read and executed.
    prologue_spare_pages spare = prologue_spare(handoff);
    if (!prologue_map_page(handoff, &spare, kPages, kPages, kPresent))
        kernel::finish(PROLOGUE_EXIT_FATAL);

    const uint64_t offset = handoff->kernel_offset;
    const Tables tables = {
        {handoff->page_tables_phys, reinterpret_cast<uint64_t>(other_top) - offset},
        {static_cast<const uint64_t*>(prologue_seen(handoff, handoff->page_tables_phys)),
         other_top},
    };
    prologue_other_depth(handoff, handoff->paging_levels, handoff->page_tables_phys, other_top);
    change_and_tell(handoff, tables, 1);
    change_and_tell(handoff, tables, 0);
    change_and_tell(handoff, tables, 1);
    say("breakpoints", static_cast<uint64_t>(breakpoints));
    print("result: ok\n");
    kernel::finish(PROLOGUE_EXIT_SUCCESS);
}
