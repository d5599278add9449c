/* A kernel that keeps the Multiboot parser that it has: it makes the information
 * from the handoff, by prologue/multiboot.h, and shows the bytes of both versions. */
#include "prologue/multiboot.h"
#include "prologue/kernel.h"
#include "prologue/wishes.h"
#include "serial.h"

PROLOGUE_WISH_QEMU_EXIT;

static _Alignas(8) uint8_t info[0x4000];

static void print_hex(const char *name, const uint8_t *bytes, uint64_t count) {
    print(name);
    print(": ");
    for (uint64_t i = 0; i != 2 * count; ++i)
        out8(SERIAL, (uint8_t)"0123456789abcdef"[bytes[i / 2] >> (i % 2 ? 0 : 4) & 15]);
    print("\n");
}

void kernel_main(const prologue_handoff *handoff) {
    const uint64_t phys = (uintptr_t)info - handoff->kernel_offset;
    print_number("info", phys);
    print_hex("multiboot1", info, prologue_make_multiboot1(handoff, info, sizeof info, phys));
    print_hex("multiboot2", info, prologue_make_multiboot2(handoff, info, sizeof info, 0));
    const prologue_range *range = 0;
    for (uint32_t type = 1; type <= PROLOGUE_MEMORY_UNACCEPTED; ++type)
        while ((range = prologue_next_range(handoff, type, range))) {
            print_number("type", type);
            print_number("start", range->start);
            print_number("end", range->end);
        }
    out8(PROLOGUE_EXIT_PORT, PROLOGUE_EXIT_SUCCESS);
    for (;;)
        __asm__ volatile("cli; hlt");
}
