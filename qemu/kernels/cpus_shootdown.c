/* A kernel that takes a page's mapping from all processors: each reads a word through an address
 * that the boot processor maps elsewhere again and again, which then interrupts them, by an IDT of
 * the kernel's own, and waits until each has dropped what it knew. Who reads the old page once the
 * boot processor has gone on is wrong. */
#include "cpus_kernel.h"

#define LOCAL_APIC 0xffffffffd0000000
PROLOGUE_WISH_QEMU_EXIT;
PROLOGUE_WISH_WINDOW(LOCAL_APIC, 0xfee00000, 0x1000,
                     PROLOGUE_WINDOW_WRITE | PROLOGUE_WINDOW_UNCACHED);

#define MOST 64
#define STACK 8192
#define VECTOR 0x40
#define ROUNDS 200
#define SEEN_AT 0xffffffffc0000000

static prologue_cpu list[MOST];
static _Alignas(4096) uint8_t memory[PROLOGUE_CPUS_SHARED_BYTES +
                                     MOST * (STACK + PROLOGUE_CPU_OWN_BYTES)];
static _Alignas(4096) volatile uint64_t pages[2][512];
static struct gate {
    uint16_t offset_low, selector, type, offset_middle;
    uint32_t offset_high, reserved;
} idt[VECTOR + 1];
static uint32_t ready, dropped, is_over, wrong;
static uint64_t round, reads;

static volatile uint32_t *apic(unsigned offset) {
    return (volatile uint32_t *)(uintptr_t)(LOCAL_APIC + offset);
}

void drop(void) {
    __asm__ volatile("invlpg (%0)" : : "r"(SEEN_AT) : "memory");
    *apic(0xb0) = 0; /* end of interrupt */
    __atomic_add_fetch(&dropped, 1, __ATOMIC_RELEASE);
}

void on_interrupt(void);
__asm__(".globl on_interrupt; on_interrupt: pushq %rax; pushq %rcx; pushq %rdx; pushq %rsi;"
        "pushq %rdi; pushq %r8; pushq %r9; pushq %r10; pushq %r11; cld; call drop;"
        "popq %r11; popq %r10; popq %r9; popq %r8; popq %rdi; popq %rsi; popq %rdx; popq %rcx;"
        "popq %rax; iretq");

/* What is read is of this round, or the next has begun meanwhile. */
static void second_main(prologue_cpu *cpu) {
    (void)cpu;
    prologue_load_idt(idt, sizeof idt);
    *apic(0xf0) = 0x1ff; /* enabled, spurious vector 255 */
    __asm__ volatile("sti");
    __atomic_add_fetch(&ready, 1, __ATOMIC_RELEASE);
    while (!__atomic_load_n(&is_over, __ATOMIC_ACQUIRE)) {
        const uint64_t before = __atomic_load_n(&round, __ATOMIC_ACQUIRE);
        if (*(volatile uint64_t *)SEEN_AT < before)
            __atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
        __atomic_add_fetch(&reads, 1, __ATOMIC_RELAXED);
    }
    __asm__ volatile("cli");
    __atomic_sub_fetch(&ready, 1, __ATOMIC_RELEASE);
}

void kernel_main(const prologue_handoff *handoff) {
    const uintptr_t handler = (uintptr_t)on_interrupt;
    idt[VECTOR] = (struct gate){(uint16_t)handler, PROLOGUE_SELECTOR_CODE64, 0x8e00,
                                (uint16_t)(handler >> 16), (uint32_t)(handler >> 32), 0};
    prologue_spare_pages spare = prologue_spare(handoff);
    const uint64_t phys = (uintptr_t)pages - handoff->kernel_offset;
    const int is_skipping = is_asked(handoff, "skip"); /* the last interrupt: a test of the test */
    prologue_map_page(handoff, &spare, SEEN_AT, phys, 3);

    prologue_cpus cpus = {.handoff = handoff, .cpu = list, .room = MOST};
    prologue_cpus_start how = {.entry = second_main, .stack_bytes = STACK, .memory = memory,
                               .memory_bytes = sizeof memory};
    print_number("find", (uint64_t)prologue_find_cpus(&cpus));
    print_number("start", (uint64_t)prologue_start_cpus(&cpus, &how));
    while (__atomic_load_n(&ready, __ATOMIC_ACQUIRE) != how.started)
        __asm__ volatile("pause");
    for (uint64_t next = 1; next <= ROUNDS; ++next) {
        pages[next % 2][0] = next;
        prologue_map_page(handoff, &spare, SEEN_AT, phys + next % 2 * 4096, 3);
        __atomic_store_n(&dropped, 0, __ATOMIC_RELEASE);
        if (!is_skipping) {
            *apic(0x300) = 0xc4000 | VECTOR; /* to all but this one */
            while (__atomic_load_n(&dropped, __ATOMIC_ACQUIRE) != how.started)
                __asm__ volatile("pause");
        }
        __atomic_store_n(&round, next, __ATOMIC_RELEASE);
        const uint64_t seen = __atomic_load_n(&reads, __ATOMIC_RELAXED);
        while (__atomic_load_n(&reads, __ATOMIC_RELAXED) < seen + how.started)
            __asm__ volatile("pause");
    }
    __atomic_store_n(&is_over, 1, __ATOMIC_RELEASE);
    while (__atomic_load_n(&ready, __ATOMIC_ACQUIRE) != 0)
        __asm__ volatile("pause");
    print_number("cpus", cpus.count);
    print_number("wrong", wrong);
    end(wrong == 0 && how.started == cpus.count - 1);
}
