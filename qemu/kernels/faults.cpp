// Raises the fault that its command line names, for the report that follows.
// The lines that fault are marked `here: <function>`, so that a test can ask
// llvm-symbolizer for them. Nothing is printed but where stack and tables are.
#include "console.h"
#include "prologue/handoff.h"
#include "prologue/wishes.h"

#ifndef KERNEL_PAGING
#define KERNEL_PAGING PROLOGUE_PAGING_FOUR
#endif

PROLOGUE_WISH_PAGING(KERNEL_PAGING);
PROLOGUE_WISH_QEMU_EXIT;
PROLOGUE_WISH_RELOCATABLE;

#define RAISES extern "C" [[gnu::noinline]] void

extern "C" {
extern const uint64_t constant;
extern uint64_t data;
const uint64_t constant = 1;
uint64_t data = 0xc3c3c3c3c3c3c3c3; // RETs, if anything ran here
}

namespace {

constexpr uint64_t kTiB = uint64_t{1} << 40;
constexpr uint64_t kNonCanonical = uint64_t{1} << 63;
constexpr uint64_t kFreeSelector = 0x20; // in the GDT, of no use in 64-bit mode
constexpr uint64_t kBeyondGdt = 0x50;
constexpr uint64_t kAbsentData = 0x00cf13000000ffff;
constexpr int kTrapFlag = 1 << 8;          // in RFLAGS
constexpr uint64_t kTaskSwitched = 1 << 3; // in CR0

const prologue_handoff* handoff;
uint64_t number; // after the fault's name, for those that take one

// No line of its own: what it touches is touched by its caller.
[[gnu::always_inline, gnu::nodebug]] inline volatile uint64_t& at(uint64_t address) {
    return *reinterpret_cast<volatile uint64_t*>(address);
}

template <class T>
uint64_t address_of(T* thing) {
    return reinterpret_cast<uint64_t>(thing);
}

uint64_t in_direct_map(uint64_t kernel_address) {
    return kernel_address - handoff->kernel_offset + handoff->direct_map;
}

// Behind all RAM of the tests.
uint64_t not_mapped() {
    return handoff->direct_map + kTiB;
}

void make_free_selector_absent() {
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) gdt;
    asm volatile("sgdt %0" : "=m"(gdt));
    at(gdt.base + kFreeSelector) = kAbsentData;
}

} // namespace

// One INT of each vector, four bytes apart.
asm(R"(
        .pushsection .text
        .globl  software_interrupts
software_interrupts:
  .set vector, 0
  .rept 32
        .balign 4
        .byte   0xcd, vector // for 3 too, which has an opcode of its own
        ret
    .set vector, vector + 1
  .endr
        .popsection
)");
extern "C" const char software_interrupts[];

// Room for a test's own machine code.
RAISES fill_with_faults() {
    asm volatile(".fill 512, 1, 0xcc");
}

RAISES divide_by_zero() {
    asm volatile("divl %0" : : "r"(0), "a"(1), "d"(0)); // here: divide_by_zero
}

RAISES single_step() {
    asm volatile("pushfq; orq %0, (%%rsp); popfq" : : "i"(kTrapFlag));
    asm volatile("nop");
    asm volatile("nop"); // here: single_step
}

RAISES breakpoint() {
    asm volatile("int3"); // here: breakpoint
}

RAISES invalid_opcode() {
    asm volatile("ud2"); // here: invalid_opcode
}

RAISES no_coprocessor() {
    uint64_t cr0;
    asm volatile("mov %%cr0, %0" : "=r"(cr0));
    asm volatile("mov %0, %%cr0" : : "r"(cr0 | kTaskSwitched));
    asm volatile("fnop"); // here: no_coprocessor
}

// An exception that finds its own gate absent: #NP while a #GP is delivered.
RAISES double_fault() {
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) idt;
    asm volatile("sidt %0" : "=m"(idt));
    reinterpret_cast<volatile uint8_t*>(idt.base)[13 * 16 + 5] = 0x0e;
    asm volatile("mov %0, %%ds" : : "r"(kBeyondGdt)); // here: double_fault
}

// One that finds no stack but its own to be delivered on.
RAISES invalid_opcode_without_stack() {
    asm volatile("mov %0, %%rsp; ud2" : : "r"(not_mapped())); // here: invalid_opcode_without_stack
}

RAISES segment_not_present() {
    make_free_selector_absent();
    asm volatile("mov %0, %%fs" : : "r"(kFreeSelector)); // here: segment_not_present
}

RAISES stack_not_present() {
    make_free_selector_absent();
    asm volatile("mov %0, %%ss" : : "r"(kFreeSelector)); // here: stack_not_present
}

RAISES stack_not_canonical() {
    asm volatile("mov %0, %%rbp" : : "r"(kNonCanonical));
    asm volatile("mov (%rbp), %rax"); // here: stack_not_canonical
}

RAISES selector_beyond_gdt() {
    asm volatile("mov %0, %%ds" : : "r"(kBeyondGdt)); // here: selector_beyond_gdt
}

RAISES not_canonical() {
    at(kNonCanonical) = 1; // here: not_canonical
}

RAISES vector_beyond_idt() {
    asm volatile("int $0x40"); // here: vector_beyond_idt
}

RAISES read_not_mapped() {
    number = at(not_mapped()); // here: read_not_mapped
}

RAISES read_null() {
    number = at(0); // here: read_null
}

RAISES write_physical_null() {
    at(handoff->direct_map) = 1; // here: write_physical_null
}

RAISES write_own_text() {
    at(address_of(write_own_text)) = 1; // here: write_own_text
}

RAISES write_text_in_direct_map() {
    at(in_direct_map(address_of(write_own_text))) = 1; // here: write_text_in_direct_map
}

RAISES write_text_at_identity() {
    at(address_of(write_own_text) - handoff->kernel_offset) = 1; // here: write_text_at_identity
}

RAISES write_constant() {
    at(address_of(&constant)) = 2; // here: write_constant
}

RAISES read_guard_page() {
    number = at(handoff->stack_bottom - 8); // here: read_guard_page
}

RAISES run_data() {
    reinterpret_cast<void (*)()>(address_of(&data))();
}

RAISES run_stack() {
    volatile uint64_t code = data;
    reinterpret_cast<void (*)()>(address_of(&code))();
}

RAISES run_direct_map() {
    reinterpret_cast<void (*)()>(in_direct_map(address_of(invalid_opcode)))();
}

RAISES run_null() {
    asm volatile("call *%0" : : "r"(uint64_t{0}));
}

RAISES floating_point() {
    const uint16_t unmasked = 0x37b; // zero-divide
    asm volatile("fldcw %0; fld1; fldz; fdivrp" : : "m"(unmasked));
    asm volatile("fwait"); // here: floating_point
}

RAISES stack_overflow() {
    volatile uint64_t frame[4] = {number};
    if (frame[0] != 1)
        stack_overflow();
    frame[1] = 1;
}

RAISES software_interrupt() {
    asm volatile("call *%0" : : "r"(software_interrupts + 4 * number));
}

RAISES software_interrupt_without_stack() {
    asm volatile("mov %0, %%rsp; jmp *%1"
                 :
                 : "r"(not_mapped()), "r"(software_interrupts + 4 * number));
}

// Only an NMI gets through here.
RAISES wait_without_stack() {
    kernel::print("waiting\n");
    asm volatile("mov %0, %%rsp; 1: hlt; jmp 1b" : : "r"(not_mapped())); // here: wait_without_stack
}

RAISES return_from_kernel_main() {
    asm volatile("lea -8(%0), %%rsp; ret" : : "r"(handoff->stack_top));
}

namespace {

struct Fault {
    const char* name;
    void (*raise)();
};

constexpr Fault named(const char* name, void (*raise)()) {
    return {name, raise};
}
#define FAULT(function) named(#function, function)
const Fault faults[] = {
    FAULT(fill_with_faults),
    FAULT(divide_by_zero),
    FAULT(single_step),
    FAULT(breakpoint),
    FAULT(invalid_opcode),
    FAULT(invalid_opcode_without_stack),
    FAULT(no_coprocessor),
    FAULT(double_fault),
    FAULT(segment_not_present),
    FAULT(stack_not_present),
    FAULT(stack_not_canonical),
    FAULT(selector_beyond_gdt),
    FAULT(not_canonical),
    FAULT(vector_beyond_idt),
    FAULT(read_not_mapped),
    FAULT(read_null),
    FAULT(write_physical_null),
    FAULT(write_own_text),
    FAULT(write_text_in_direct_map),
    FAULT(write_text_at_identity),
    FAULT(write_constant),
    FAULT(read_guard_page),
    FAULT(run_data),
    FAULT(run_stack),
    FAULT(run_direct_map),
    FAULT(run_null),
    FAULT(floating_point),
    FAULT(stack_overflow),
    FAULT(software_interrupt),
    FAULT(software_interrupt_without_stack),
    FAULT(wait_without_stack),
    FAULT(return_from_kernel_main),
};

// What follows `name` in the text; null where it does not begin with that word.
const char* after_word(const char* text, const char* name) {
    while (*name != 0)
        if (*text++ != *name++)
            return nullptr;
    return *text == 0 || *text == ' ' ? text : nullptr;
}

uint64_t decimal(const char* text) {
    uint64_t value = 0;
    for (; *text != 0; ++text)
        if (*text != ' ')
            value = 10 * value + static_cast<uint64_t>(*text - '0');
    return value;
}

void line(const char* key, uint64_t value) {
    kernel::print(key);
    kernel::print_hex(value);
    kernel::print("\n");
}

} // namespace

void kernel_main(const prologue_handoff* given) {
    handoff = given;
    line("tables: ", handoff->page_tables_phys);
    line("stack-bottom: ", handoff->stack_bottom);
    line("stack-top: ", handoff->stack_top);
    for (const Fault& fault : faults) {
        const char* rest = after_word(handoff->cmdline, fault.name);
        if (rest == nullptr)
            continue;
        number = decimal(rest);
        fault.raise();
        kernel::print("nothing happened\n");
        kernel::finish(PROLOGUE_EXIT_SUCCESS);
    }
    kernel::print("no such fault\n");
    kernel::finish(PROLOGUE_EXIT_SUCCESS);
}
