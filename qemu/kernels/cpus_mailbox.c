/* A kernel that is firmware first: its other processors wait, as a UEFI's do, at the mailbox that
 * the tables at `rsdp=ADDRESS` name, in 64-bit mode on tables of their own that show memory below
 * 1 GiB where it is. Then it is a kernel, which has them come by that mailbox, return, and come
 * again. `absent` leaves one of them out of the firmware's hands; `late` holds them on the way until
 * the first call is over: they find the door closed, and come when they are called again. */
#include "cpus_kernel.h"

PROLOGUE_WISH_QEMU_EXIT;

#define MOST 8
#define STACK 8192
#define PRESENT_WRITABLE 3
#define LARGE 0x80

typedef struct mailbox {
    volatile uint16_t command, reserved;
    volatile uint32_t apic_id;
    volatile uint64_t vector;
} mailbox;

static prologue_cpu firmwares[MOST], list[MOST];
static _Alignas(4096) uint8_t memory[4 * PROLOGUE_CPUS_SHARED_BYTES +
                                     2 * MOST * (STACK + PROLOGUE_CPU_OWN_BYTES)];
static uint64_t used, firmwares_cr3;
static mailbox *box;
static uint32_t waiting, arrivals, absent, patience;

/* Each is woken once (ACPI 6.5, 5.2.12.19). */
static void firmware_main(prologue_cpu *cpu) {
    __atomic_add_fetch(&waiting, 1, __ATOMIC_RELEASE);
    if (cpu->index == absent)
        return;
    while (box->command != 1 || box->apic_id != cpu->apic_id)
        __asm__ volatile("pause");
    const uint64_t vector = box->vector;
    __asm__ volatile("movq %0, %%cr3" : : "r"(firmwares_cr3) : "memory");
    box->command = 0;
    __asm__ volatile("jmpq *%0" : : "r"(vector));
    __builtin_unreachable();
}

static void second_main(prologue_cpu *cpu) {
    __atomic_add_fetch(&arrivals, cpu->index, __ATOMIC_RELEASE);
}

/* The kernel's, but for the lowest entry: memory at its own address, executable. */
static void make_firmwares_tables(const prologue_handoff *handoff) {
    static _Alignas(4096) uint64_t top[512], low[512];
    const uint64_t *const now = prologue_seen(handoff, handoff->page_tables_phys);
    for (unsigned i = 1; i != 512; ++i)
        top[i] = now[i];
    top[0] = ((uintptr_t)low - handoff->kernel_offset) | PRESENT_WRITABLE;
    low[0] = PRESENT_WRITABLE | LARGE;
    firmwares_cr3 = (uintptr_t)top - handoff->kernel_offset;
}

static uint32_t start(prologue_cpus *cpus, void (*entry)(prologue_cpu *)) {
    prologue_cpus_start how = {.entry = entry, .stack_bytes = STACK, .memory = memory + used,
                               .memory_bytes = sizeof memory - used, .patience = patience};
    print_number("start", (uint64_t)prologue_start_cpus(cpus, &how));
    print_number("started", how.started);
    used += PROLOGUE_CPUS_SHARED_BYTES;
    if (cpus->cpu[cpus->count - 1].stack_top + 6 * 4096 > (uintptr_t)memory + used)
        used = (cpus->cpu[cpus->count - 1].stack_top + 6 * 4096) - (uintptr_t)memory;
    return how.started;
}

static void wait_for(const uint32_t *counter, uint32_t value) {
    while (__atomic_load_n(counter, __ATOMIC_ACQUIRE) != value)
        __asm__ volatile("pause");
}

void kernel_main(const prologue_handoff *handoff) {
    prologue_cpus firmware = {.handoff = handoff, .cpu = firmwares, .room = MOST};
    if (is_asked(handoff, "absent"))
        absent = 2;
    prologue_cpus cpus = {.handoff = with_tables_asked(handoff), .cpu = list, .room = MOST};
    print_number("find", (uint64_t)prologue_find_cpus(&cpus));
    print_number("cpus", cpus.count);
    print_number("mailbox", cpus.mailbox_phys);
    box = prologue_seen(handoff, cpus.mailbox_phys);
    make_firmwares_tables(handoff);
    prologue_find_cpus(&firmware);
    wait_for(&waiting, start(&firmware, firmware_main));

    int good = 1;
    if (is_asked(handoff, "late")) {
        hold_on_the_way(1);
        patience = 500;
        good = start(&cpus, second_main) == 0;
        hold_on_the_way(0);
        pass_time();
        good &= __atomic_load_n(&arrivals, __ATOMIC_ACQUIRE) == 0;
    }
    patience = absent ? 2000 : 0;
    const uint32_t come = start(&cpus, second_main);
    const uint32_t sum = (cpus.count - 1) * cpus.count / 2 - absent;
    wait_for(&arrivals, sum);
    for (uint32_t i = 1; i != cpus.count; ++i)
        if (i != absent)
            while (__atomic_load_n(&list[i].state, __ATOMIC_ACQUIRE) != PROLOGUE_CPU_PARKED)
                __asm__ volatile("pause");
    const uint32_t again = start(&cpus, second_main);
    wait_for(&arrivals, 2 * sum);
    for (uint32_t i = 0; i != cpus.count; ++i)
        print_number("state", list[i].state);
    end(good && come == again && cpus.mailbox_phys != 0);
}
