/* What the kernel wishes of Prologue: in C, which Zig compiles too. */
#include <prologue/wishes.h>

#include "numbers.h"

PROLOGUE_WISH_HEADERS(pvh, multiboot1, multiboot2);
PROLOGUE_WISH_STACK(0x8000);
PROLOGUE_WISH_WINDOW(LOCAL_APIC, 0xfee00000, 0x1000,
                     PROLOGUE_WINDOW_WRITE | PROLOGUE_WINDOW_UNCACHED);
PROLOGUE_WISH_QEMU_EXIT; /* for tests */

_Static_assert(EXIT_PORT == PROLOGUE_EXIT_PORT && EXIT_SUCCESS == PROLOGUE_EXIT_SUCCESS &&
                   EXIT_FATAL == PROLOGUE_EXIT_FATAL, "");
