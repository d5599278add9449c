/* A kernel that sees all memory, itself too, at its physical address. It keeps the
 * tables that Prologue made, which also report its exceptions, and prints what it
 * was given: memory, command line, modules, and the local APIC through a window. Its
 * other processors count themselves, and halt.
 */
#include <prologue/cpus.h>
#include <prologue/kernel.h>
#include <prologue/wishes.h>

#include "ports.h"
#include "serial.h"

/* RAM below 4 GiB at its own address, but for page 0, and nothing in the upper half. */
PROLOGUE_WISH_DIRECT_MAP(PROLOGUE_NO_DIRECT_MAP);
PROLOGUE_WISH_IDENTITY_MAP(PROLOGUE_IDENTITY_4_GIB, PROLOGUE_FROM_PAGE_1);

/* Devices are no RAM: each one that the kernel uses has a window. */
#define LOCAL_APIC 0xfee00000
#define LOCAL_APIC_VERSION 0x30
PROLOGUE_WISH_WINDOW(LOCAL_APIC, LOCAL_APIC, 0x1000,
                     PROLOGUE_WINDOW_WRITE | PROLOGUE_WINDOW_UNCACHED);

/* For tests in QEMU with -device isa-debug-exit,iobase=0xf4,iosize=4: ends it.
 * Delete this, and the call of leave_qemu, for any other machine. */
PROLOGUE_WISH_QEMU_EXIT;
static void leave_qemu(void) {
    out8(PROLOGUE_EXIT_PORT, PROLOGUE_EXIT_SUCCESS);
}

_Noreturn static void halt(void) {
    for (;;)
        __asm__ volatile("cli; hlt");
}

static const char *loader_name(uint32_t loader) {
    switch (loader) {
    case PROLOGUE_LOADER_PVH:
        return "pvh";
    case PROLOGUE_LOADER_MULTIBOOT1:
        return "multiboot1";
    case PROLOGUE_LOADER_MULTIBOOT2:
        return "multiboot2";
    default:
        return "unknown";
    }
}

static void print_memory(const prologue_handoff *handoff) {
    const prologue_range *free = 0;
    while ((free = prologue_next_range(handoff, PROLOGUE_MEMORY_USABLE, free))) {
        print("free: ");
        print_hex(free->start);
        print(" to ");
        print_hex(free->end);
        print("\n");
    }
    print("free in all: ");
    print_decimal(prologue_bytes_of_type(handoff, PROLOGUE_MEMORY_USABLE) / 1024);
    print(" KiB\n");
}

/* The first line of a module's text. */
static void print_first_line(const prologue_handoff *handoff, const prologue_module *module) {
    const char *const text = prologue_seen(handoff, module->start);
    if (!text || !prologue_seen(handoff, module->start + module->bytes)) {
        print("(beyond 4 GiB)");
        return;
    }
    uint64_t bytes = 0;
    while (bytes != module->bytes && text[bytes] != '\n')
        ++bytes;
    print_bytes(text, bytes);
}

static void print_modules(const prologue_handoff *handoff) {
    for (uint64_t i = 0; i != handoff->module_count; ++i) {
        const prologue_module *const module = &handoff->modules[i];
        print("module: ");
        print_hex(module->start);
        print(", ");
        print_decimal(module->bytes);
        print(" bytes, '");
        print(module->cmdline);
        print("'\n");
    }
}

/* `motd=NAME` on the command line names a module to print; without it, the first. */
static void print_message_of_the_day(const prologue_handoff *handoff) {
    uint64_t bytes = 0;
    const char *const name = prologue_option(handoff, "motd", &bytes);
    const prologue_module *const module =
        name ? prologue_find_module(handoff, name)
             : handoff->module_count != 0 ? &handoff->modules[0] : 0;
    if (!module)
        return;
    print("motd: ");
    print_first_line(handoff, module);
    print("\n");
}

/* Where each of the others begins, on a stack of its own. */
static uint32_t processors = 1;
static void second_main(prologue_cpu *cpu) {
    (void)cpu;
    __atomic_add_fetch(&processors, 1, __ATOMIC_RELAXED);
}

#define MOST_PROCESSORS 64
#define SECOND_STACK 8192
static void start_processors(const prologue_handoff *handoff) {
    static prologue_cpu list[MOST_PROCESSORS];
    static _Alignas(4096) uint8_t memory[PROLOGUE_CPUS_SHARED_BYTES +
                                         MOST_PROCESSORS * (SECOND_STACK + PROLOGUE_CPU_OWN_BYTES)];
    static prologue_cpus cpus = {.cpu = list, .room = MOST_PROCESSORS};
    static prologue_cpus_start start = {.entry = second_main, .stack_bytes = SECOND_STACK,
                                        .memory = memory, .memory_bytes = sizeof memory};
    cpus.handoff = handoff;
    if (prologue_find_cpus(&cpus) == PROLOGUE_CPUS_DONE)
        prologue_start_cpus(&cpus, &start);
    for (uint32_t i = 1; i < cpus.count; ++i)
        while (__atomic_load_n(&list[i].state, __ATOMIC_ACQUIRE) == PROLOGUE_CPU_RUNNING)
            __asm__ volatile("pause");
    print("processors: ");
    print_decimal(__atomic_load_n(&processors, __ATOMIC_RELAXED));
    print(" of ");
    print_decimal(cpus.found);
    print("\n");
}

static void print_local_apic(void) {
    const volatile uint32_t *const version =
        (const volatile uint32_t *)(uintptr_t)(LOCAL_APIC + LOCAL_APIC_VERSION);
    print("local apic: version ");
    print_hex(*version & 0xff);
    print("\n");
}

void kernel_main(const prologue_handoff *handoff) {
    serial_init();
    if (!prologue_handoff_is_good(handoff)) {
        print("this is no handoff of Prologue's, or an older one\n");
        halt();
    }
    print("loader: ");
    print(loader_name(handoff->loader));
    print("\ncommand line: ");
    print(handoff->cmdline);
    print("\n");
    print_memory(handoff);
    print_modules(handoff);
    print_message_of_the_day(handoff);
    print_local_apic();
    start_processors(handoff);
    print("result: ok\n");

    leave_qemu();
    halt();
}
