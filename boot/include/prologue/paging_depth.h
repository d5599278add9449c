/* Changing the depth of paging later than at the boot: from four levels to five,
 * or from five to four, in a kernel that runs.
 *
 * A CPU changes its depth only with paging off, in 32-bit code: the way leads
 * through two pages of RAM below 4 GiB that the kernel lends. All of it happens on
 * the CPU that calls; others must not run on tables that are changed.
 *
 * Linked from libprologue.a where it is called.
 *
 * ISC licence. Usable from C11 and C++20, in 64-bit code.
 */
#ifndef PROLOGUE_PAGING_DEPTH_H
#define PROLOGUE_PAGING_DEPTH_H

#include "prologue/kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PROLOGUE_DEPTH_PAGES 2

typedef struct prologue_depth_change {
    /* The top-level table of the depth that is wanted: its physical address, below
     * or above 4 GiB, and where the kernel sees it. The kernel's code, its stack,
     * GDT and IDT must be where they are in the tables of both depths. */
    uint64_t top_phys;
    const uint64_t *top;

    /* Two pages, one behind the other, whose contents are lost. The first is mapped
     * at its own address, executable, in the tables of both depths. */
    uint64_t pages_phys;
    void *pages; /* where the kernel sees both, writable */
} prologue_depth_change;

enum prologue_depth_result {
    PROLOGUE_DEPTH_CHANGED = 0,
    PROLOGUE_DEPTH_NO_LA57 = 1,     /* this CPU knows four levels only */
    PROLOGUE_DEPTH_BAD_PAGES = 2,   /* not page-aligned, or not below 4 GiB */
    PROLOGUE_DEPTH_BAD_ADDRESS = 3, /* the code or the stack has no address with four levels */
};

/* Switches to the other depth, with CR3 = top_phys, or changes nothing and says
 * why. Afterwards CR4.PCIDE is clear, and FS and GS want their bases anew; all
 * other registers are as they were. For the few instructions of the way there is
 * no IDT: an NMI or machine check then resets the machine. */
enum prologue_depth_result prologue_change_paging_depth(const prologue_depth_change *change);

/* Fills `top`, 512 entries, with a table of the depth that is not in use. It shows
 * what `now_phys`, the top-level table in use, shows at all addresses that both
 * depths have: those sign-extended from bit 47. So a direct map at
 * PROLOGUE_DIRECT_MAP_5_LEVEL is not in it. `handoff` serves to see the tables. */
PROLOGUE_HELPER_ void prologue_other_depth(const prologue_handoff *handoff, unsigned levels_now,
                                           uint64_t now_phys, uint64_t *top) {
    const uint64_t *const now = (const uint64_t *)prologue_seen(handoff, now_phys);
    for (unsigned i = 0; i != 512; ++i)
        top[i] = 0;
    if (levels_now == 4) {
        top[0] = top[511] = now_phys | 3; /* present, writable */
        return;
    }
    for (unsigned half = 0; half != 2; ++half) {
        const uint64_t entry = now[half * 511];
        if ((entry & 1) == 0)
            continue;
        const uint64_t *const pml4 = (const uint64_t *)prologue_seen(handoff,
                                                                     entry & 0x000ffffffffff000);
        for (unsigned i = half * 256; i != half * 256 + 256; ++i)
            top[i] = pml4[i];
    }
}

#ifdef __cplusplus
}
#endif

#endif
