/* The other processors: who is there, and starting them, each at the kernel's own
 * function in 64-bit mode, on a stack of its own.
 *
 *     static prologue_cpu list[64];
 *     prologue_cpus cpus = {.handoff = handoff, .cpu = list, .room = 64};
 *     prologue_find_cpus(&cpus);
 *     prologue_cpus_start start = {.entry = second_main, .stack_bytes = 16384,
 *                                  .memory = pages, .memory_bytes = sizeof pages};
 *     prologue_start_cpus(&cpus, &start);
 *
 * Linked from libprologue.a where it is called, and not otherwise. All calls are the
 * boot processor's, one at a time, with interrupts off.
 *
 * SEV-ES and SNP guests too (docs/cpus.md): there MSR CSTAR is Prologue's on all processors.
 *
 * Sources: SDM vol. 3, 9.4 and 11.6; ACPI 6.5, 5.2.5, 5.2.12 and 5.2.12.19; APM vol. 2, 16.
 *
 * ISC licence. Usable from C11 and C++20, in 64-bit code.
 */
#ifndef PROLOGUE_CPUS_H
#define PROLOGUE_CPUS_H

#include "prologue/handoff.h"

#ifdef __cplusplus
extern "C" {
#endif

enum prologue_cpu_state {
    PROLOGUE_CPU_STOPPED = 0, /* as the firmware left it, or stopped again: can be started */
    PROLOGUE_CPU_BOOT = 1,    /* the boot processor, which made the call */
    PROLOGUE_CPU_STARTING = 2,
    PROLOGUE_CPU_RUNNING = 3,     /* it has come to the kernel's entry */
    PROLOGUE_CPU_SILENT = 4,      /* it did not come in time, and has been sent back to wait */
    PROLOGUE_CPU_UNREACHABLE = 5, /* an id of 255 or more, and the APICs are not in x2APIC mode;
                                   * or the boot processor's APIC is off */
    PROLOGUE_CPU_PARKED = 6,      /* it halts: its entry has returned */
};

typedef struct prologue_cpu {
    uint32_t index; /* in the list; the boot processor's is 0 */
    uint32_t apic_id;
    uint32_t acpi_id;      /* the processor's uid in ACPI's namespace */
    uint32_t state;        /* enum prologue_cpu_state */
    uint64_t stack_bottom; /* virtual; the page below it is the guard page. 0: never started */
    uint64_t stack_top;
    void *own;        /* the kernel's: handed to it as it is */
    uint64_t gs_base; /* the kernel's: what MSR GS_BASE holds at its entry */
    /* SEV-ES and SNP: the processor's GHCB page. What the kernel maps there later has no C-bit. */
    uint64_t ghcb_phys;
    uint64_t ghcb_virtual;
} prologue_cpu;

typedef struct prologue_cpus {
    const prologue_handoff *handoff;

    /* The virtual address at which the tables that are loaded show physical memory, as far as
     * page tables lie there. 0: where the handoff's direct map is or, without one, the
     * identity map. */
    uint64_t physical_memory;

    prologue_cpu *cpu; /* the caller's, with room for that many */
    uint32_t room;

    /* Answers. */
    uint32_t count;        /* in the list: the boot processor first, then in the firmware's order */
    uint32_t found;        /* there are, with the boot processor; `count` has room for fewer */
    uint32_t x2apic;       /* 1: the local APICs are in x2APIC mode */
    uint64_t apic_phys;    /* of the local APIC's registers, by MSR 1B; 0: it is off */
    uint64_t mailbox_phys; /* the firmware's mailbox to wake processors; 0 where there is none */
    uint64_t refused_phys; /* what a refusal is about: a table's address */
} prologue_cpus;

enum prologue_cpus_result {
    PROLOGUE_CPUS_DONE = 0,
    PROLOGUE_CPUS_NO_MADT = 1,      /* no RSDP, or no MADT: the boot processor alone */
    PROLOGUE_CPUS_BAD_TABLE = 2,    /* a length or checksum is wrong: the boot processor alone */
    PROLOGUE_CPUS_SEV = 3,          /* SEV-ES: no jump table, or one where it must not be, which is
                                   * refused_phys; SNP: no AP creation */
    PROLOGUE_CPUS_NO_LOW_PAGES = 4, /* no two pages of RAM in 0x20000 to 0x9f000 */
    PROLOGUE_CPUS_NO_MEMORY = 5,    /* `memory` is too small, not in whole pages, or not mapped */
    PROLOGUE_CPUS_NOT_SEEN = 6,     /* the image is not mapped in the tables, as they are seen */
    PROLOGUE_CPUS_SOME = 7,         /* not all came: each `state` says which */
    PROLOGUE_CPUS_SECURE_TSC = 8,   /* SNP with Secure TSC: `tsc_scale` is not told */
};

/* Makes the list. The ids that firmware calls disabled are left out, and so is what it lists
 * twice. Where it refuses, the list is the boot processor alone. */
enum prologue_cpus_result prologue_find_cpus(prologue_cpus *cpus);

/* Memory for each processor beside its stack: the guard page, three stacks for exceptions, its
 * GDT and TSS; in SEV guests two pages more. And for all of them once. A second start of one needs
 * PROLOGUE_CPUS_SHARED_BYTES alone. */
#define PROLOGUE_CPU_OWN_BYTES (7 * 4096)
#define PROLOGUE_CPUS_SHARED_BYTES (8 * 4096)

typedef struct prologue_cpus_start {
    /* Where each arrives: interrupts off, its own stack; CR0, CR3, CR4, EFER and PAT as the boot
     * processor's; a GDT and TSS of its own, Prologue's selectors; the IDT that reports. */
    void (*entry)(prologue_cpu *cpu);
    uint64_t stack_bytes; /* in whole pages */

    /* Mapped writable in the kernel's tables, in whole pages: for each processor that is started
     * stack_bytes + PROLOGUE_CPU_OWN_BYTES, and PROLOGUE_CPUS_SHARED_BYTES once. The processors
     * keep it. The guard pages are unmapped. */
    void *memory;
    uint64_t memory_bytes;

    uint64_t cr3; /* 0: the one that is loaded. Else the processors arrive with this */

    /* Which: those whose `state` is STOPPED, SILENT or PARKED, and of them those with an index of
     * at least `first`, `most` at the most; 0: all. */
    uint32_t first, most;

    /* Two pages of RAM below 1 MiB, one behind the other, that are the kernel's to lend and that
     * it can spare for ever: who comes late parks there. 0: two are borrowed. */
    uint32_t low_phys;

    /* How long to wait for all of them, in ms. 0: ten seconds, and 10 ms more for each. */
    uint32_t patience;

    /* SNP with Secure TSC (SEV_STATUS bit 11): what the guest request TSC_INFO has answered, whose
     * keys are the kernel's (secrets page). Without it the processors' clocks would be others. */
    uint64_t tsc_scale, tsc_offset;

    /* Answers. */
    uint32_t started; /* that many came to their entry */
    uint32_t faults;  /* exceptions on the way to 64-bit mode; the last one's vector */
    uint32_t fault_vector;
} prologue_cpus_start;

/* Starts them, all at once, and waits until all have come or the time is over. Without low_phys
 * two pages below 636 KiB are borrowed meanwhile, found as for the change of paging's depth, and
 * are given back as they were: nothing may use them in between. Their contents may be the
 * kernel's, but not tables that are loaded. INIT keeps who is too late away from them. */
enum prologue_cpus_result prologue_start_cpus(prologue_cpus *cpus, prologue_cpus_start *start);

#ifdef __cplusplus
}
#endif

#endif
