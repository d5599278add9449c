/* A kernel of several processors in an SEV-ES or SNP guest: each loads an IDT of the kernel's own,
 * whose #VC is Prologue's, and then, all at once, adds its number under a lock ten thousand times,
 * asks by CPUID and by a request of its own who it is, and shows the host a page and takes it back.
 * An answer that was another's, or a page that was not its own again, is wrong. `again` has them
 * return, and start once more; `anyone` takes whom the host has come; `few` leaves the last one
 * where it is. Where not all come it says
 * what became of each, and ends well if those that came have done their work. */
#include "cpus_kernel.h"
#include "prologue/sev.h"

PROLOGUE_WISH_QEMU_EXIT;

#define MOST 8
#define STACK 8192
#define ROUNDS 10000
#define ROUNDS_OF_SEV 100 /* of those, such that use the GHCB page */
#define VC 29
#define STACK_OF_VC 2 /* by the TSS that each has from Prologue */
#define CPUID_EXIT 0x72

static prologue_cpu list[MOST];
static _Alignas(4096) uint8_t memory[2 * PROLOGUE_CPUS_SHARED_BYTES +
                                     MOST * (STACK + PROLOGUE_CPU_OWN_BYTES)];
static _Alignas(4096) volatile uint8_t pages[MOST][4096];
static uint64_t idt[VC + 1][2];
static uint32_t lock, arrived, wrong, count, anyone;
static uint64_t sum;

static void take(void) {
    while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE))
        __asm__ volatile("pause");
}

static void give(void) {
    __atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
}

static void expect(int good) {
    if (!good)
        __atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
}

/* The topology's leaf says whose this is; as SNP by the CPUID page, which is one for all. */
static void ask_by_instruction(const prologue_cpu *cpu, int is_snp) {
    uint32_t eax = 1, ebx, ecx = 0, edx;
    __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    expect(is_snp || anyone || ebx >> 24 == cpu->apic_id);
}

static void ask_by_request(const prologue_cpu *cpu) {
    prologue_ghcb_request request = {
        .code = CPUID_EXIT, .told = PROLOGUE_GHCB_RAX | PROLOGUE_GHCB_RCX,
        .wanted = PROLOGUE_GHCB_RAX | PROLOGUE_GHCB_RBX | PROLOGUE_GHCB_RCX | PROLOGUE_GHCB_RDX,
        .rax = 1};
    expect(prologue_sev_vmgexit(&request) == 0 &&
           (anyone || (uint32_t)request.rbx >> 24 == cpu->apic_id));
}

/* The tables are one for all, and no page of the image is large: nothing else is changed. */
static void show_and_take_back(const prologue_cpu *cpu) {
    volatile uint8_t *const page = pages[cpu->index];
    prologue_table_pages none = {0, 0};
    expect(prologue_sev_share((uintptr_t)page, 4096, &none) == PROLOGUE_SEV_DONE);
    page[0] = (uint8_t)cpu->index;
    expect(page[0] == cpu->index);
    expect(prologue_sev_unshare((uintptr_t)page, 4096, &none) == PROLOGUE_SEV_DONE);
    page[4095] = (uint8_t)cpu->index;
    expect(page[4095] == cpu->index);
}

static void work(prologue_cpu *cpu) {
    const int is_snp = cpu->own != 0;
    __atomic_add_fetch(&arrived, 1, __ATOMIC_RELEASE);
    while (!anyone && __atomic_load_n(&arrived, __ATOMIC_ACQUIRE) % count != 0)
        __asm__ volatile("pause"); /* for the others, so that all do it at once */
    for (unsigned i = 0; i != ROUNDS; ++i) {
        take();
        sum += cpu->index;
        give();
        if (i % (ROUNDS / ROUNDS_OF_SEV) != 0)
            continue;
        ask_by_instruction(cpu, is_snp);
        ask_by_request(cpu);
        show_and_take_back(cpu);
    }
}

static void second_main(prologue_cpu *cpu) {
    prologue_load_idt(idt, sizeof idt);
    work(cpu);
}

/* Prologue's own word of what SEV_STATUS is, which the model's processor has without Secure TSC. */
#define SECURE_TSC (1u << 11)
extern __attribute__((visibility("hidden"))) uint64_t prologue_sev_state;

void kernel_main(const prologue_handoff *handoff) {
    const uint64_t gate = (uintptr_t)prologue_sev_vc;
    idt[VC][0] = (gate & 0xffff) | PROLOGUE_SELECTOR_CODE64 << 16 | (uint64_t)STACK_OF_VC << 32 |
                 0x8eull << 40 | (gate >> 16 & 0xffff) << 48;
    idt[VC][1] = gate >> 32;
    prologue_cpus cpus = {.handoff = handoff, .cpu = list, .room = MOST};
    prologue_cpus_start how = {.entry = second_main, .stack_bytes = STACK, .memory = memory,
                               .memory_bytes = sizeof memory};
    print_number("find", (uint64_t)prologue_find_cpus(&cpus));
    print_number("cpus", cpus.count);
    count = cpus.count;
    anyone = (uint32_t)is_asked(handoff, "anyone");
    how.patience = anyone ? 300 : 0;
    how.most = is_asked(handoff, "few") ? cpus.count - 2 : 0;
    for (uint32_t i = 0; i != cpus.count; ++i)
        list[i].own = (void *)(uintptr_t)(handoff->sev.status & PROLOGUE_SEV_STATUS_SNP);
    const unsigned times = is_asked(handoff, "again") ? 2 : 1;
    prologue_load_idt(idt, sizeof idt);
    if (is_asked(handoff, "secure-tsc")) {
        prologue_sev_state |= SECURE_TSC;
        print_number("start", (uint64_t)prologue_start_cpus(&cpus, &how));
        print_number("state", list[1].state);
        prologue_sev_state &= ~(uint64_t)SECURE_TSC;
    }
    for (unsigned time = 1; time <= times; ++time) {
        const enum prologue_cpus_result result = prologue_start_cpus(&cpus, &how);
        print_number("start", (uint64_t)result);
        print_number("started", how.started);
        print_number("refused", cpus.refused_phys);
        if (result == PROLOGUE_CPUS_SEV || anyone)
            for (uint32_t i = 0; i != cpus.count; ++i)
                print_number("state", list[i].state);
        if (result == PROLOGUE_CPUS_SEV)
            end(1);
        if (result != PROLOGUE_CPUS_DONE)
            expect((int)anyone);
        work(&list[0]);
        for (uint32_t i = 1; i != cpus.count; ++i)
            while (__atomic_load_n(&list[i].state, __ATOMIC_ACQUIRE) == PROLOGUE_CPU_RUNNING)
                __asm__ volatile("pause");
        /* For the table of areas: each has its own still. */
        how.memory = memory + sizeof memory - PROLOGUE_CPUS_SHARED_BYTES;
        how.memory_bytes = PROLOGUE_CPUS_SHARED_BYTES;
        for (uint32_t i = 1; i != (how.most != 0 ? how.most + 1 : cpus.count); ++i)
            expect(list[i].ghcb_phys != 0 && list[i].ghcb_phys != list[i - 1].ghcb_phys);
    }
    print_number("sum", sum);
    print_number("wrong", wrong);
    end(wrong == 0);
}
