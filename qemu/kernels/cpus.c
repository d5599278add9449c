/* A kernel of several processors: it starts them by prologue/cpus.h, has each add its number
 * under a lock, and shows what each found. It looks whether low memory is afterwards what it was.
 * Words of its command line: `none` finds them alone; `half` starts the first half, then the rest,
 * `one` the first alone, then the rest; `once` has each add its number but once; `again` starts
 * those that have returned again; `late` holds them on the way until a first call is over; `park`
 * has every second one return at once, and be started again while the others run; `fault` makes one
 * raise an exception before it has an IDT; `x2apic` puts the boot processor's APIC into that mode;
 * `own` gives them top-level tables of the kernel's own; `gs` gives each a base of GS; `hurry` waits
 * for half a second and ends where not all came, and `some` goes on there; `four` wants four of them;
 * `rsdp=ADDRESS` takes other tables than the firmware's. */
#include "cpus_kernel.h"

PROLOGUE_WISH_QEMU_EXIT;
PROLOGUE_WISH_PAGING(KERNEL_PAGING);

#define MOST 300
#define STACK 8192

static prologue_cpu list[MOST];
static _Alignas(4096) uint8_t memory[PROLOGUE_CPUS_SHARED_BYTES * 3 +
                                     MOST * (STACK + PROLOGUE_CPU_OWN_BYTES)];
static uint32_t lock;
static uint64_t sum, arrivals;
static uint32_t wrong, rounds, quiet, with_gs_base, is_parking;

static void take(void) {
    while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE))
        __asm__ volatile("pause");
}

static void give(void) {
    __atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
}

typedef struct state {
    uint64_t cr0, cr3, cr4, efer, pat;
} state;
static state boots;

static state state_now(void) {
    state now;
    __asm__ volatile("mov %%cr0, %0; mov %%cr3, %1; mov %%cr4, %2"
                     : "=r"(now.cr0), "=r"(now.cr3), "=r"(now.cr4));
    now.efer = read_msr(0xc0000080);
    now.pat = read_msr(0x277);
    return now;
}

static int is_as_the_boot_processor(const prologue_cpu *cpu) {
    const state now = state_now();
    uint64_t flags, stack = (uintptr_t)__builtin_frame_address(0);
    uint16_t tr, cs;
    __asm__ volatile("pushfq; popq %0; str %1; movw %%cs, %2" : "=r"(flags), "=r"(tr), "=r"(cs));
    return now.cr0 == boots.cr0 && now.cr3 == boots.cr3 && now.cr4 == boots.cr4 &&
           now.efer == boots.efer && now.pat == boots.pat && (flags & 0x600) == 0 &&
           tr == PROLOGUE_SELECTOR_TSS && cs == PROLOGUE_SELECTOR_CODE64 &&
           stack > cpu->stack_bottom && stack < cpu->stack_top && list[cpu->index].own == cpu->own;
}

static void second_main(prologue_cpu *cpu) {
    if (!is_as_the_boot_processor(cpu) ||
        (with_gs_base && read_msr(MSR_GS_BASE) != (uintptr_t)cpu))
        __atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
    if (cpu->own == (void *)1) {
        while (!__atomic_load_n(&quiet, __ATOMIC_ACQUIRE)) /* the port is one for all */
            __asm__ volatile("pause");
        __asm__ volatile("ud2");
    }
    for (unsigned i = 0; i != rounds; ++i) {
        take();
        sum += cpu->index;
        give();
    }
    __atomic_add_fetch(&arrivals, 1, __ATOMIC_RELEASE);
    while (cpu->index % 2 == 0 && __atomic_load_n(&is_parking, __ATOMIC_ACQUIRE))
        __asm__ volatile("pause");
    /* It returns, and parks. */
}

/* A sum of what lies in conventional memory that is RAM, page 0 left out. */
static uint64_t low_memory(const prologue_handoff *handoff) {
    uint64_t total = 0;
    for (uint64_t i = 0; i != handoff->memory_count; ++i) {
        const prologue_range range = handoff->memory[i];
        if (range.start >= 0x100000 ||
            (range.type != PROLOGUE_MEMORY_USABLE && range.type != PROLOGUE_MEMORY_LOADER))
            continue;
        for (uint64_t at = range.start < 4096 ? 4096 : range.start; at < range.end; at += 8)
            total = total * 31 + *(const uint64_t *)prologue_seen(handoff, at);
    }
    return total;
}

static void enter_x2apic_mode(void) {
    const uint64_t base = read_msr(0x1b) | 0xc00;
    __asm__ volatile("wrmsr" : : "c"(0x1b), "a"((uint32_t)base), "d"((uint32_t)(base >> 32)));
}

/* A copy of the top-level table, in a page of RAM above 4 GiB where there is one. */
static uint64_t make_own_tables(const prologue_handoff *handoff) {
    static _Alignas(4096) uint64_t page[512];
    uint64_t *top = page, phys = (uintptr_t)page - handoff->kernel_offset;
    const prologue_range *range = 0;
    while ((range = prologue_next_range(handoff, PROLOGUE_MEMORY_USABLE, range)))
        if (range->start >= 0x100000000) {
            phys = range->start;
            top = (uint64_t *)prologue_seen(handoff, phys);
        }
    const uint64_t *const now = (const uint64_t *)prologue_seen(handoff, boots.cr3);
    for (unsigned i = 0; i != 512; ++i)
        top[i] = now[i];
    return phys;
}

static uint64_t used, tables, calls, come;
static int hurry, some, late;

/* The bench counts from prologue_start_cpus to the call behind it. */
static __attribute__((noinline)) uint64_t read_tsc(void) {
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return low | (uint64_t)high << 32;
}

static enum prologue_cpus_result start(prologue_cpus *cpus, uint32_t first, uint32_t most) {
    prologue_cpus_start how = {
        .entry = second_main, .stack_bytes = STACK, .memory = memory + used,
        .memory_bytes = sizeof memory - used, .cr3 = tables, .first = first, .most = most,
        .patience = hurry || some || late ? 500 : most > 100 ? 200000 : 0};
    const uint64_t before = read_tsc();
    const enum prologue_cpus_result result = prologue_start_cpus(cpus, &how);
    print_number("ticks", read_tsc() - before);
    used = ++calls * PROLOGUE_CPUS_SHARED_BYTES;
    for (uint32_t i = 1; i != cpus->count; ++i)
        used += list[i].stack_bottom != 0 ? STACK + PROLOGUE_CPU_OWN_BYTES : 0;
    come += how.started;
    print_number("start", (uint64_t)result);
    print_number("started", how.started);
    print_number("faults", how.faults);
    print_number("vector", how.fault_vector);
    __atomic_store_n(&quiet, 1, __ATOMIC_RELEASE);
    if (hurry && result != PROLOGUE_CPUS_DONE)
        end(0);
    return result;
}

/* Those that have returned, while the others run. */
static int start_parked_ones(prologue_cpus *cpus) {
    int good = 1;
    for (uint32_t i = 1; i < cpus->count; i += 2) {
        while (__atomic_load_n(&list[i].state, __ATOMIC_ACQUIRE) != PROLOGUE_CPU_PARKED)
            __asm__ volatile("pause");
        good &= start(cpus, i, 1) == PROLOGUE_CPUS_DONE;
    }
    __atomic_store_n(&is_parking, 0, __ATOMIC_RELEASE);
    return good;
}

/* The timer's channel 0, every 10 us, with interrupts off. Where QEMU's clock goes by instructions
 * (-icount), a processor that INIT resets is told to have used all the time to the next event. */
static void set_events_close(void) {
    out8(0x43, 0x34); /* both bytes, mode 2 */
    out8(0x40, 12);
    out8(0x40, 0);
}

/* How many are started first. */
static uint32_t first_ones(const prologue_handoff *handoff, uint32_t others) {
    if (is_asked(handoff, "one")) {
        set_events_close();
        return 1;
    }
    return is_asked(handoff, "half") ? others / 2 : others;
}

static void wait_for(uint64_t count) {
    while (__atomic_load_n(&arrivals, __ATOMIC_ACQUIRE) < count)
        __asm__ volatile("pause");
}

/* Who was held until the door was closed comes no more, but when called again. */
static int start_late_ones(prologue_cpus *cpus) {
    hold_on_the_way(1);
    const int closed = start(cpus, 1, 0) == PROLOGUE_CPUS_SOME;
    hold_on_the_way(0);
    late = 0;
    pass_time();
    return closed && come == 0 && arrivals == 0;
}

void kernel_main(const prologue_handoff *given) {
    const prologue_handoff *const handoff = with_tables_asked(given);
    prologue_cpus cpus = {.handoff = handoff, .cpu = list, .room = MOST};
    if (is_asked(handoff, "x2apic"))
        enter_x2apic_mode();
    print_number("find", (uint64_t)prologue_find_cpus(&cpus));
    print_number("cpus", cpus.count);
    print_number("x2apic", cpus.x2apic);
    print_number("found", cpus.found);
    print_number("refused", cpus.refused_phys);
    for (uint32_t i = 0; i != cpus.count; ++i)
        print_number("id", list[i].apic_id);
    if (is_asked(handoff, "none"))
        end(1);
    boots = state_now();
    if (is_asked(handoff, "own")) {
        tables = make_own_tables(handoff);
        print_number("tables", tables);
        boots.cr3 = tables; /* what the others are to find */
    }
    if (is_asked(handoff, "fault"))
        list[1].own = (void *)1;
    hurry = is_asked(handoff, "hurry");
    some = is_asked(handoff, "some");
    late = is_asked(handoff, "late");
    with_gs_base = (uint32_t)is_asked(handoff, "gs");
    for (uint32_t i = 1; with_gs_base && i != cpus.count; ++i)
        list[i].gs_base = (uintptr_t)&list[i];
    is_parking = (uint32_t)is_asked(handoff, "park");
    const uint64_t low = low_memory(handoff);
    const uint32_t others = cpus.count - 1, half = first_ones(handoff, others);
    /* Hundreds on few real ones would wait for each other. */
    rounds = is_asked(handoff, "once") ? 1 : others > 100 ? 100 : 10000;
    int good = !late || start_late_ones(&cpus);
    good &= start(&cpus, 1, half) == PROLOGUE_CPUS_DONE;
    if (some) {
        for (uint32_t i = 0; i != cpus.count; ++i)
            print_number("state", list[i].state);
        end(low_memory(handoff) == low);
    }
    wait_for(half);
    if (half != others) {
        good &= start(&cpus, half + 1, 0) == PROLOGUE_CPUS_DONE;
        wait_for(others);
    }
    uint64_t once = (uint64_t)rounds * others * (others + 1) / 2;
    if (is_parking) {
        const uint32_t parked = (others + 1) / 2; /* 1, 3, 5 and so on */
        good &= start_parked_ones(&cpus);
        wait_for(others + parked);
        once += (uint64_t)rounds * parked * parked;
    }
    good &= sum == once && wrong == 0;
    if (is_asked(handoff, "again")) {
        for (uint32_t i = 1; i != cpus.count; ++i)
            while (__atomic_load_n(&list[i].state, __ATOMIC_ACQUIRE) != PROLOGUE_CPU_PARKED)
                __asm__ volatile("pause");
        good &= start(&cpus, 1, 0) == PROLOGUE_CPUS_DONE;
        wait_for(2 * others);
        good &= sum == 2 * once && wrong == 0;
    }
    good &= low_memory(handoff) == low;
    print_number("sum", sum);
    print_number("wrong", wrong);
    end(good && (!is_asked(handoff, "four") || cpus.count == 4));
}
