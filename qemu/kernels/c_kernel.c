/* A kernel in C11 that knows nothing of Prologue but its headers. Without
 * C_KERNEL_WISHES it states no wish and gets the defaults: four levels, and a
 * fatal end that halts. A command line of "die" asks for such an end. */
#include "prologue/handoff.h"
#include "prologue/wishes.h"
#include "serial.h"

#ifdef C_KERNEL_WISHES
PROLOGUE_WISH_PAGING(PROLOGUE_PAGING_BEST);
PROLOGUE_WISH_QEMU_EXIT;
#endif

static int same(const char *a, const char *b) {
    for (; *a == *b; ++a, ++b)
        if (*a == 0)
            return 1;
    return 0;
}

void kernel_main(const prologue_handoff *handoff) {
    const int good = handoff->magic == PROLOGUE_HANDOFF_MAGIC &&
                     handoff->version == PROLOGUE_HANDOFF_VERSION &&
                     handoff->size == sizeof *handoff && handoff->memory_count != 0;
    print(handoff->paging_levels == 5 ? "paging: 5-level\n" : "paging: 4-level\n");
    if (same(handoff->cmdline, "die"))
        __builtin_trap();
    print(good ? "result: ok\n" : "result: bad\n");
    out8(PROLOGUE_EXIT_PORT, good ? PROLOGUE_EXIT_SUCCESS : PROLOGUE_EXIT_FATAL);
    for (;;)
        __asm__ volatile("cli; hlt");
}
