/* Writes over all memory that the contract says may be reused, in the contract's
 * order, and looks after each step whether what must last has lasted:
 *
 * - usable memory and the loader's: the handoff, all that it points to and the
 *   modules are as they were;
 * - the spare pages and, on page tables of its own and with a copy of what it
 *   wants, Prologue's memory: the copy and the modules are.
 *
 * In the end it raises #UD, which Prologue's IDT still reports. */
#include "prologue/kernel.h"
#include "prologue/wishes.h"
#include "serial.h"

PROLOGUE_WISH_QEMU_EXIT;

#define PATTERN 0xa5a5a5a5a5a5a5a5
#define PAGE 4096ull
#define LARGE_PAGE 0x200000ull
#define PRESENT 1
#define WRITABLE 2
#define LARGE 0x80
#define MOST_RANGES 128

_Noreturn static void fail(const char *what) {
    print("result: ");
    print(what);
    print("\n");
    out8(PROLOGUE_EXIT_PORT, PROLOGUE_EXIT_SUCCESS);
    for (;;)
        __asm__ volatile("cli; hlt");
}

/* FNV-1a, which is never the same for a changed byte at the same place. */
static uint64_t sum(uint64_t before, const void *start, uint64_t bytes) {
    const volatile uint8_t *byte = start;
    while (bytes-- != 0)
        before = (before ^ *byte++) * 0x100000001b3;
    return before;
}

/* Of the handoff and what it points to: what a kernel copies before it takes
 * Prologue's memory. */
static uint64_t handoff_sum(const prologue_handoff *handoff) {
    uint64_t all = sum(0xcbf29ce484222325, handoff, handoff->size);
    all = sum(all, handoff->memory, handoff->memory_count * sizeof *handoff->memory);
    all = sum(all, handoff->cmdline, handoff->cmdline_bytes + 1);
    all = sum(all, handoff->modules, handoff->module_count * sizeof *handoff->modules);
    for (uint64_t i = 0; i != handoff->module_count; ++i)
        all = sum(all, handoff->modules[i].cmdline, handoff->modules[i].cmdline_bytes + 1);
    return all;
}

/* Of the modules, seen at `direct_map`. */
static uint64_t modules_sum(const prologue_module *modules, uint64_t count, uint64_t direct_map) {
    uint64_t all = 0;
    for (uint64_t i = 0; i != count; ++i)
        all = sum(all, (const void *)(uintptr_t)(direct_map + modules[i].start), modules[i].bytes);
    return all;
}

/* But for page 0, which is not mapped. */
static uint64_t overwrite(uint64_t direct_map, uint64_t start, uint64_t end) {
    if (start == 0)
        start = PAGE;
    for (uint64_t at = start; at != end; at += sizeof(uint64_t))
        *(volatile uint64_t *)(uintptr_t)(direct_map + at) = PATTERN;
    return end - start;
}

static uint64_t overwrite_type(uint64_t direct_map, const prologue_range *ranges, uint64_t count,
                               uint32_t type) {
    uint64_t bytes = 0;
    for (uint64_t i = 0; i != count; ++i)
        if (ranges[i].type == type)
            bytes += overwrite(direct_map, ranges[i].start, ranges[i].end);
    return bytes;
}

static _Alignas(4096) uint64_t top[512], image_directory_pointers[512], image_directory[512];
static _Alignas(4096) uint64_t direct_directory_pointers[512];
static prologue_range ranges[MOST_RANGES];
static prologue_module modules[4];

/* The first GiB, in large pages, where the image is and where the direct map is. */
static void load_own_tables(const prologue_handoff *handoff, uint64_t direct_map) {
    const uint64_t offset = handoff->kernel_offset;
    const uint64_t table = PRESENT | WRITABLE;
    for (uint64_t i = 0; i != 512; ++i)
        image_directory[i] = i * LARGE_PAGE | LARGE | PRESENT | WRITABLE;
    image_directory_pointers[offset >> 30 & 511] = ((uintptr_t)image_directory - offset) | table;
    direct_directory_pointers[0] = ((uintptr_t)image_directory - offset) | table;
    top[offset >> 39 & 511] = ((uintptr_t)image_directory_pointers - offset) | table;
    top[direct_map >> 39 & 511] = ((uintptr_t)direct_directory_pointers - offset) | table;
    prologue_load_cr3((uintptr_t)top - offset);
}

static void take_prologues_memory(const prologue_handoff *handoff) {
    const uint64_t direct_map = handoff->direct_map;
    const uint64_t range_count = handoff->memory_count;
    const uint64_t module_count = handoff->module_count;
    if (range_count > MOST_RANGES || module_count > sizeof modules / sizeof *modules)
        fail("too many for the copy");
    for (uint64_t i = 0; i != range_count; ++i)
        ranges[i] = handoff->memory[i];
    for (uint64_t i = 0; i != module_count; ++i)
        modules[i] = handoff->modules[i];
    const uint64_t before = modules_sum(modules, module_count, direct_map);
    print_number("spare", overwrite(direct_map, handoff->spare_start, handoff->spare_end));

    load_own_tables(handoff, direct_map);
    print_number("prologue", overwrite_type(direct_map, ranges, range_count,
                                            PROLOGUE_MEMORY_PROLOGUE));
    if (modules_sum(modules, module_count, direct_map) != before)
        fail("modules lie in Prologue's memory");
}

void kernel_main(const prologue_handoff *handoff) {
    const uint64_t seen = handoff_sum(handoff);
    const uint64_t content = modules_sum(handoff->modules, handoff->module_count,
                                         handoff->direct_map);
    static const uint32_t now[] = {PROLOGUE_MEMORY_USABLE, PROLOGUE_MEMORY_LOADER};
    static const char *const names[] = {"usable", "loader"};
    for (unsigned i = 0; i != 2; ++i) {
        print_number(names[i], overwrite_type(handoff->direct_map, handoff->memory,
                                              handoff->memory_count, now[i]));
        if (handoff_sum(handoff) != seen)
            fail("the handoff lies in memory that is free");
        if (modules_sum(handoff->modules, handoff->module_count, handoff->direct_map) != content)
            fail("modules lie in memory that is free");
    }
    take_prologues_memory(handoff);
    __asm__ volatile("ud2");
    fail("no exception");
}
