/* A kernel that uses all of prologue/kernel.h, and prints what it got. Its
 * command line is "find=NAME": the module to look for; "stop=0xADDRESS" has an exception come there
 * while its descriptors are loaded. It ends on tables of its own: GDT, IDT, top-level page table. */
#include "prologue/kernel.h"
#include "prologue/wishes.h"
#include "serial.h"

PROLOGUE_WISH_QEMU_EXIT;
PROLOGUE_WISH_PAGING(KERNEL_PAGING);

#define CODE 0x18
#define DATA 0x08
#define TSS 0x20
#define DEBUG 1
#define BREAKPOINT 3
#define PAGE_FAULT 14
#define SCRATCH 0xffffffffc0000000
#define PRESENT 1
#define WRITABLE 2

static void print_bytes(const char *name, const char *text, uint64_t bytes) {
    print(name);
    print(": ");
    while (bytes-- != 0)
        out8(SERIAL, (uint8_t)*text++);
    print("\n");
}

_Noreturn static void end(int good) {
    print(good ? "result: ok\n" : "result: bad\n");
    out8(PROLOGUE_EXIT_PORT, good ? PROLOGUE_EXIT_SUCCESS : PROLOGUE_EXIT_FATAL);
    for (;;)
        __asm__ volatile("cli; hlt");
}

static void look_at_memory(const prologue_handoff *handoff) {
    uint64_t ranges = 0;
    const prologue_range *range = 0;
    while ((range = prologue_next_range(handoff, PROLOGUE_MEMORY_USABLE, range)))
        ++ranges;
    print_number("usable-ranges", ranges);
    print_number("usable-bytes", prologue_bytes_of_type(handoff, PROLOGUE_MEMORY_USABLE));
    print_number("bad-bytes", prologue_bytes_of_type(handoff, PROLOGUE_MEMORY_BAD));
    uint64_t start, end = 0;
    while (prologue_next_ram(handoff, &start, &end)) {
        print_number("ram-start", start);
        print_number("ram-end", end);
    }
    print_number("seen", (uint64_t)(uintptr_t)prologue_seen(handoff, 0x100000));
    print_number("unseen", (uint64_t)(uintptr_t)prologue_seen(handoff, ~0ull));
}

static void look_for_module(const prologue_handoff *handoff) {
    uint64_t bytes = 0;
    const char *const name = prologue_option(handoff, "find", &bytes);
    if (!name) {
        print("no option\n");
        return;
    }
    print_bytes("option", name, bytes);
    const prologue_module *const module = prologue_find_module(handoff, name);
    if (module)
        print_bytes("module", (const char *)prologue_seen(handoff, module->start), module->bytes);
    else
        print("no module\n");
}

/* A page of RAM at an address of the kernel's choice, then spare pages run out. */
static void map_pages(const prologue_handoff *handoff) {
    static _Alignas(4096) volatile uint64_t page[512];
    const uint64_t phys = (uintptr_t)page - handoff->kernel_offset;
    prologue_spare_pages spare = prologue_spare(handoff);
    page[5] = 0x1234;
    const int mapped = prologue_map_page(handoff, &spare, SCRATCH, phys, PRESENT | WRITABLE);
    print_number("mapped", mapped ? ((volatile uint64_t *)SCRATCH)[5] : 0);
    uint64_t more = 0;
    while (prologue_map_page(handoff, &spare, SCRATCH + (more + 1) * 0x200000, phys, PRESENT))
        ++more;
    print_number("more-tables", more);
    print_number("large-page",
                 (uint64_t)prologue_map_page(handoff, &spare, handoff->direct_map + 0x40000000,
                                             phys, PRESENT));
}

typedef struct gate {
    uint16_t offset_low, selector, type, offset_middle;
    uint32_t offset_high, reserved;
} gate;

static uint64_t gdt[6] = {0, 0x00cf93000000ffff, 0, 0x00af9b000000ffff, 0, 0};
static uint32_t tss[26];
static gate idt[32];

static void set_gate(unsigned vector, void (*handler)(void)) {
    const uintptr_t offset = (uintptr_t)handler;
    const gate value = {(uint16_t)offset, CODE, 0x8e00, (uint16_t)(offset >> 16),
                        (uint32_t)(offset >> 32), 0};
    idt[vector] = value;
}

static void after_page_fault(void) {
    uint64_t address;
    __asm__ volatile("movq %%cr2, %0" : "=r"(address));
    print_number("fault", address);
    end(address == 0x1000);
}

void on_breakpoint(void);
__asm__(".globl on_breakpoint; on_breakpoint: iretq");

/* A breakpoint at an address: the exception that is not to be lost. */
static void on_debug(void) {
    print("reported by the kernel\n");
    out8(PROLOGUE_EXIT_PORT, PROLOGUE_EXIT_FATAL);
    for (;;)
        __asm__ volatile("cli; hlt");
}

static void stop_at(uint64_t address) {
    __asm__ volatile("movq %0, %%dr0; movq %1, %%dr7"
                     : : "r"(address), "r"((uint64_t)(address ? 0x402 : 0x400)));
}

static uint64_t stop;

__attribute__((noinline)) static void use_own_descriptors(void) {
    const uintptr_t base = (uintptr_t)tss;
    gdt[TSS / 8] = (sizeof tss - 1) | (base & 0xffffff) << 16 | 0x890000000000ull |
                   (base >> 24 & 0xff) << 56;
    gdt[TSS / 8 + 1] = base >> 32;
    set_gate(BREAKPOINT, on_breakpoint);
    set_gate(PAGE_FAULT, after_page_fault);
    set_gate(DEBUG, on_debug);
    if (prologue_load_descriptors(idt, sizeof idt, gdt, sizeof gdt, 0x90, DATA, TSS))
        end(0); /* there is no such descriptor */
    stop_at(stop);
    prologue_load_descriptors(idt, sizeof idt, gdt, sizeof gdt, CODE, DATA, TSS);
    stop_at(0);
    prologue_load_gs_base(tss);
    uint16_t selectors[7];
    __asm__ volatile("movw %%cs, %0; movw %%ss, %1; movw %%ds, %2; movw %%es, %3; movw %%fs, %4;"
                     "movw %%gs, %5; str %6"
                     : "=m"(selectors[0]), "=m"(selectors[1]), "=m"(selectors[2]),
                       "=m"(selectors[3]), "=m"(selectors[4]), "=m"(selectors[5]),
                       "=m"(selectors[6]));
    __asm__ volatile("int3");
    print_number("cs", selectors[0]);
    for (unsigned i = 1; i != 6; ++i)
        print_number("data", selectors[i]);
    print_number("tr", selectors[6]);
}

void kernel_main(const prologue_handoff *handoff) {
    if (!prologue_handoff_is_good(handoff))
        end(0);
    look_at_memory(handoff);
    look_for_module(handoff);
    map_pages(handoff);
    uint64_t bytes = 0;
    const char *const text = prologue_option(handoff, "stop", &bytes);
    for (uint64_t i = 2; i < bytes; ++i)
        stop = stop << 4 | (uint64_t)(text[i] <= '9' ? text[i] - '0' : text[i] - 'a' + 10);
    use_own_descriptors();

    /* No identity map any more, then a top-level table of the kernel's own. */
    const uint64_t *const old = prologue_seen(handoff, handoff->page_tables_phys);
    print_number("identity", *(volatile uint64_t *)(uintptr_t)handoff->page_tables_phys == old[0]);
    print_number("left", (uint64_t)prologue_leave_identity_map(handoff));
    static _Alignas(4096) uint64_t top[512];
    for (unsigned i = 0; i != 512; ++i)
        top[i] = old[i];
    prologue_load_cr3((uintptr_t)top - handoff->kernel_offset);
    (void)*(volatile uint8_t *)0x1000;
    end(0);
}
