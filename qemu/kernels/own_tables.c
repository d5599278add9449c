/* A kernel as many are: page tables that stand in its file, a physmap at an address of its own,
 * descriptors whose code segment is not where Prologue's is. What docs/own-tables.md says of such,
 * in that order. */
#include "prologue/kernel.h"
#include "prologue/wishes.h"
#include "serial.h"

#define LINK_BASE 0xffffffff80000000
#define PHYSMAP 0xffffc00000000000
PROLOGUE_WISH_DIRECT_MAP(PHYSMAP); /* so that pointers in the handoff outlive Prologue's tables */
PROLOGUE_WISH_FREE_BEHIND_IMAGE(0x200000); /* for an allocator that begins at `end` */
PROLOGUE_WISH_QEMU_EXIT;

/* The first GiB, in large pages, at 0, at PHYSMAP and at LINK_BASE. */
__asm__(".pushsection .data; .balign 4096\n"
        "page_directory: .set page, 0x83\n"
        ".rept 512; .quad page; .set page, page + 0x200000; .endr\n"
        "low_pdpt: .quad page_directory - 0xffffffff80000000 + 3; .skip 511 * 8\n"
        "high_pdpt: .skip 510 * 8; .quad page_directory - 0xffffffff80000000 + 3, 0\n"
        ".globl own_pml4; own_pml4: .quad low_pdpt - 0xffffffff80000000 + 3; .skip 383 * 8\n"
        ".quad low_pdpt - 0xffffffff80000000 + 3; .skip 126 * 8\n"
        ".quad high_pdpt - 0xffffffff80000000 + 3\n"
        ".popsection\n"
        ".pushsection .text; .globl on_breakpoint\n"
        "on_breakpoint: incl breakpoints(%rip); iretq\n"
        ".popsection");
extern char own_pml4[], on_breakpoint[], prologue_image_end[];
volatile uint32_t breakpoints;

enum { DATA = 0x08, CODE = 0x10 }; /* Prologue's the other way about */
static const uint64_t gdt[] = {0, 0x00cf93000000ffff, 0x00af9b000000ffff};
static struct {
    uint16_t offset_low, selector, attributes, offset_middle;
    uint32_t offset_high, reserved;
} idt[32];

static void set_gate(unsigned vector, uint64_t handler) {
    idt[vector].offset_low = (uint16_t)handler;
    idt[vector].selector = CODE;
    idt[vector].attributes = 0x8e00;
    idt[vector].offset_middle = (uint16_t)(handler >> 16);
    idt[vector].offset_high = (uint32_t)(handler >> 32);
}

static void leave(int good) {
    print(good ? "result: ok\n" : "result: bad\n");
    out8(PROLOGUE_EXIT_PORT, good ? PROLOGUE_EXIT_SUCCESS : PROLOGUE_EXIT_FATAL);
}

void kernel_main(const prologue_handoff *handoff) {
    /* 1. Page tables, which show the image, its stack and the handoff where they were. */
    prologue_load_cr3((uint64_t)own_pml4 - LINK_BASE);
    print("command line: ");
    print(handoff->cmdline);
    print("\n");

    /* 2. and 3. IDT, then GDT. */
    set_gate(3, (uint64_t)on_breakpoint);
    prologue_load_idt(idt, sizeof idt);
    prologue_load_gdt(gdt, sizeof gdt, CODE, DATA, 0);
    __asm__ volatile("int3");

    /* 4. Memory from the image's end on, which nobody else has: the handoff outlives it. */
    char *const end = (char *)(((uint64_t)prologue_image_end + 4095) & ~(uint64_t)4095);
    for (unsigned i = 0; i != 0x200000; ++i)
        end[i] = (char)0xaa;
    leave(breakpoints == 1 && prologue_handoff_is_good(handoff) &&
          handoff->direct_map == PHYSMAP &&
          prologue_bytes_of_type(handoff, PROLOGUE_MEMORY_USABLE) != 0);
    for (;;)
        __asm__ volatile("hlt");
}
